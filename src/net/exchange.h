/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_EXCHANGE_H
#define NET_EXCHANGE_H

#include <curl/curl.h>
#include <stddef.h>

#include "net/http.h"
#include "net/pace.h"

/*
 * Inside net/: one request in flight, shared by http.c (libcurl and what stays open), http_run.c
 * (runs it), look.c (measures its time), exchange.c (what libcurl is given) and outcome.c (the
 * result).
 */

/*
 * Places for exchanges that make progress: they reserve the remaining memory. Their number follows
 * the processor, from few to most.
 */
struct places {
    size_t count;
    size_t taken;
    size_t most;
};

/* Of one exchange: libcurl tries two addresses at once, one of each family. */
enum { EXCHANGE_SOCKETS = 2 };

/* Which of the requests on its connection is under way. */
enum turn {
    TURN_ONLY, /* there is one */
    TURN_FIRST,
    TURN_SECOND
};

struct exchange {
    CURL *easy;
    struct http_request request;
    struct http_response response;
    struct tls_session *session;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    struct places *places;
    bool has_place;     /* gave it up while it waits for a slow connection */
    bool came_too_late; /* for its place: the handshake was not begun */
    bool address_denied;
    bool too_large;
    int no_socket; /* errno, where there was no descriptor or memory for one; else 0 */
    int sockets[EXCHANGE_SOCKETS]; /* the last ones opened, -1: none; some may be closed again */
    uint64_t received;             /* bytes from the peer, as of the last look */
    enum http_stage stage_seen;    /* then */
    struct pace pace;
    enum turn turn;
    int64_t first_ms;          /* limit of pace.waited_ms in the first one's turn */
    struct http_timing before; /* at the end of the first one */
    unsigned long long number; /* its own, so that no other takes its connection; 0: any may */
    int64_t share_ms;          /* limit of pace.waited_ms, in addition to the request's */
    int64_t launched_at;       /* on clock_ms() */
    long proxy_status;         /* of its answer to CONNECT, 0 where none came */
    char error[CURL_ERROR_SIZE];
    unsigned launches;
    int64_t idle_ms; /* of the http when it was launched */
    size_t refused;  /* by the arena until then */
    struct bytes chain[VERIFY_CHAIN_MAX];
    struct exchange *next;
    _Alignas(max_align_t) char note[]; /* the batch's */
};

enum { HTTP_FLYING_MAX = 128 };

struct http {
    CURLM *multi;
    bool reuse;
    unsigned long long launched;
    struct places places;
    struct exchange *flying;
    struct exchange *waiting; /* to be launched again */
    size_t count;             /* in flight */
    size_t most;              /* in flight, as descriptors allow */
    size_t left;              /* of the batch, not launched yet */
    int64_t idle_ms;          /* all the time that there was nothing to do */
};

/*
 * Tells libcurl all about a request whose easy handle and session are there: 0, or -1 and nothing
 * may be sent.
 */
int exchange_configure(struct exchange *exchange, bool reuse);

/*
 * Tells libcurl all about the second request, over the connection of the first: 0, or -1 and it may
 * not be sent.
 */
int exchange_go_on(struct exchange *exchange);

/*
 * libcurl's own limit for the connection, which divides it among the addresses of a name, follows
 * our clock of the peer.
 */
void exchange_allow(struct exchange *exchange);

/* The time by our clock that the peer has as far as it has come, without regard to its share. */
int64_t exchange_time(const struct exchange *exchange);

/* look.c: advances the clocks of all in flight, by what has come from their peers. */
void http_look(struct http *http);

/* Takes a place, if one is free. */
bool exchange_take_place(struct exchange *exchange);

/*
 * Fills the response from what libcurl and the TLS session know once the transfer has ended with
 * code.
 */
void exchange_conclude(struct exchange *exchange, CURLcode code);

#endif
