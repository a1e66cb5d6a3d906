/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/exchange.h"

enum {
    POLL_MS = 50,
    SLOW_MS = 100,       /* without a connection for so long, while there was nothing else to do */
    SLOW_FACTOR = 3,     /* how many more than the places may be in flight, waiting */
    LAUNCHES_MAX = 8,    /* of one exchange */
    SERVER_MAX = 1024,   /* whose sessions they are: what is asked for, and where */
    ANSWER_MAX = 524288, /* bytes of an answer that are not its body; libcurl bounds its head */
    LINGERING_MAX = 4,   /* connections that are shut down, or kept, besides those in flight */
    PLACES_FIRST = 4,    /* one more each time that there was nothing to do, up to the batch's */
    HEAVY_MS = 250,      /* work of so long, without a look at the clock, is too much at once */
    FAIR_MS = 1000,      /* a silence of so long tells something, also where time was short */
    /* One in flight may need so many descriptors, and the rest of the process so many. */
    DESCRIPTORS_EACH = 4,
    DESCRIPTORS_REST = 16
};

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
    char server[SERVER_MAX];

    if (request->tls) {
        (void)snprintf(server, sizeof server, "%s %s", request->url,
                       request->connect_to ? request->connect_to : "");
        exchange->session = tls_session_new(request->tls, request->sessions, server);
    }
    exchange->easy = curl_easy_init();
    if (!exchange->easy || (request->tls && !exchange->session))
        return -1;
    if (exchange->session && request->renew)
        tls_session_renew(exchange->session);
    if (exchange->session && !http->reuse)
        tls_session_bound(exchange->session, ANSWER_MAX + 2 * request->body_max);
    return exchange_configure(exchange, http->reuse);
}

/* Puts an exchange in flight: 0, or -1 and it is on the ground. */
static int launch(struct http *http, struct exchange *exchange)
{
    exchange->response = (struct http_response){
        .result = HTTP_FAILED,
        .alert = -1,
        .body = {.tag = ARENA_DOCUMENT, .max = exchange->request.body_max},
    };
    exchange->came_too_late = exchange->address_denied = exchange->too_large = false;
    exchange->no_socket = 0;
    exchange->sockets[0] = exchange->sockets[1] = -1;
    exchange->error[0] = '\0';
    exchange->turn = TURN_ONLY;
    exchange->launches++;
    exchange->number = http->reuse ? 0 : ++http->launched;
    exchange->launched_at = clock_ms();
    pace_start(&exchange->pace, exchange->launched_at);
    exchange->idle_ms = http->idle_ms;
    exchange->refused = refused_by_arena();
    (void)exchange_take_place(exchange);
    /* Those that are shared stay; of others, what lingers is bounded. */
    if (prepare(http, exchange) == 0 &&
        curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                          http->reuse ? HTTP_PARALLEL : (long)(http->count + 1 + LINGERING_MAX)) ==
            CURLM_OK &&
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
static struct exchange *take_request(struct http *http, const struct http_batch *batch, bool *more)
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
    if (*more) {
        const size_t at_once = batch->parallel < http->most ? batch->parallel : http->most;

        /* The time that is left is shared among those that are left. */
        exchange->share_ms = INT64_MAX;
        if (http->left > 0)
            exchange->share_ms =
                pace_share(clock_left(exchange->request.deadline), http->left--, at_once);
        return exchange;
    }
    arena_free(exchange);
    return NULL;
}

/*
 * Fewer places from now on, where memory does not suffice for those in flight; whether this one is
 * asked again.
 */
static bool yield_memory(struct http *http, struct exchange *exchange)
{
    size_t others;

    if (exchange->response.result == HTTP_ANSWERED || exchange->launches == LAUNCHES_MAX ||
        exchange->refused == refused_by_arena())
        return false;
    others = http->places.taken - exchange->has_place;
    if (http->places.most > others)
        http->places.most = others > 0 ? others : 1;
    if (http->places.count > http->places.most)
        http->places.count = http->places.most;
    if (exchange->request.spare)
        exchange->response.result = HTTP_NO_MEMORY;
    return !exchange->request.spare;
}

/* Fewer in flight from now on, where descriptors or threads do not suffice, and others have some.
 */
static bool yield_to_others(struct http *http, const struct exchange *exchange)
{
    const enum http_result result = exchange->response.result;

    if ((result != HTTP_NO_DESCRIPTORS && result != HTTP_NO_THREADS) || http->count == 0)
        return false;
    http->most = http->count;
    return true;
}

/* Fills the free places. Where memory is short the rest waits for those in flight to end. */
static void refill(struct http *http, const struct http_batch *batch, bool *more)
{
    struct exchange *exchange;

    while (http->places.taken < http->places.count &&
           http->count < http->places.count * (1 + SLOW_FACTOR) && http->count < http->most &&
           (exchange = take_request(http, batch, more))) {
        if (launch(http, exchange) == 0)
            continue;
        if (http->flying && yield_memory(http, exchange)) {
            push(&http->waiting, exchange);
            return;
        }
        finish(batch, exchange);
    }
}

/* Whether the peer has had its time, by our clock. */
static bool is_over(const struct exchange *exchange)
{
    const int64_t waited = exchange->pace.waited_ms;

    return waited >= exchange->share_ms || waited >= exchange_time(exchange);
}

/*
 * Whether an exchange has to be repeated: it came to its handshake when all places were taken; it
 * was hurried; or the server could not resume a session that it was offered.
 */
static bool repeats(const struct exchange *exchange)
{
    const struct http_response *response = &exchange->response;

    /* Also where libcurl's clock has ended it, which ran while the peer waited for us. */
    if (exchange->came_too_late ||
        (exchange->launches < LAUNCHES_MAX && response->result == HTTP_TIMEOUT &&
         !is_over(exchange) && clock_left(exchange->request.deadline) > 0))
        return true;
    return response->tls.offered && !response->tls.resumed && exchange->launches < LAUNCHES_MAX &&
           (response->result == HTTP_ALERT || response->result == HTTP_TLS_FAILED ||
            response->result == HTTP_CLOSED);
}

/* Where an answer has come to the first of two requests, the second one takes its connection. */
static bool go_on(struct http *http, struct exchange *exchange)
{
    if (exchange->turn != TURN_FIRST || exchange->response.result != HTTP_ANSWERED)
        return false;
    exchange->request.between(exchange->note, &exchange->response);
    (void)curl_multi_remove_handle(http->multi, exchange->easy);
    if (exchange_go_on(exchange) == 0 &&
        curl_multi_add_handle(http->multi, exchange->easy) == CURLM_OK)
        return true;
    exchange->response.result = HTTP_NO_MEMORY;
    return false;
}

static void land(struct http *http, const struct http_batch *batch, struct exchange *exchange,
                 CURLcode code)
{
    struct exchange **place = &http->flying;
    const struct pace *pace = &exchange->pace;

    exchange_conclude(exchange, code);
    exchange->response.waited_ms = pace->waited_ms;
    /* A timeout tells nothing where the peer had not its full time, and was not silent for long. */
    exchange->response.cut = exchange->response.result == HTTP_TIMEOUT &&
                             pace->waited_ms < exchange_time(exchange) && pace->silent_ms < FAIR_MS;
    if (go_on(http, exchange))
        return;
    while (*place != exchange)
        place = &(*place)->next;
    *place = exchange->next;
    http->count--;
    (void)curl_multi_remove_handle(http->multi, exchange->easy);
    if (!yield_memory(http, exchange) && !yield_to_others(http, exchange) && !repeats(exchange)) {
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

/* Ends those whose peers have had their time. */
static void end_silent(struct http *http, const struct http_batch *batch)
{
    struct exchange *exchange = http->flying, *following;

    for (; exchange; exchange = following) {
        following = exchange->next;
        if (!is_over(exchange))
            continue;
        (void)snprintf(exchange->error, sizeof exchange->error, "timed out after %lld ms",
                       (long long)exchange->pace.waited_ms);
        land(http, batch, exchange, CURLE_OPERATION_TIMEDOUT);
    }
}

/* As many places as the processor can serve: fewer where it is late, more where it has time. */
static void adapt(struct places *places, int64_t worked_ms, int64_t slept_ms)
{
    if (worked_ms >= HEAVY_MS)
        places->count = (places->count + 1) / 2;
    else if (slept_ms > 0 && places->taken >= places->count && places->count < places->most)
        places->count++;
}

/* Moves all that is in flight, and waits for more to do. */
static int perform_step(struct http *http, const struct http_batch *batch)
{
    const int64_t before = clock_ms();
    int64_t between, slept;
    int running, patience;

    if (curl_multi_perform(http->multi, &running) != CURLM_OK)
        return -1;
    patience = reap(http, batch) > 0 ? 0 : POLL_MS;
    between = clock_ms();
    if (curl_multi_poll(http->multi, NULL, 0, patience, NULL) != CURLM_OK)
        return -1;
    slept = clock_ms() - between;
    http->idle_ms += slept;
    adapt(&http->places, between - before, slept);
    http_look(http);
    end_silent(http, batch);
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

/* How many may be in flight at once, as descriptors allow; at least one. */
static size_t most_in_flight(void)
{
    struct rlimit limit = {0};

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
        limit.rlim_cur >= HTTP_FLYING_MAX * DESCRIPTORS_EACH + DESCRIPTORS_REST)
        return HTTP_FLYING_MAX;
    if (limit.rlim_cur < DESCRIPTORS_EACH + DESCRIPTORS_REST)
        return 1;
    return ((size_t)limit.rlim_cur - DESCRIPTORS_REST) / DESCRIPTORS_EACH;
}

int http_run(struct http *http, const struct http_batch *batch, struct err *err)
{
    bool more = true;
    int result = 0;

    http->places.most = batch->parallel;
    http->places.count =
        http->reuse || batch->parallel < PLACES_FIRST ? batch->parallel : PLACES_FIRST;
    http->most = most_in_flight();
    http->left = batch->count;
    refill(http, batch, &more);
    while (result == 0 && http->flying) {
        result = perform_step(http, batch);
        refill(http, batch, &more);
    }
    if (result < 0) {
        abandon(http);
        return err_set(err, ERR_SYSTEM, "libcurl", "cannot go on");
    }
    return more ? err_set(err, ERR_MEMORY_FULL, NULL, "no room for a request") : 0;
}
