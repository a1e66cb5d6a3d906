/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http.h"

#include <curl/curl.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "net/exchange.h"

enum { POLL_MS = 1000 };

struct kept_session {
    struct tls_session *session;
    struct kept_session *next;
};

struct http {
    CURLM *multi;
    bool reuse;
    struct kept_session *sessions; /* BearSSL's contexts point to them while a connection lives */
    struct exchange *flying[HTTP_PARALLEL];
};

struct queue {
    const struct http_request *requests;
    struct http_response *responses;
    size_t count;
    size_t next;
};

static void *library_alloc(size_t size)
{
    return arena_alloc(size ? size : 1, ARENA_LIBRARY);
}

static void *library_calloc(size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    return library_alloc(count * size);
}

static void *library_realloc(void *memory, size_t size)
{
    return arena_realloc(memory, size ? size : 1, ARENA_LIBRARY);
}

static char *library_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = library_alloc(size);

    if (copy)
        memcpy(copy, text, size);
    return copy;
}

static int start_library(struct err *err)
{
    static bool started;

    if (!started && curl_global_init_mem(CURL_GLOBAL_DEFAULT, library_alloc, arena_free,
                                         library_realloc, library_strdup, library_calloc))
        return err_set(err, ERR_SYSTEM, "libcurl", "cannot start");
    started = true;
    return 0;
}

struct http *http_new(bool reuse, struct err *err)
{
    struct http *http;

    if (start_library(err) < 0)
        return NULL;
    http = arena_alloc(sizeof *http, ARENA_WORK);
    if (http)
        http->multi = curl_multi_init();
    if (!http || !http->multi) {
        arena_free(http);
        (void)err_set(err, ERR_MEMORY_FULL, NULL, "no room for a connection");
        return NULL;
    }
    http->reuse = reuse;
    return http;
}

void http_free(struct http *http)
{
    struct kept_session *kept;

    if (!http)
        return;
    curl_multi_cleanup(http->multi);
    while ((kept = http->sessions)) {
        http->sessions = kept->next;
        tls_session_free(kept->session);
        arena_free(kept);
    }
    arena_free(http);
}

static struct tls_session *keep_session(struct http *http, const struct tls_policy *policy)
{
    struct kept_session *kept = arena_alloc(sizeof *kept, ARENA_WORK);

    if (!kept)
        return NULL;
    kept->session = tls_session_new(policy);
    if (!kept->session) {
        arena_free(kept);
        return NULL;
    }
    kept->next = http->sessions;
    http->sessions = kept;
    return kept->session;
}

static void exchange_free(struct exchange *exchange)
{
    if (!exchange)
        return;
    curl_easy_cleanup(exchange->easy);
    curl_slist_free_all(exchange->headers);
    curl_slist_free_all(exchange->connect_to);
    arena_free(exchange);
}

static void response_init(struct http_response *response, const struct http_request *request)
{
    memset(response, 0, sizeof *response);
    response->result = HTTP_FAILED;
    response->alert = -1;
    response->body.tag = ARENA_DOCUMENT;
    response->body.max = request->body_max;
}

/* Puts a request in flight. -1: it is not, and its response says HTTP_FAILED. */
static int launch(struct http *http, size_t place, const struct http_request *request,
                  struct http_response *response)
{
    struct exchange *exchange = arena_alloc(sizeof *exchange, ARENA_WORK);

    if (!exchange)
        return -1;
    exchange->request = request;
    exchange->response = response;
    exchange->easy = curl_easy_init();
    if (request->tls)
        exchange->session = keep_session(http, request->tls);
    if (exchange->easy && (!request->tls || exchange->session) &&
        exchange_configure(exchange, http->reuse) == 0 &&
        curl_multi_add_handle(http->multi, exchange->easy) == CURLM_OK) {
        http->flying[place] = exchange;
        return 0;
    }
    exchange_free(exchange);
    return -1;
}

static void land(struct http *http, size_t place)
{
    struct exchange *exchange = http->flying[place];

    http->flying[place] = NULL;
    if (!exchange)
        return;
    (void)curl_multi_remove_handle(http->multi, exchange->easy);
    exchange_free(exchange);
}

/* Takes what has come to an end out of flight. */
static void reap(struct http *http)
{
    CURLMsg *message;
    size_t place;
    int left;

    while ((message = curl_multi_info_read(http->multi, &left))) {
        CURLcode code = message->data.result;

        for (place = 0; place < HTTP_PARALLEL; place++)
            if (http->flying[place] && http->flying[place]->easy == message->easy_handle)
                break;
        if (message->msg != CURLMSG_DONE || place == HTTP_PARALLEL)
            continue;
        exchange_conclude(http->flying[place], code);
        land(http, place);
    }
}

/* Fills the free places from the queue; how many are in flight then. */
static size_t refill(struct http *http, struct queue *queue)
{
    size_t place, in_flight = 0;

    for (place = 0; place < HTTP_PARALLEL; place++) {
        while (!http->flying[place] && queue->next < queue->count) {
            size_t i = queue->next++;

            (void)launch(http, place, &queue->requests[i], &queue->responses[i]);
        }
        in_flight += http->flying[place] != NULL;
    }
    return in_flight;
}

/* Moves all that is in flight, and waits for more to do. */
static int step(struct http *http)
{
    int running;

    if (curl_multi_perform(http->multi, &running) != CURLM_OK)
        return -1;
    reap(http);
    if (running > 0 && curl_multi_poll(http->multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
        return -1;
    return 0;
}

int http_perform(struct http *http, const struct http_request *requests,
                 struct http_response *responses, size_t count, struct err *err)
{
    struct queue queue = {requests, responses, count, 0};
    size_t i;
    int result = 0;

    for (i = 0; i < count; i++)
        response_init(&responses[i], &requests[i]);
    while (result == 0 && refill(http, &queue) > 0)
        result = step(http);
    for (i = 0; i < HTTP_PARALLEL; i++)
        land(http, i);
    return result == 0 ? 0 : err_set(err, ERR_SYSTEM, "libcurl", "cannot go on");
}

void http_response_free(struct http_response *response)
{
    buf_free(&response->body);
}
