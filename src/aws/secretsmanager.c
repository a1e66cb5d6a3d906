/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/secretsmanager.h"

#include <stdio.h>

#include "aws/answer.h"
#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/error.h"
#include "aws/region.h"
#include "aws/retry.h"
#include "aws/sigv4.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/http.h"

enum { ANSWER_MAX = 512 * 1024, CONNECT_MS = 5000, TOTAL_MS = 15000 };

#define CONTENT_TYPE "application/x-amz-json-1.1"
#define TARGET       "secretsmanager.GetSecretValue"

struct secretsmanager {
    const struct aws *aws;
    struct http *http;
    struct credentials *credentials; /* NULL before the first request */
};

/* One GetSecretValue, the same for all of its tries. */
struct call {
    const char *secret_id;
    char region[REGION_MAX];
    struct aws_endpoint endpoint;
    struct buf body;
};

struct secretsmanager *secretsmanager_new(const struct aws *aws, struct err *err)
{
    struct secretsmanager *manager = arena_alloc(sizeof *manager, ARENA_WORK);

    if (!manager) {
        (void)err_set(err, ERR_MEMORY_FULL, NULL, "no room for a conversation with AWS");
        return NULL;
    }
    manager->aws = aws;
    manager->http = http_new(true, err);
    if (!manager->http) {
        arena_free(manager);
        return NULL;
    }
    return manager;
}

void secretsmanager_free(struct secretsmanager *manager)
{
    if (!manager)
        return;
    http_free(manager->http);
    credentials_free(manager->credentials);
    arena_free(manager);
}

/* Appends text as a JSON string. */
static int append_json(struct buf *out, const char *text)
{
    char escape[8];
    int r = buf_append_text(out, "\"");

    for (; r == 0 && *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c >= ' ' && c != '"' && c != '\\') {
            r = buf_append(out, text, 1);
        } else {
            (void)snprintf(escape, sizeof escape, "\\u%04X", c);
            r = buf_append_text(out, escape);
        }
    }
    return r < 0 ? -1 : buf_append_text(out, "\"");
}

/* Finds out where to send the request, as whom, and what it says. */
static int prepare(struct secretsmanager *manager, struct call *call, struct err *err)
{
    const struct aws *aws = manager->aws;

    if (region_resolve(aws, call->secret_id, call->region, err) < 0 ||
        endpoint_resolve(&call->endpoint, aws, ENDPOINT_SECRETSMANAGER, call->region, err) < 0)
        return -1;
    if (!manager->credentials && credentials_resolve(aws, &manager->credentials, err) < 0)
        return -1;
    if (buf_append_text(&call->body, "{\"SecretId\":") < 0 ||
        append_json(&call->body, call->secret_id) < 0 || buf_append_text(&call->body, "}") < 0)
        return err_set(err, ERR_MEMORY_FULL, call->secret_id, "no room for the request");
    return 0;
}

static int sign(const struct secretsmanager *manager, const struct call *call,
                struct sigv4_result *signature, struct err *err)
{
    const struct url *url = &call->endpoint.url;
    const struct sigv4_header headers[] = {
        {bytes_of_text("Host"), bytes_of_text(url->host)},
        {bytes_of_text("Content-Type"), bytes_of_text(CONTENT_TYPE)},
        {bytes_of_text("X-Amz-Target"), bytes_of_text(TARGET)},
    };
    const struct sigv4_request request = {
        .method = bytes_of_text("POST"),
        .path = bytes_of_text(*url->path ? url->path : "/"),
        .headers = headers,
        .header_count = sizeof headers / sizeof headers[0],
        .body = buf_bytes(&call->body),
        .normalize_path = true,
    };
    const struct sigv4_scope scope = {
        .region = call->endpoint.region, .service = "secretsmanager", .time = clock_wall()};

    if (sigv4_sign(signature, &request, manager->credentials, &scope) < 0)
        return err_set(err, ERR_MEMORY_FULL, call->secret_id, "no room for the signature");
    return 0;
}

static int send_signed(const struct secretsmanager *manager, const struct call *call,
                       const struct sigv4_result *signature, struct http_response *response,
                       struct err *err)
{
    const struct url *url = &call->endpoint.url;
    const char *token = manager->credentials->session_token;
    const struct http_header headers[] = {
        {"Host", url->host},
        {"Content-Type", CONTENT_TYPE},
        {"X-Amz-Target", TARGET},
        {"X-Amz-Date", signature->date},
        {"Authorization", (const char *)signature->authorization.data},
        {"X-Amz-Security-Token", token}, /* the last: it may be left out */
    };
    const size_t header_count = sizeof headers / sizeof headers[0];
    const struct tls_policy tls = {
        .name = url->name, .anchors = manager->aws->anchors, .profile = manager->aws->profile};
    const struct http_request request = {
        .method = "POST",
        .url = call->endpoint.text,
        .headers = headers,
        .header_count = token ? header_count : header_count - 1,
        .body = buf_bytes(&call->body),
        .tls = url->tls ? &tls : NULL,
        .address_allowed = url->tls ? NULL : url_address_is_loopback,
        .body_max = ANSWER_MAX,
        .connect_ms = CONNECT_MS,
        .total_ms = TOTAL_MS,
        .deadline = manager->aws->deadline,
    };

    return http_perform(manager->http, &request, response, 1, err);
}

/* One try, signed for its own moment. */
static int try_once(const struct secretsmanager *manager, const struct call *call,
                    struct http_response *response, struct err *err)
{
    struct sigv4_result signature = {0};
    int r = sign(manager, call, &signature, err);

    if (r == 0)
        r = send_signed(manager, call, &signature, response, err);
    sigv4_free(&signature);
    return r;
}

/* Tries until AWS answers with 200 or refuses for good, or the time is up. */
static int perform(const struct secretsmanager *manager, const struct call *call,
                   struct http_response *response, struct err *err)
{
    struct retry retry = {
        .step = "get_secret_value", .object = call->secret_id, .deadline = manager->aws->deadline};
    struct aws_error error;
    enum retry_class class;

    if (clock_left(retry.deadline) == 0)
        return err_set(err, ERR_DEADLINE, call->secret_id, "no time was left to ask AWS for it");
    do {
        retry_begin(&retry);
        if (try_once(manager, call, response, err) < 0)
            return -1;
        if (response->result == HTTP_ANSWERED && response->status == 200)
            return 0;
        aws_error_read(&error, response);
        class = retry_classify(response, error.code);
    } while (retry_wait(&retry, class, response, error.text));
    return err_set(err, aws_error_code(&error, response), call->secret_id,
                   "%s; secret %s, credentials of %s, try %u", error.text, call->secret_id,
                   manager->credentials->source, retry.attempt);
}

int secretsmanager_get(struct secretsmanager *manager, const char *secret_id, struct secret *secret,
                       struct err *err)
{
    struct call call = {.secret_id = secret_id, .body.tag = ARENA_WORK};
    struct http_response response = {0};
    int r;

    *secret = (struct secret){0};
    r = prepare(manager, &call, err);
    if (r == 0)
        r = perform(manager, &call, &response, err);
    if (r == 0)
        r = answer_read(secret, buf_bytes(&response.body), secret_id, err);
    if (r < 0)
        secret_free(secret);
    http_response_free(&response);
    buf_free(&call.body);
    return r;
}

void secret_free(struct secret *secret)
{
    buf_free(&secret->document);
}
