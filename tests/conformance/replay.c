/* SPDX-License-Identifier: Apache-2.0 */
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/trust.h"
#include "case.h"
#include "net/http.h"

enum { EXCHANGES_MAX = 64 };

struct exchange {
    const char *method, *url;
    struct buf body;
    int status; /* 0: no answer came */
    const char *date, *request_id;
    struct buf answer;
};

static struct {
    const char *root;
    struct exchange exchanges[EXCHANGES_MAX];
    size_t count, next;
} recording;

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int __wrap_trust_read(const char *path, struct buf *out, struct trust *trust);
int __wrap_http_perform(struct http *http, const struct http_request *requests,
                        struct http_response *responses, size_t count, struct err *err);

/* The first value of a recorded header. */
static const char *header(const struct json *json, json_value headers, const char *name)
{
    json_value values = headers < 0 ? JSON_ABSENT : json_member(json, headers, name), value;
    struct buf text = {.tag = ARENA_DOCUMENT};
    int at = 0;

    if (values >= 0 && json_item(json, values, &at, &value) && json_string(json, value, &text) == 0)
        return (const char *)text.data;
    return "";
}

static json_value member(const struct json *json, json_value object, const char *name)
{
    return object < 0 ? JSON_ABSENT : json_member(json, object, name);
}

static void add_request(const struct json *json, json_value request)
{
    struct exchange *exchange = &recording.exchanges[recording.count++];

    request = member(json, request, "request");
    exchange->body.tag = exchange->answer.tag = ARENA_DOCUMENT;
    exchange->method = case_text(json, request, "method");
    exchange->url = case_text(json, request, "uri");
}

static void add_response(const struct json *json, json_value response, struct exchange *exchange)
{
    json_value ok = member(json, member(json, response, "response"), "Ok");
    json_value status = member(json, ok, "status"), headers = member(json, ok, "headers");

    if (status >= 0)
        (void)sscanf((const char *)json_raw(json, status).data, "%d", &exchange->status);
    exchange->date = header(json, headers, "date");
    exchange->request_id = header(json, headers, "x-amzn-requestid");
}

static int add_data(const struct json *json, json_value data, struct exchange *exchange)
{
    const char *direction = case_text(json, data, "direction");
    json_value text = member(json, member(json, data, "data"), "Utf8");

    if (!direction || text < 0)
        return -1;
    return json_string(json, text,
                       strcmp(direction, "Request") == 0 ? &exchange->body : &exchange->answer);
}

static int add_event(const struct json *json, json_value event)
{
    json_value action = member(json, event, "action");
    json_value request = member(json, action, "Request");
    json_value response = member(json, action, "Response"), data = member(json, action, "Data");
    struct exchange *last;

    if (request >= 0 && recording.count == EXCHANGES_MAX)
        return -1;
    if (request >= 0)
        add_request(json, request);
    last = recording.count ? &recording.exchanges[recording.count - 1] : NULL;
    if (!last)
        return -1;
    if (response >= 0)
        add_response(json, response, last);
    return data >= 0 ? add_data(json, data, last) : 0;
}

int replay_start(const struct buf *traffic, const char *root)
{
    struct json *json = case_parse(traffic);
    json_value events = json ? json_member(json, 0, "events") : JSON_ABSENT, event;
    int at = 0, r = 0;

    recording.root = root;
    while (r == 0 && events >= 0 && json_item(json, events, &at, &event))
        r = add_event(json, event);
    return events < 0 ? -1 : r;
}

size_t replay_left(void)
{
    return recording.count - recording.next;
}

/* Equal but for a slash that is the whole path. */
static int same_url(const char *a, const char *b)
{
    size_t len = strlen(a);

    return strncmp(a, b, len) == 0 && (b[len] == '\0' || strcmp(b + len, "/") == 0);
}

/* The action of a form, "Action=AssumeRole"; "" where there is none. */
static struct bytes action(struct bytes body)
{
    const char *text = body.len ? strstr((const char *)body.data, "Action=") : NULL;

    return text ? bytes_of(text, strcspn(text, "&")) : bytes_of("", 0);
}

static int is_recorded(const struct exchange *exchange, const struct http_request *request)
{
    return strcmp(exchange->method, request->method) == 0 &&
           same_url(request->url, exchange->url) &&
           bytes_equal(action(request->body), action(buf_bytes(&exchange->body)));
}

static void answer(const struct http_request *request, struct http_response *response)
{
    const struct exchange *exchange = &recording.exchanges[recording.next];

    *response =
        (struct http_response){.result = HTTP_FAILED, .alert = -1, .body.tag = ARENA_DOCUMENT};
    if (recording.next == recording.count || !is_recorded(exchange, request)) {
        fprintf(stderr, "not recorded: %s %s\n", request->method, request->url);
        return;
    }
    recording.next++;
    response->result = exchange->status ? HTTP_ANSWERED : HTTP_UNREACHABLE;
    response->stage = exchange->status ? HTTP_STAGE_ANSWER : HTTP_STAGE_TCP;
    response->status = exchange->status;
    (void)snprintf(response->date, sizeof response->date, "%s", exchange->date);
    (void)snprintf(response->request_id, sizeof response->request_id, "%s", exchange->request_id);
    if (buf_append(&response->body, exchange->answer.data, exchange->answer.len) < 0)
        response->result = HTTP_FAILED;
}

int __wrap_http_perform(struct http *http, const struct http_request *requests,
                        struct http_response *responses, size_t count, struct err *err)
{
    size_t i;

    (void)http, (void)err;
    for (i = 0; i < count; i++)
        answer(&requests[i], &responses[i]);
    return 0;
}

/* Where a file of the recording lies. */
static const char *below_root(const char *path, char below[PATH_MAX])
{
    if (!recording.root || *path != '/')
        return path;
    (void)snprintf(below, PATH_MAX, "%s%s", recording.root, path);
    return below;
}

int __wrap_access(const char *path, int mode)
{
    char below[PATH_MAX];

    return __real_access(below_root(path, below), mode);
}

/* Who could have written the recordings is no matter of theirs. */
int __wrap_trust_read(const char *path, struct buf *out, struct trust *trust)
{
    char below[PATH_MAX];

    trust->stranger = TRUST_NOBODY;
    if (fs_read(AT_FDCWD, below_root(path, below), out) == 0)
        return 0;
    (void)snprintf(trust->why, sizeof trust->why, "%s", strerror(errno));
    return -1;
}
