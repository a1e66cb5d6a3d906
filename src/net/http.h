/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "net/tls.h"

struct err;
struct http_response;
struct sockaddr;

/*
 * HTTP/1.1 by libcurl, whose every byte of memory is the arena's. No redirects, no cookies, no
 * environment variables; nothing is trusted that tls.h did not verify.
 */
struct http_header {
    const char *name;
    const char *value; /* checked: CR, LF and NUL make the request fail */
};

/* A proxy of plain HTTP that is asked to CONNECT, so that it sees names and ciphertext only. */
struct http_proxy {
    const char *url;      /* "http://host:port", without user and password */
    const char *password; /* "user:password", percent-encoded; NULL: none */
};

struct http_request {
    const char *method; /* "GET", "POST", "PUT" */
    const char *url;    /* http:// or https:// */
    const struct http_header *headers;
    size_t header_count;
    struct bytes body;              /* data NULL: none */
    const struct tls_policy *tls;   /* required for https:// */
    const struct http_proxy *proxy; /* NULL: none */
    struct tls_cache *sessions;     /* resumed from, and kept in; NULL: all handshakes are full */
    bool spare;                     /* not asked again for want of memory */
    bool renew;                     /* this handshake is full; what it makes is kept there */
    const char *connect_to; /* "address:port" to connect to instead of the URL's host, or NULL */
    bool (*address_allowed)(const struct sockaddr *address); /* asked with the address about to be
                                                                connected to; NULL: all */
    /* Asked once the handshake is over, by the certificate that came in it (data NULL: none), with
     * the batch's note: another path than the URL's, and the body_max of its answer; NULL: the
     * URL's. Or NULL. */
    const char *(*path)(void *note, struct bytes leaf, size_t *body_max);
    /* Takes the whole answer to that path, which has half of the time that is left. Then the URL's
     * is asked over the same connection, and the response is of that: HTTP_CLOSED where it has not
     * stayed. Not called where no whole answer comes: the response is of that path then. NULL: that
     * path alone is asked. */
    void (*between)(void *note, const struct http_response *response);
    size_t body_max;    /* an answer with more is HTTP_TOO_LARGE */
    int64_t connect_ms; /* most time that we wait for DNS, TCP and TLS */
    int64_t total_ms;   /* most time that we wait for all of it */
    int64_t deadline;   /* and on clock_ms(), whatever the others say */
};

/* How an exchange ended, from the outside in. */
enum http_result {
    HTTP_ANSWERED,       /* a whole answer came; see status */
    HTTP_UNRESOLVED,     /* the name has no address */
    HTTP_UNREACHABLE,    /* refused, no route, reset before TLS began */
    HTTP_TIMEOUT,        /* see stage */
    HTTP_PROXY_REFUSED,  /* the proxy would not connect us: see status */
    HTTP_ADDRESS_DENIED, /* address_allowed said no */
    HTTP_UNTRUSTED,      /* we refused the server's certificate: see tls */
    HTTP_ALERT,          /* the server sent a fatal alert: see alert */
    HTTP_TLS_FAILED,     /* any other failure of the handshake */
    /* closed or reset without an alert, once our certificate had left or the handshake was over, or
     * an answer to another path came */
    HTTP_CLOSED,
    HTTP_BROKEN, /* closed, reset or malformed within the answer */
    HTTP_TOO_LARGE,
    HTTP_NO_MEMORY,      /* the arena is full */
    HTTP_NO_THREADS,     /* none for the look-up of a name */
    HTTP_NO_DESCRIPTORS, /* no socket: descriptors, or the system's memory; see os_error */
    HTTP_FAILED          /* a request that cannot be sent */
};

enum http_stage { HTTP_STAGE_DNS, HTTP_STAGE_TCP, HTTP_STAGE_TLS, HTTP_STAGE_ANSWER };

struct http_timing { /* microseconds from the start, 0 where not reached */
    int64_t dns, tcp, tls, first_byte, total;
};

struct http_response {
    enum http_result result;
    enum http_stage stage; /* how far it came */
    int status;            /* HTTP status, 0 where none came */
    int alert;             /* alert received, -1 where none */
    int tls_error;         /* BearSSL's error, 0 where none; see tls_error_text() */
    int os_error;          /* errno of a connect(2) that failed, 0 where none did */
    bool cut;      /* HTTP_TIMEOUT before the peer had its time: it says nothing about the peer */
    bool by_proxy; /* it went by a proxy, which is the peer then */
    int64_t waited_ms; /* of our clock of the peer (pace.h) */
    struct buf body;
    char error_type[128]; /* x-amzn-ErrorType, raw */
    char request_id[64];  /* x-amzn-RequestId */
    char date[64];        /* Date */
    char retry_after[32]; /* x-amz-retry-after */
    char peer[64];   /* the last address tried, with its port; "" where none, or a connection was
                        reused */
    char cause[256]; /* libcurl's words, redacted */
    struct tls_record tls;
    struct http_timing timing;
    const struct bytes *chain; /* what the server sent; within a batch's done() only */
    size_t chain_count;
};

/*
 * Connections that requests may share: never use one http for two identities or two sets of
 * anchors. reuse false: each request has a new connection, closed after it. NULL with err on
 * failure.
 */
struct http *http_new(bool reuse, struct err *err);
void http_free(struct http *http);

/*
 * Performs requests as they come from next() and hands each answer to done(), parallel at once at
 * most, and fewer while memory, descriptors or the processor are short. An exchange that only waits
 * for a slow connection gives up its place to others, and none has more than its share of the time
 * that is left: some that never answer do not hold up the rest. The clocks of connect_ms and
 * total_ms run while we wait for the peer, not while it waits for us (pace.h). -1 with err only
 * where it cannot go on at all.
 */
struct http_batch {
    bool (*next)(void *user, struct http_request *request, void *note); /* false: no more */
    void (*done)(void *user, struct http_response *response, void *note);
    void *user;
    size_t note_size; /* of the batch's own memory for each request, for all that it points to */
    size_t parallel;
    size_t count; /* how many there are; 0: nobody knows, and there are no shares */
};
int http_run(struct http *http, const struct http_batch *batch, struct err *err);

/*
 * Performs count requests, HTTP_PARALLEL of them side by side, and fills as many responses, whose
 * bodies are then the caller's (http_response_free). So many connections are shared at most.
 */
#define HTTP_PARALLEL 8
int http_perform(struct http *http, const struct http_request *requests,
                 struct http_response *responses, size_t count, struct err *err);
void http_response_free(struct http_response *response);

/* "no address for the name", ...: a short clause for people. */
const char *http_result_text(enum http_result result);

/* A sentence without its dot: why an exchange came to no answer. Cut where it does not fit. */
void http_reason(const struct http_response *response, char *out, size_t size);

#endif
