/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/error.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/retry.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "net/http.h"

enum { MESSAGE_MAX = 201, CLOCK_TOLERANCE_S = 240 };

/* AWS's codes with a meaning of their own here; clock: a wrong clock may be behind it. */
static const struct known_code {
    const char *code;
    enum err_code means;
    bool clock;
} known_codes[] = {
    {"ResourceNotFoundException", ERR_SECRET_NOT_FOUND, false},
    {"AccessDenied", ERR_AWS_DENIED, false},
    {"AccessDeniedException", ERR_AWS_DENIED, false},
    {"ExpiredToken", ERR_AWS_DENIED, false},
    {"ExpiredTokenException", ERR_AWS_DENIED, false},
    {"IncompleteSignature", ERR_AWS_DENIED, false},
    {"IncompleteSignatureException", ERR_AWS_DENIED, false},
    {"InvalidAccessKeyId", ERR_AWS_DENIED, false},
    {"InvalidClientTokenId", ERR_AWS_DENIED, false},
    {"MissingAuthenticationToken", ERR_AWS_DENIED, false},
    {"MissingAuthenticationTokenException", ERR_AWS_DENIED, false},
    {"NotAuthorized", ERR_AWS_DENIED, false},
    {"OptInRequired", ERR_AWS_DENIED, false},
    {"UnrecognizedClientException", ERR_AWS_DENIED, false},
    {"AuthFailure", ERR_AWS_DENIED, true},
    {"InvalidSignatureException", ERR_AWS_DENIED, true},
    {"RequestExpired", ERR_AWS_DENIED, true},
    {"RequestInTheFuture", ERR_AWS_DENIED, true},
    {"RequestTimeTooSkewed", ERR_AWS_DENIED, true},
    {"SignatureDoesNotMatch", ERR_AWS_DENIED, true},
};

static const struct known_code *find_code(const char *code)
{
    size_t i;

    for (i = 0; i < sizeof known_codes / sizeof known_codes[0]; i++)
        if (strcmp(code, known_codes[i].code) == 0)
            return &known_codes[i];
    return NULL;
}

/* Appends the string under either of two names, if there is one. */
static void take_string(const struct json *json, const char *name, const char *other,
                        struct buf *out)
{
    json_value value = json_member(json, 0, name);

    if (value < 0)
        value = json_member(json, 0, other);
    if (value >= 0)
        (void)json_string(json, value, out);
}

/* An error object's code and message; both stay empty where the body is something else. */
static void read_body(struct bytes body, struct buf *code, struct buf *message)
{
    char reason[JSON_REASON_MAX];
    struct json *json = json_parse(body, reason);

    if (!json)
        return;
    if (json_type(json, 0) == JSON_OBJECT) {
        take_string(json, "__type", "code", code);
        take_string(json, "message", "Message", message);
    }
    json_free(json);
}

/* The bare code out of "namespace#Code" (__type) or "Code:URL" (x-amzn-ErrorType). */
static struct bytes bare_code(struct bytes text)
{
    const uint8_t *hash = text.len ? memchr(text.data, '#', text.len) : NULL;
    const uint8_t *colon;

    if (hash)
        text = bytes_of(hash + 1, text.len - (size_t)(hash + 1 - text.data));
    colon = text.len ? memchr(text.data, ':', text.len) : NULL;
    return bytes_of(text.data, colon ? (size_t)(colon - text.data) : text.len);
}

/* "this host's clock is 900 s behind AWS's: ", where the answer's Date says so. */
static void describe_clock(char *out, size_t size, const char *date)
{
    struct tm tm = {0};
    const char *end = strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    int64_t ahead;

    out[0] = '\0';
    if (!end)
        return;
    ahead = clock_wall() - (int64_t)timegm(&tm);
    if (llabs(ahead) > CLOCK_TOLERANCE_S)
        (void)snprintf(out, size,
                       "this host's clock is %" PRId64 " s %s AWS's: ", (int64_t)llabs(ahead),
                       ahead > 0 ? "ahead of" : "behind");
}

/* "Code: message (HTTP 400, request id 5f0c)", or as much of it as came. */
static void describe_answer(struct aws_error *error, const char *message,
                            const struct http_response *response)
{
    const struct known_code *known = find_code(error->code);
    char id[sizeof response->request_id], origin[96], clock[80] = "";

    redact(id, sizeof id, bytes_of_text(response->request_id));
    (void)snprintf(origin, sizeof origin, "HTTP %d%s%s", response->status,
                   *id ? ", request id " : "", id);
    if (known && known->clock)
        describe_clock(clock, sizeof clock, response->date);
    if (*error->code || *message)
        (void)snprintf(error->text, sizeof error->text, "%s%s%s%s (%s)", clock, error->code,
                       *error->code && *message ? ": " : "", message, origin);
    else
        (void)snprintf(error->text, sizeof error->text, "%s", origin);
}

static void read_answer(struct aws_error *error, struct http_response *response)
{
    struct buf code = {.tag = ARENA_WORK}, message = {.tag = ARENA_WORK};
    char shown[MESSAGE_MAX];

    read_body(buf_bytes(&response->body), &code, &message);
    http_response_free(response);
    redact(error->code, sizeof error->code,
           bare_code(code.len ? buf_bytes(&code) : bytes_of_text(response->error_type)));
    redact(shown, sizeof shown, buf_bytes(&message));
    describe_answer(error, shown, response);
    buf_free(&code);
    buf_free(&message);
}

/* "no connection: why, in libcurl's or our verifier's words (10.0.0.1:443)" */
static void describe_transport(struct aws_error *error, const struct http_response *response)
{
    const char *cause = response->cause;

    if (response->result == HTTP_UNTRUSTED && response->tls.verify_reason[0])
        cause = response->tls.verify_reason;
    if (response->result == HTTP_ADDRESS_DENIED)
        cause = "plain http must not leave this host";
    if (response->result == HTTP_ALERT)
        cause = tls_alert_name(response->alert);
    (void)snprintf(error->text, sizeof error->text, "%s%s%s%s%s%s",
                   http_result_text(response->result), *cause ? ": " : "", cause,
                   *response->peer ? " (" : "", response->peer, *response->peer ? ")" : "");
}

void aws_error_read(struct aws_error *error, struct http_response *response)
{
    *error = (struct aws_error){0};
    if (response->result == HTTP_ANSWERED) {
        read_answer(error, response);
    } else {
        describe_transport(error, response);
        http_response_free(response);
    }
}

static enum err_code transport_code(enum http_result result)
{
    switch (result) {
    case HTTP_UNTRUSTED: return ERR_AWS_UNTRUSTED;
    case HTTP_TOO_LARGE: return ERR_AWS_ANSWER;
    case HTTP_ADDRESS_DENIED: return ERR_CONFIG;
    case HTTP_FAILED: return ERR_SYSTEM;
    default: return ERR_AWS_UNREACHABLE;
    }
}

enum err_code aws_error_code(const struct aws_error *error, const struct http_response *response)
{
    const struct known_code *known = find_code(error->code);

    if (response->result != HTTP_ANSWERED)
        return transport_code(response->result);
    if (known)
        return known->means;
    if (retry_classify(response, error->code) != RETRY_NEVER || response->status >= 500)
        return ERR_AWS_BUSY;
    if (response->status == 401 || response->status == 403)
        return ERR_AWS_DENIED;
    return response->status >= 400 ? ERR_AWS_REJECTED : ERR_AWS_ANSWER;
}
