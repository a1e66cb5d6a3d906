/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/error.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/error_meaning.h"
#include "aws/said.h"
#include "aws/xml.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "net/http.h"

enum { MESSAGE_MAX = 201, CLOCK_TOLERANCE_S = 240, CLOCK_WAIT_MS = 1000, LEARNED_MAX = 2 };

/* What STS writes to who does not ask for JSON. */
static void read_xml(struct bytes body, struct buf *code, struct buf *message)
{
    if (xml_text(body, "ErrorResponse/Error/Code", code) == 1 &&
        xml_text(body, "ErrorResponse/Error/Message", message) >= 0)
        return;
    buf_free(code);
    buf_free(message);
}

/*
 * An error's code and message: an object of AWS JSON, or of STS, which puts it into a member, or
 * XML.
 */
static void read_known(struct bytes body, struct buf *code, struct buf *message)
{
    char reason[JSON_REASON_MAX];
    struct json *json = json_parse(body, reason);
    json_value object = 0;

    if (!json) {
        read_xml(body, code, message);
        return;
    }
    if (json_type(json, json_member(json, 0, "Error")) == JSON_OBJECT)
        object = json_member(json, 0, "Error");
    if (json_type(json, object) == JSON_OBJECT) {
        (void)json_text(json, object, JSON_NAMES("__type", "code", "Code"), code);
        (void)json_text(json, object, JSON_NAMES("message", "Message"), message);
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

/* A wrong clock makes signatures wrong: AWS does not always say so. */
static void judge_clock(struct aws_error *error, const char *date)
{
    int64_t then, skew_s;

    if (error->means != ERR_CLOCK_SKEW && error->means != ERR_SIGNATURE_WRONG &&
        strcmp(error->code, "AuthFailure") != 0)
        return;
    error->dated = clock_parse_http(date, &then) == 0;
    skew_s = error->dated ? then - clock_wall() : 0;
    if (llabs(skew_s) <= CLOCK_TOLERANCE_S)
        return;
    error->skew_s = skew_s;
    error->means = ERR_CLOCK_SKEW;
    error->young = false;
}

bool aws_clock_learn(struct aws_clock *clock, const struct aws_error *error)
{
    if (!error->dated || clock->learned == LEARNED_MAX ||
        llabs(error->skew_s - clock->skew_s) <= CLOCK_TOLERANCE_S)
        return false;
    clock->learned++;
    clock->skew_s = error->skew_s;
    log_event(LOG_LEVEL_WARNING, "clock_skew", log_n("seconds", clock->skew_s),
              log_s("cause", error->text));
    return true;
}

bool aws_clock_wait(const struct aws_error *error, int64_t deadline)
{
    if (!error->too_early || clock_left(deadline) <= CLOCK_WAIT_MS)
        return false;
    log_event(LOG_LEVEL_WARNING, "clock_wait", log_s("reason", error->text));
    clock_sleep(CLOCK_WAIT_MS, deadline);
    return true;
}

/*
 * "this host's clock is 900 s behind AWS's: Code: message (HTTP 400, by a service control policy,
 * request id 5f0c)", or as much of it as came.
 */
static void describe_answer(struct aws_error *error, const char *message, const char *policy,
                            const struct http_response *response)
{
    char id[sizeof response->request_id], origin[160], clock[80] = "";

    redact(id, sizeof id, bytes_of_text(response->request_id));
    (void)snprintf(origin, sizeof origin, "HTTP %d%s%s%s%s", response->status,
                   policy ? ", by " : "", policy ? policy : "", *id ? ", request id " : "", id);
    if (error->skew_s)
        (void)snprintf(clock, sizeof clock, "this host's clock is %" PRId64 " s %s AWS's: ",
                       (int64_t)llabs(error->skew_s), error->skew_s < 0 ? "ahead of" : "behind");
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
    const char *said;

    /* Where it is something else, the message is whatever text there is. */
    read_known(buf_bytes(&response->body), &code, &message);
    if (code.len == 0 && message.len == 0)
        said_read(buf_bytes(&response->body), &message);
    http_response_free(response);
    redact(error->code, sizeof error->code,
           bare_code(code.len ? buf_bytes(&code) : bytes_of_text(response->error_type)));
    redact(shown, sizeof shown, buf_bytes(&message));
    said = message.len ? (const char *)message.data : "";
    error->means = answer_means(response->status, error->code, said);
    error->young = answer_is_young(error->code, said);
    judge_clock(error, response->date);
    describe_answer(error, shown, policy_kind(said), response);
    buf_free(&code);
    buf_free(&message);
}

void aws_error_read(struct aws_error *error, struct http_response *response)
{
    *error = (struct aws_error){0};
    if (response->result == HTTP_ANSWERED) {
        read_answer(error, response);
    } else {
        size_t len;

        /* "no connection: Connection refused (10.0.0.1:443)" */
        http_reason(response, error->text, sizeof error->text);
        len = strlen(error->text);
        if (*response->peer)
            (void)snprintf(error->text + len, sizeof error->text - len, " (%s)", response->peer);
        error->means = transport_means(response);
        error->too_early =
            response->result == HTTP_UNTRUSTED && response->tls.verify == VERIFY_NOT_YET_VALID;
        http_response_free(response);
    }
}
