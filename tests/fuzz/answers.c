/* SPDX-License-Identifier: Apache-2.0 */
#include "answers.h"

#include <stdio.h>

#include "base/log.h"
#include "fuzz.h"
#include "net/http.h"

static struct bytes left;

int __wrap_http_perform(struct http *http, const struct http_request *requests,
                        struct http_response *responses, size_t count, struct err *err);

void answers_begin(struct bytes list)
{
    left = list;
}

static void check_request(const struct http_request *request)
{
    const char *at;
    size_t i;

    for (at = request->url; *at; at++)
        FUZZ_CHECK(*at > ' ' && *at <= '~');
    for (i = 0; i < request->header_count; i++)
        FUZZ_CHECK(!strpbrk(request->headers[i].value, "\r\n"));
    FUZZ_CHECK(request->body_max > 0 && request->total_ms > 0);
}

/* Cuts a line off the text. */
static struct bytes take_line(struct bytes *text)
{
    const uint8_t *end = text->len ? memchr(text->data, '\n', text->len) : NULL;
    struct bytes line = bytes_of(text->data, end ? (size_t)(end - text->data) : text->len);

    *text = bytes_of(text->data + line.len + (end != NULL), text->len - line.len - (end != NULL));
    return line;
}

static void take_header(struct bytes line, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);

    if (line.len <= len || memcmp(line.data, name, len) != 0 || line.data[len] != ' ')
        return;
    (void)snprintf(out, size, "%.*s", (int)(line.len - len - 1), (const char *)line.data + len + 1);
}

static void take_headers(struct bytes *text, struct http_response *response)
{
    struct bytes line;

    while ((line = take_line(text)).len > 0) {
        take_header(line, "type", response->error_type, sizeof response->error_type);
        take_header(line, "id", response->request_id, sizeof response->request_id);
        take_header(line, "date", response->date, sizeof response->date);
        take_header(line, "retry", response->retry_after, sizeof response->retry_after);
        take_header(line, "cause", response->cause, sizeof response->cause);
        take_header(line, "peer", response->peer, sizeof response->peer);
        take_header(line, "reason", response->tls.verify_reason,
                    sizeof response->tls.verify_reason);
    }
}

/* These two are never what a server said: redact() and the verifier come before. */
static void mask(char *text, size_t size)
{
    char *copy = fuzz_text(bytes_of_text(text));

    redact(text, size, bytes_of_text(copy));
    free(copy);
}

static unsigned take_number(struct bytes line)
{
    unsigned number = 0;

    for (; line.len > 0; line.len--, line.data++)
        if (*line.data >= '0' && *line.data <= '9')
            number = (number * 10 + *line.data - '0') % 1000;
    return number;
}

static void read_answer(struct bytes text, struct http_response *response)
{
    struct bytes line = take_line(&text);
    const unsigned number = take_number(line);

    if (line.len > 0 && line.data[0] >= 'a' && line.data[0] <= 'a' + HTTP_FAILED)
        response->result = (enum http_result)(line.data[0] - 'a');
    response->stage = number % 2 ? HTTP_STAGE_TCP : HTTP_STAGE_ANSWER;
    if (response->result == HTTP_ALERT)
        response->alert = (int)(number % 256);
    response->os_error = (int)(number % 130);
    response->by_proxy = number & 256;
    take_headers(&text, response);
    mask(response->cause, sizeof response->cause);
    mask(response->tls.verify_reason, sizeof response->tls.verify_reason);
    if (response->result != HTTP_ANSWERED)
        return;
    response->status = (int)number;
    response->stage = HTTP_STAGE_ANSWER;
    if (buf_append(&response->body, text.data, text.len) < 0)
        response->result = HTTP_TOO_LARGE;
}

int __wrap_http_perform(struct http *http, const struct http_request *requests,
                        struct http_response *responses, size_t count, struct err *err)
{
    size_t i;

    (void)http, (void)err;
    for (i = 0; i < count; i++) {
        check_request(&requests[i]);
        responses[i] =
            (struct http_response){.result = HTTP_UNREACHABLE,
                                   .alert = -1,
                                   .stage = HTTP_STAGE_TCP,
                                   .body = {.tag = ARENA_DOCUMENT, .max = requests[i].body_max}};
        if (left.len > 0)
            read_answer(fuzz_part(&left), &responses[i]);
    }
    return 0;
}
