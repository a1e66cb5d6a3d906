/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/exchange.h"

enum {
    POLL_MS = 50,
    SLOW_MS = 100,      /* without a connection for so long, while there was nothing else to do */
    SLOW_FACTOR = 3,    /* how many more than the places may be in flight, waiting */
    LAUNCHES_MAX = 8,   /* of one exchange */
    LINGERING_MAX = 4,  /* connections that are shut down, or kept, besides those in flight */
    ANSWER_MAX = 524288 /* bytes of an answer's head, which libcurl bounds, and what is not body */
};

static void response_init(struct http_response *response, const struct http_request *request)
{
    memset(response, 0, sizeof *response);
    response->result = HTTP_FAILED;
    response->alert = -1;
    response->body.tag = ARENA_DOCUMENT;
    response->body.max = request->body_max;
}

static size_t refused_by_arena(void)
{
    struct arena_stats stats;

    arena_stats(&stats);
    return stats.refused;
}

static void push(struct exchange **list, struct exchange *exchange)
{
    exchange->next = *list;
    *list = exchange;
}

static void give_up_place(struct exchange *exchange)
{
    exchange->places->taken -= exchange->has_place;
    exchange->has_place = false;
}

/* Lets go of all that a flight needs; what is left can be launched again. */
static void ground(struct exchange *exchange)
{
    curl_easy_cleanup(exchange->easy);
    curl_slist_free_all(exchange->headers);
    curl_slist_free_all(exchange->connect_to);
    tls_session_free(exchange->session);
    give_up_place(exchange);
    exchange->easy = NULL;
    exchange->headers = NULL;
    exchange->connect_to = NULL;
    exchange->session = NULL;
}

static int prepare(struct http *http, struct exchange *exchange)
{
    const struct http_request *request = &exchange->request;

    if (request->tls)
        exchange->session =
            tls_session_new(request->tls, request->sessions,
                            request->connect_to ? request->connect_to : request->url);
    exchange->easy = curl_easy_init();
    if (!exchange->easy || (request->tls && !exchange->session))
        return -1;
    if (exchange->session && !http->reuse)
        tls_session_bound(exchange->session, ANSWER_MAX + 2 * request->body_max);
    return exchange_configure(exchange, http->reuse);
}

/* Puts an exchange in flight: 0, or -1 and it is on the ground. */
static int launch(struct http *http, struct exchange *exchange)
{
    response_init(&exchange->response, &exchange->request);
    exchange->came_too_late = exchange->address_denied = exchange->too_large = false;
    exchange->error[0] = '\0';
    exchange->launches++;
    exchange->idle_ms = http->idle_ms;
    exchange->refused = refused_by_arena();
    (void)exchange_take_place(exchange);
    if (prepare(http, exchange) == 0 &&
        curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                          (long)(http->count + 1 + LINGERING_MAX)) == CURLM_OK &&
        curl_multi_add_handle(http->multi, exchange->easy) == CURLM_OK) {
        push(&http->flying, exchange);
        http->count++;
        return 0;
    }
    if (exchange->refused != refused_by_arena())
        exchange->response.result = HTTP_NO_MEMORY;
    ground(exchange);
    return -1;
}

static void finish(const struct http_batch *batch, struct exchange *exchange)
{
    batch->done(batch->user, &exchange->response, exchange->note);
    http_response_free(&exchange->response);
    ground(exchange);
    arena_free(exchange);
}

/* The next exchange to be launched; NULL where there is none, or no memory for one. */
static struct exchange *take(struct http *http, const struct http_batch *batch, bool *more)
{
    struct exchange *exchange = http->waiting;

    if (exchange) {
        http->waiting = exchange->next;
        return exchange;
    }
    exchange = *more ? arena_alloc(sizeof *exchange + batch->note_size, ARENA_WORK) : NULL;
    if (!exchange)
        return NULL;
    exchange->places = &http->places;
    *more = batch->next(batch->user, &exchange->request, exchange->note);
    if (*more)
        return exchange;
    arena_free(exchange);
    return NULL;
}

/* Fewer places from now on, where memory does not suffice for those in flight. */
static bool yield_memory(struct http *http, const struct exchange *exchange)
{
    size_t others;

    if (exchange->response.result == HTTP_ANSWERED || exchange->launches == LAUNCHES_MAX ||
        exchange->refused == refused_by_arena())
        return false;
    others = http->places.taken - exchange->has_place;
    if (http->places.count > others)
        http->places.count = others > 0 ? others : 1;
    return true;
}

/* Fills the free places. Where memory is short the rest waits for those in flight to end. */
static void refill(struct http *http, const struct http_batch *batch, bool *more)
{
    struct exchange *exchange;

    while (http->places.taken < http->places.count &&
           http->count < http->places.count * (1 + SLOW_FACTOR) &&
           (exchange = take(http, batch, more))) {
        if (launch(http, exchange) == 0)
            continue;
        if (http->flying && yield_memory(http, exchange)) {
            push(&http->waiting, exchange);
            return;
        }
        finish(batch, exchange);
    }
}

/*
 * Whether an exchange has to be repeated: it came to its handshake when all places were taken; or
 * the server could not resume a session that it was offered.
 */
static bool repeats(const struct exchange *exchange)
{
    const struct http_response *response = &exchange->response;

    if (exchange->came_too_late)
        return true;
    return response->tls.offered && !response->tls.resumed && exchange->launches < LAUNCHES_MAX &&
           (response->result == HTTP_ALERT || response->result == HTTP_TLS_FAILED ||
            response->result == HTTP_CLOSED);
}

static void land(struct http *http, const struct http_batch *batch, struct exchange *exchange,
                 CURLcode code)
{
    struct exchange **place = &http->flying;

    while (*place != exchange)
        place = &(*place)->next;
    *place = exchange->next;
    http->count--;
    exchange_conclude(exchange, code);
    (void)curl_multi_remove_handle(http->multi, exchange->easy);
    if (!yield_memory(http, exchange) && !repeats(exchange)) {
        finish(batch, exchange);
        return;
    }
    http_response_free(&exchange->response);
    ground(exchange);
    push(&http->waiting, exchange);
}

/* Takes what has come to an end out of flight; how many. */
static size_t reap(struct http *http, const struct http_batch *batch)
{
    struct exchange *exchange;
    CURLMsg *message;
    size_t count = 0;
    int left;

    while ((message = curl_multi_info_read(http->multi, &left))) {
        CURLcode code = message->data.result;

        for (exchange = http->flying; exchange; exchange = exchange->next)
            if (message->msg == CURLMSG_DONE && exchange->easy == message->easy_handle)
                break;
        if (exchange)
            land(http, batch, exchange, code);
        count++;
    }
    return count;
}

/*
 * Those that wait for a connection while there is nothing else to do make room for others, once:
 * what was launched again keeps its place.
 */
static void pass_over_slow(struct http *http)
{
    struct exchange *exchange;

    for (exchange = http->flying; exchange; exchange = exchange->next)
        if (exchange->launches == 1 && exchange->response.stage < HTTP_STAGE_TLS &&
            http->idle_ms - exchange->idle_ms >= SLOW_MS)
            give_up_place(exchange);
}

/* Moves all that is in flight, and waits for more to do. */
static int step(struct http *http, const struct http_batch *batch)
{
    int64_t before;
    int running;

    if (curl_multi_perform(http->multi, &running) != CURLM_OK)
        return -1;
    if (reap(http, batch) > 0)
        return 0;
    before = clock_ms();
    if (curl_multi_poll(http->multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
        return -1;
    http->idle_ms += clock_ms() - before;
    pass_over_slow(http);
    return 0;
}

/* After a failure: ends all that is left without a word of it to the batch. */
static void abandon(struct http *http)
{
    struct exchange *exchange;

    while ((exchange = http->flying ? http->flying : http->waiting)) {
        if (http->flying) {
            (void)curl_multi_remove_handle(http->multi, exchange->easy);
            http->flying = exchange->next;
            http->count--;
        } else {
            http->waiting = exchange->next;
        }
        http_response_free(&exchange->response);
        ground(exchange);
        arena_free(exchange);
    }
}

int http_run(struct http *http, const struct http_batch *batch, struct err *err)
{
    bool more = true;
    int result = 0;

    http->places.count = batch->parallel;
    refill(http, batch, &more);
    while (result == 0 && http->flying) {
        result = step(http, batch);
        refill(http, batch, &more);
    }
    if (result < 0) {
        abandon(http);
        return err_set(err, ERR_SYSTEM, "libcurl", "cannot go on");
    }
    return more ? err_set(err, ERR_MEMORY_FULL, NULL, "no room for a request") : 0;
}
