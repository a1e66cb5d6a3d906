/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/imds.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "aws/aws.h"
#include "aws/error.h"
#include "aws/profile.h"
#include "aws/retry.h"
#include "aws/text.h"
#include "aws/url.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/decimal.h"
#include "base/err.h"
#include "base/secrecy.h"
#include "config/config.h"
#include "net/http.h"

static const char subject[] = "imds";

enum {
    ANSWER_MAX = 10000,
    TIMEOUT_S = 1,
    FIND_MS = 3000,
    SILENT_MAX = 3,
    DOUBLINGS_MAX = 3, /* of the time for an answer: 2 s to 16 s */
};

struct imds {
    const struct aws *aws;
    struct http *http;
    char base[IMDS_URL_MAX]; /* "http://169.254.169.254" */
    struct url url;
    unsigned timeout_s;
    unsigned silent; /* so many tries ended without an answer: the next one has twice the time */
    unsigned tries;  /* 0: not configured */
    bool present;    /* it took a connection: no answer now is a passing fault */
    int64_t find_by; /* on clock_ms(): what took no connection by then is not there */
    char *token;
};

struct question {
    const char *method, *path;
    struct http_header header;
};

/* A setting that is a number from 1 to 3600, or what is usual where it is not there. */
static int read_number(const struct aws *aws, const char *const name[2], unsigned usual,
                       unsigned *out, struct err *err)
{
    const char *text = profile_setting(aws, name[0], name[1]);
    const int64_t number = text ? decimal_number(text, 3600) : usual;
    char shown[SECRECY_QUOTED_MAX];

    *out = (unsigned)number;
    if (text && number < 1)
        return err_set(err, ERR_CONFIG, name[0], "%s is no number from 1 to 3600",
                       secrecy_quoted(shown, text));
    return 0;
}

int imds_endpoint(const struct aws *aws, char out[IMDS_URL_MAX], struct err *err)
{
    const char *text =
        profile_setting(aws, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
    const char *mode = profile_setting(aws, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                                       "ec2_metadata_service_endpoint_mode");
    char shown[SECRECY_QUOTED_MAX];
    struct url url;
    size_t len;

    if (mode && strcasecmp(mode, "ipv4") != 0 && strcasecmp(mode, "ipv6") != 0)
        return err_set(err, ERR_CONFIG, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                       "%s is neither ipv4 nor ipv6", secrecy_quoted(shown, mode));
    if (!text)
        text = mode && strcasecmp(mode, "ipv6") == 0 ? "http://[fd00:ec2::254]"
                                                     : "http://169.254.169.254";
    len = strlen(text);
    while (len > 0 && text[len - 1] == '/')
        len--;
    (void)snprintf(out, IMDS_URL_MAX, "%.*s", (int)len, text);
    if (len >= IMDS_URL_MAX || url_parse(&url, out) < 0 || strchr(url.path, '?'))
        return err_set(err, ERR_CONFIG, "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                       "%s is no http:// or https:// URL of a host", secrecy_quoted(shown, text));
    return 0;
}

static int configure(struct imds *imds, const struct aws *aws, struct err *err)
{
    static const char *const timeout[] = {"AWS_METADATA_SERVICE_TIMEOUT",
                                          "metadata_service_timeout"};
    static const char *const tries[] = {"AWS_METADATA_SERVICE_NUM_ATTEMPTS",
                                        "metadata_service_num_attempts"};

    if (imds_endpoint(aws, imds->base, err) < 0 ||
        read_number(aws, timeout, TIMEOUT_S, &imds->timeout_s, err) < 0)
        return -1;
    (void)url_parse(&imds->url, imds->base);
    return read_number(aws, tries, 0, &imds->tries, err);
}

static int perform(const struct imds *imds, const struct question *question,
                   struct http_response *response, struct err *err)
{
    char url[2 * IMDS_URL_MAX];
    const struct tls_policy tls = {
        .name = imds->url.name, .anchors = imds->aws->anchors, .profile = imds->aws->profile};
    const struct http_request request = {
        .method = question->method,
        .url = url,
        .headers = &question->header,
        .header_count = 1,
        .tls = imds->url.tls ? &tls : NULL,
        .body_max = ANSWER_MAX,
        .connect_ms = (int64_t)imds->timeout_s * 1000,
        .total_ms = (int64_t)imds->timeout_s * 2000 << imds->silent,
        .deadline = imds->aws->deadline,
    };

    (void)snprintf(url, sizeof url, "%s/latest/%s", imds->base, question->path);
    return http_perform(imds->http, &request, response, 1, err);
}

static bool is_ok(const struct http_response *response)
{
    return response->result == HTTP_ANSWERED && response->status == 200;
}

/* It takes connections, but its answers do not arrive. */
static bool is_silent(const struct imds *imds, const struct http_response *response)
{
    return response->result == HTTP_TIMEOUT && imds->present;
}

/* Whether another try may follow so many that failed. */
static bool may_try_again(const struct imds *imds, const struct http_response *response,
                          unsigned failed)
{
    if (imds->tries > 0)
        return failed < imds->tries;
    if (is_silent(imds, response) && !imds->token)
        return failed < SILENT_MAX;
    return imds->present || clock_left(imds->find_by) > 0;
}

/* Asks until a final answer comes, or none will. Unless it is_ok(), error tells of it. */
static int ask_imds(struct imds *imds, const struct question *question,
                    struct http_response *response, struct aws_error *error, struct err *err)
{
    struct retry retry = {.step = "instance_metadata",
                          .object = question->path,
                          .deadline = imds->aws->deadline,
                          .once = imds->aws->once};
    enum retry_class class;

    do {
        retry_begin(&retry);
        if (perform(imds, question, response, err) < 0)
            return -1;
        if (response->stage == HTTP_STAGE_ANSWER)
            imds->present = true;
        if (is_silent(imds, response) && imds->silent < DOUBLINGS_MAX)
            imds->silent++;
        if (is_ok(response))
            return 0;
        aws_error_read(error, response);
        class = retry_classify(response, error->code);
    } while (may_try_again(imds, response, retry.attempt + 1) &&
             retry_wait(&retry, class, response, error->text));
    return 0;
}

static int keep_token(struct imds *imds, struct bytes text, struct err *err)
{
    arena_free(imds->token);
    imds->token = NULL;
    if (!text_is_graphic(text))
        return err_set(err, ERR_CREDENTIALS_FAILED, subject, "the answer of %s is no session token",
                       imds->base);
    imds->token = arena_alloc(text.len + 1, ARENA_TOKEN);
    if (!imds->token)
        return err_set(err, ERR_MEMORY_FULL, subject, "no room for the session token");
    memcpy(imds->token, text.data, text.len);
    return 0;
}

/* A service that does not know of tokens is none that we ask: version 1 gives them to anybody. */
static enum imds_state refused_token(const struct imds *imds, const struct http_response *response,
                                     const struct aws_error *error, struct err *err)
{
    bool passing = retry_classify(response, error->code) != RETRY_NEVER;
    bool absent = (passing && !imds->present) || response->status == 403 ||
                  response->status == 404 || response->status == 405;
    enum err_code code = passing ? ERR_AWS_UNREACHABLE : ERR_CREDENTIALS_FAILED;
    const char *hint = "";

    if (is_silent(imds, response)) {
        code = ERR_METADATA_HOP_LIMIT;
        hint = "; it takes connections, but its answer is lost: in a container that is a hop limit "
               "of 1";
    }
    if (err_info(error->means)->class == ERR_OF_HOST)
        code = error->means;
    if (response->status == 403) {
        code = ERR_METADATA_OFF;
        hint = "; it says so if the instance's metadata options turn it off";
    }
    if (response->os_error == ENETUNREACH && strchr(imds->url.name, ':') == NULL)
        hint = "; on a host of IPv6 alone set AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6";
    (void)err_set(err, code, subject, "%s gave no session token: %s%s", imds->base, error->text,
                  hint);
    return absent ? IMDS_ABSENT : IMDS_FAILED;
}

static enum imds_state get_token(struct imds *imds, struct err *err)
{
    static const struct question question = {
        "PUT", "api/token", {"X-aws-ec2-metadata-token-ttl-seconds", "21600"}};
    struct http_response response;
    struct aws_error error;
    int r;

    if (ask_imds(imds, &question, &response, &error, err) < 0)
        return IMDS_FAILED;
    if (!is_ok(&response))
        return refused_token(imds, &response, &error, err);
    r = keep_token(imds, buf_bytes(&response.body), err);
    http_response_free(&response);
    return r < 0 ? IMDS_FAILED : IMDS_FOUND;
}

int imds_disabled(const struct aws *aws, bool *disabled, struct err *err)
{
    return profile_switch(aws, "AWS_EC2_METADATA_DISABLED", NULL, disabled, err);
}

enum imds_state imds_open(struct imds **out, const struct aws *aws, struct err *err)
{
    enum imds_state state = IMDS_FAILED;
    struct imds *imds;
    bool disabled;

    if (imds_disabled(aws, &disabled, err) < 0)
        return IMDS_FAILED;
    if (disabled) {
        (void)err_set(err, ERR_CREDENTIALS_MISSING, subject, "AWS_EC2_METADATA_DISABLED is true");
        return IMDS_ABSENT;
    }
    imds = arena_alloc(sizeof *imds, ARENA_WORK);
    if (!imds) {
        (void)err_set(err, ERR_MEMORY_FULL, subject, "no room for a session");
        return IMDS_FAILED;
    }
    imds->aws = aws;
    imds->find_by = clock_ms() + FIND_MS;
    if (configure(imds, aws, err) == 0 && (imds->http = http_new(true, err)))
        state = get_token(imds, err);
    if (state == IMDS_FOUND)
        *out = imds;
    else
        imds_close(imds);
    return state;
}

static enum imds_state refused_data(const struct http_response *response, const char *path,
                                    const struct aws_error *error, struct err *err)
{
    bool passing = retry_classify(response, error->code) != RETRY_NEVER;

    enum err_code code = passing ? ERR_AWS_UNREACHABLE : ERR_CREDENTIALS_FAILED;

    if (err_info(error->means)->class == ERR_OF_HOST)
        code = error->means;
    (void)err_set(err, code, subject, "%s: %s", path, error->text);
    return response->result == HTTP_ANSWERED && response->status == 404 ? IMDS_NOT_FOUND
                                                                        : IMDS_FAILED;
}

enum imds_state imds_get(struct imds *imds, const char *path, struct buf *out, struct err *err)
{
    struct http_response response;
    struct aws_error error;
    char full[IMDS_URL_MAX];
    bool renewed = false;
    int r;

    (void)snprintf(full, sizeof full, "meta-data/%s", path);
    for (;; renewed = true) {
        const struct question question = {"GET", full, {"X-aws-ec2-metadata-token", imds->token}};

        if (ask_imds(imds, &question, &response, &error, err) < 0)
            return IMDS_FAILED;
        if (renewed || response.status != 401)
            break;
        if (get_token(imds, err) != IMDS_FOUND)
            return IMDS_FAILED;
    }
    if (!is_ok(&response))
        return refused_data(&response, path, &error, err);
    r = buf_append(out, response.body.data, response.body.len);
    http_response_free(&response);
    if (r < 0) {
        (void)err_set(err, ERR_MEMORY_FULL, subject, "no room for %s", path);
        return IMDS_FAILED;
    }
    return IMDS_FOUND;
}

void imds_close(struct imds *imds)
{
    if (!imds)
        return;
    http_free(imds->http);
    arena_free(imds->token);
    arena_free(imds);
}
