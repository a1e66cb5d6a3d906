/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_TLS_IMPL_H
#define NET_TLS_IMPL_H

#include <bearssl.h>

#include "identity/cert.h"
#include "identity/identity.h"
#include "net/tls.h"
#include "net/tls_cache.h"

/*
 * Inside net/: one connection's state, between tls.c (the hook and our own certificate) and
 * tls_peer.c (the peer's).
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

struct tls_session {
    const br_x509_class *x509;
    const br_ssl_client_certificate_class *client_certificate;
    struct tls_policy policy;
    struct tls_record record;
    const br_ssl_engine_context *engine; /* NULL: not hooked */
    struct tls_peer peer;
    struct cert leaf; /* views into peer.der */
    br_x509_certificate own_chain[IDENTITY_CHAIN_MAX];
    struct tls_cache *cache;  /* NULL: nothing is resumed or kept */
    struct tls_cached cached; /* to be kept under its key, where made_ms is set */
    unsigned holders;
};

/* BearSSL's X.509 engine as our verifier, at x509 of a session. */
extern const br_x509_class tls_peer_class;

/*
 * The earliest end of all certificates, theirs, ours and the anchors, that are valid now: the end
 * of the path in use is not before it.
 */
int64_t tls_peer_not_after(const struct tls_session *session, int64_t now);

#endif
