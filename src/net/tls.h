/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "identity/verify.h"

struct identity;

/*
 * What decides about one TLS connection, and what became of it. libcurl's BearSSL backend hands
 * over its client context just before the handshake (CURLOPT_SSL_CTX_FUNCTION) and tls_hook() puts
 * everything of ours into it: the X.509 engine (our verifier), the client certificate, no
 * renegotiation, ECDHE and AEAD only, entropy. A handle without the hook has no trust anchor and
 * fails closed.
 */
struct tls_policy {
    const char *name;              /* DNS name or IP address to be verified */
    const struct anchors *anchors; /* whom we trust */
    enum verify_profile profile;
    bool allow_cn;
    const struct identity *identity; /* what we present; NULL: nothing */
};

struct tls_record {
    enum verify_status verify; /* VERIFY_OK also while no certificate came: look at verified */
    char verify_reason[VERIFY_REASON_MAX];
    bool verified;              /* the peer's chain was accepted */
    bool certificate_requested; /* a CertificateRequest came */
    bool certificate_sent;      /* and was answered with ours */
    bool signing_failed;        /* our private key gave a wrong signature; nothing was sent */
    uint16_t cipher_suite;      /* IANA number; 0 before ServerHello */
};

/* One connection's state; opaque. Lives in the arena until its connection is closed. */
struct tls_session;
struct tls_session *tls_session_new(const struct tls_policy *policy);
const struct tls_record *tls_session_record(const struct tls_session *session);
void tls_session_free(struct tls_session *session);

/* To be called with BearSSL's br_ssl_client_context. */
void tls_hook(struct tls_session *session, void *br_ssl_client_context_pointer);

/*
 * A name for all that a policy decides: equal policies have equal labels. libcurl's pool and
 * session cache know nothing of the hook; they compare this label, given to them as
 * CURLOPT_SSLCERT.
 */
#define TLS_LABEL_MAX 80
void tls_policy_label(const struct tls_policy *policy, char out[TLS_LABEL_MAX]);

/* "ECDHE-RSA-AES128-GCM-SHA256" and so on, or "unknown". */
const char *tls_cipher_name(uint16_t cipher_suite);

/* A TLS alert's name (RFC 5246 section 7.2): "unknown_ca"; "alert" for numbers that have none. */
const char *tls_alert_name(int alert);

#endif
