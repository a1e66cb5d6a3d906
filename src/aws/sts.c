/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/sts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "aws/aws.h"
#include "aws/client.h"
#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/error.h"
#include "aws/kept.h"
#include "aws/percent.h"
#include "aws/post.h"
#include "aws/proxy.h"
#include "aws/retry.h"
#include "aws/sts_answer.h"
#include "aws/text.h"
#include "aws/token_file.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/secrecy.h"
#include "config/config_values.h"
#include "net/http.h"

enum { ANSWER_MAX = 65536, TOKEN_MAX = 20000, SESSION_NAME_MAX = 65 };

/* One request, the same for all of its tries. */
struct call {
    const struct aws *aws;
    const char *action, *step; /* in AWS's words, and in the log's */
    const struct sts_role *role;
    const char *token_file;                /* of a web identity; NULL: none */
    const struct credentials *credentials; /* NULL: unsigned */
    char session_name[SESSION_NAME_MAX];
    struct aws_endpoint endpoint;
    struct buf token; /* alone, so that of an error's text it alone is masked */
    struct buf body;
    struct http *http;
    struct proxy proxy;
    struct aws_clock clock;
};

/* Appends "&Name=value", where there is a value. */
static int append_parameter(struct buf *body, const char *name, const char *value)
{
    if (!value)
        return 0;
    if (buf_append_text(body, "&") < 0 || buf_append_text(body, name) < 0 ||
        buf_append_text(body, "=") < 0)
        return -1;
    return percent_encode(body, bytes_of_text(value), -1);
}

/* The file rotates; so it is read anew, and white space at its end is none of the token. */
static int append_token(struct call *call, struct err *err)
{
    struct buf *token = &call->token;
    char why[TRUST_WHY_MAX];

    buf_free(token);
    if (token_file_read(call->token_file, token, why) < 0)
        return err_set(err, err_of_errno(errno, ERR_TOKEN_FILE_MISSING), call->token_file,
                       "the web identity token cannot be read: %s", why);
    text_trim(token);
    if (!text_is_graphic(buf_bytes(token)) || secrecy_holds_key(buf_bytes(token)))
        return err_set(err, ERR_CREDENTIALS_FAILED, call->token_file,
                       "the file holds no web identity token");
    if (append_parameter(&call->body, "WebIdentityToken", (const char *)token->data) < 0)
        return err_set(err, ERR_MEMORY_FULL, call->token_file, "no room for the token");
    return 0;
}

static int make_body(struct call *call, struct err *err)
{
    const struct sts_role *role = call->role;

    buf_free(&call->body);
    if (buf_append_text(&call->body, "Version=2011-06-15") < 0 ||
        append_parameter(&call->body, "Action", call->action) < 0 ||
        append_parameter(&call->body, "RoleArn", role->arn) < 0 ||
        append_parameter(&call->body, "RoleSessionName", call->session_name) < 0 ||
        append_parameter(&call->body, "ExternalId", role->external_id) < 0 ||
        append_parameter(&call->body, "DurationSeconds", role->duration) < 0)
        return err_set(err, ERR_MEMORY_FULL, role->arn, "no room for the request");
    return call->token_file ? append_token(call, err) : 0;
}

/* One try, with the token and the time of its own moment. */
static int try_once(struct call *call, struct http_response *response, struct err *err)
{
    struct post request = {
        .aws = call->aws,
        .http = call->http,
        .proxy = &call->proxy,
        .endpoint = &call->endpoint,
        .service = "sts",
        .content_type = "application/x-www-form-urlencoded; charset=utf-8",
        .accept = "application/json",
        .credentials = call->credentials,
        .skew_s = call->clock.skew_s,
        .answer_max = ANSWER_MAX,
        .object = call->role->arn,
    };

    if (make_body(call, err) < 0)
        return -1;
    request.body = buf_bytes(&call->body);
    return post(&request, response, 1, err);
}

static enum retry_class classify(const struct http_response *response, const char *code)
{
    if (strcmp(code, "IDPCommunicationError") == 0)
        return RETRY_TRANSIENT;
    return retry_classify(response, code);
}

/* Why there are no credentials: STS refuses, or cannot be asked. */
static int refused(const struct call *call, const struct aws_error *error,
                   const struct http_response *response, struct err *err)
{
    const enum retry_class class = classify(response, error->code);
    bool answered =
        response->result == HTTP_ANSWERED && class == RETRY_NEVER && response->status < 500;
    bool denied = strcmp(error->code, "AccessDenied") == 0;

    (void)err_set(
        err, answered && error->means != ERR_CLOCK_SKEW ? ERR_CREDENTIALS_FAILED : error->means,
        call->role->arn, "%s: %s%s", call->action, error->text,
        denied ? "; the role's trust policy must allow the caller, and where that is "
                 "of another account, the caller's policy this role"
               : "");
    err->young = error->young;
    err->down = class & (RETRY_TRANSIENT | RETRY_ROUND);
    return -1;
}

/* By AWS's clock; or by ours, once somebody has set it. run has another cycle for that. */
static bool sign_again(struct call *call, const struct aws_error *error)
{
    struct aws_kept *kept = call->aws->kept;

    if (!kept && aws_clock_wait(error, call->aws->deadline))
        return true;
    if (!call->credentials || !aws_clock_learn(&call->clock, error))
        return false;
    if (kept)
        kept->skew_s = call->clock.skew_s;
    return true;
}

static int perform(struct call *call, struct http_response *response, struct err *err)
{
    struct retry retry = {.step = call->step,
                          .object = call->role->arn,
                          .deadline = call->aws->deadline,
                          .once = call->aws->once};
    struct aws_error error;

    if (client_attempts(call->aws, &retry.max_attempts, err) < 0)
        return -1;
    do {
        retry_begin(&retry);
        if (try_once(call, response, err) < 0)
            return -1;
        if (response->result == HTTP_ANSWERED && response->status == 200)
            return 0;
        aws_error_read(&error, response);
    } while ((sign_again(call, &error) && !retry.once) ||
             retry_wait(&retry, classify(response, error.code), response, error.text));
    return refused(call, &error, response, err);
}

/* As AWS takes it: neither cut nor mended. */
static int name_session(struct call *call, struct err *err)
{
    const char *name = call->role->session_name;
    const char *why = name ? value_role_session_name(name) : NULL;

    if (why)
        return err_set(err, CAUSE_SESSION_NAME, call->role->arn,
                       "its session name \"%.80s%s\" (%zu bytes) %s", name,
                       strlen(name) > 80 ? "..." : "", strlen(name), why);
    if (name)
        (void)snprintf(call->session_name, sizeof call->session_name, "%s", name);
    else
        (void)snprintf(call->session_name, sizeof call->session_name, "mtls-agent-%" PRId64,
                       clock_wall());
    return 0;
}

static int ask_sts(struct call *call, struct credentials *credentials, struct err *err)
{
    struct credentials next = {0};
    struct http_response response = {0};
    char region[REGION_MAX];
    int r = -1;

    call->clock.skew_s = call->aws->kept ? call->aws->kept->skew_s : 0;
    if (name_session(call, err) == 0 && region_of_session(call->aws, region, err) == 0 &&
        endpoint_resolve(&call->endpoint, call->aws, ENDPOINT_STS, region, err) == 0 &&
        proxy_read(&call->proxy, call->aws, err) == 0 && (call->http = http_new(false, err)))
        r = perform(call, &response, err);
    if (r == 0)
        r = sts_answer_read(&next, buf_bytes(&response.body), call->action, call->role->arn, err);
    if (r == 0) {
        next.source = credentials->source;
        credentials_clear(credentials);
        *credentials = next;
        next = (struct credentials){0};
    }
    credentials_clear(&next);
    http_response_free(&response);
    http_free(call->http);
    buf_free(&call->body);
    buf_free(&call->token);
    return r;
}

int sts_assume_role(const struct aws *aws, const struct sts_role *role,
                    struct credentials *credentials, struct err *err)
{
    struct call call = {
        .aws = aws,
        .action = "AssumeRole",
        .step = "assume_role",
        .role = role,
        .credentials = credentials,
        .body.tag = ARENA_DOCUMENT,
    };

    return ask_sts(&call, credentials, err);
}

int sts_assume_with_token(const struct aws *aws, const struct sts_role *role,
                          const char *token_file, struct credentials *credentials, struct err *err)
{
    struct call call = {
        .aws = aws,
        .action = "AssumeRoleWithWebIdentity",
        .step = "assume_role_with_web_identity",
        .role = role,
        .token_file = token_file,
        .token = {.tag = ARENA_TOKEN, .max = TOKEN_MAX},
        .body.tag = ARENA_DOCUMENT,
    };

    return ask_sts(&call, credentials, err);
}
