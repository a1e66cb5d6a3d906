/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_TLS_IMPL_H
#define NET_TLS_IMPL_H

#include <bearssl.h>

#include "identity/identity.h"
#include "net/tls.h"
#include "net/tls_cache.h"
#include "tls13/tls13.h"
#include "x509/cert.h"

/*
 * Inside net/: one connection's state, between tls.c (the hook and our own certificate),
 * tls_peer.c (the peer's) and tls_watch.c (the records).
 */

/*
 * The chain as the peer sends it. Public, so on the ordinary heap: a hostile server cannot fill the
 * arena.
 */
struct tls_peer {
    uint8_t *der;
    size_t len;
    size_t start[VERIFY_CHAIN_MAX + 1];
    size_t count;
    bool too_large;
};

/* What the peer has sent. */
struct tls_watch {
    bool connected;    /* the first handshake is over */
    unsigned nothing;  /* records that carried nothing */
    size_t handshake;  /* bytes of records until connected */
    size_t answer;     /* and after that */
    size_t answer_max; /* 0: no bound */
};

struct tls_session {
    const br_x509_class *x509;
    const br_ssl_client_certificate_class *client_certificate;
    const br_ssl_watch_class *watch;
    struct tls_watch watched;
    struct tls_policy policy;
    struct tls_record record;
    br_ssl_engine_context *engine; /* NULL: not hooked */
    struct tls_peer peer;
    struct cert leaf;    /* views into peer.der */
    int64_t verified_at; /* by clock_wall(): when the server's chain was verified */
    br_x509_certificate own_chain[IDENTITY_CHAIN_MAX];
    int auth_type;            /* BR_AUTH_*: how our key signs */
    struct tls_cache *cache;  /* NULL: nothing is resumed or kept */
    struct tls_cached taken;  /* the session that was offered */
    struct tls_cached cached; /* to be kept under its key, where made_ms is set */
    uint8_t *ticket;          /* room for one of TLS 1.3; public */
    unsigned holders;
    const tls13_owner_class *owner;
    struct tls13 tls13;
};

/* BearSSL's X.509 engine as our verifier, at x509 of a session. */
extern const br_x509_class tls_peer_class;

/* What TLS 1.3 asks of us, at owner of a session: our certificate and its signatures. */
extern const tls13_owner_class tls_owner_class;

/*
 * BearSSL's watcher, at watch of a session: notes how far a handshake came, and ends a peer that
 * sends without getting on (BR_ERR_NO_PROGRESS).
 */
#define TLS_NOTHING_MAX 32 /* records without use, of one connection */
#define TLS_HANDSHAKE_MAX                                                                          \
    (size_t)262144 /* a chain of 64 KiB and its CAs' names fit several times */
extern const br_ssl_watch_class tls_watch_class;

/*
 * Sets not_before and not_after: between these each certificate, theirs, ours and the anchors, that
 * was valid when the chain was verified is so, and thus the path in use.
 */
void tls_peer_dates(const struct tls_session *session, struct tls_cached *cached);

#endif
