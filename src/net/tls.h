/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "x509/verify.h"

struct identity;

/*
 * What decides about one TLS connection, and what became of it. libcurl's BearSSL backend hands
 * over its client context just before the handshake (CURLOPT_SSL_CTX_FUNCTION) and tls_hook() puts
 * everything of ours into it: the X.509 engine (our verifier), the client certificate, no
 * renegotiation, ECDHE and AEAD only, entropy. A handle without the hook has no trust anchor and
 * fails closed.
 */
enum { TLS_VERSION_12 = 0x0303, TLS_VERSION_13 = 0x0304 };
enum tls_versions { TLS_12, TLS_12_OR_13, TLS_13 };

struct tls_policy {
    const char *name;              /* DNS name or IP address to be verified */
    const struct anchors *anchors; /* whom we trust */
    enum verify_profile profile;
    bool allow_cn;
    enum tls_versions versions;
    bool compatible;                 /* ECDHE with AES-CBC too, not only with an AEAD */
    const struct identity *identity; /* what we present; NULL: nothing */
};

#define TLS_EXPORTER_SIZE 32

struct tls_record {
    enum verify_status verify; /* VERIFY_OK also while no certificate came: look at verified */
    char verify_reason[VERIFY_REASON_MAX];
    bool verified;              /* the peer's chain was accepted */
    bool spoke;                 /* a record came from the peer */
    bool certificate_requested; /* a CertificateRequest came */
    bool certificate_sent;      /* and was answered with ours */
    bool certificate_left;      /* which was handed to the kernel: the peer may have seen it */
    bool answered;              /* application data came */
    bool passed;                /* in 1.3 a message behind our Finished: TLS took our certificate */
    bool authenticated;         /* the last alert came under keys that prove the server */
    bool renegotiation;         /* the peer asked for another handshake after the first */
    bool signing_failed;        /* our private key gave a wrong signature; nothing was sent */
    bool offered;               /* a session to be resumed was offered */
    bool resumed; /* and taken: no certificate passed; those of the full handshake before count */
    bool has_exporter; /* the connection has key material that no other has (RFC 9266) */
    uint8_t exporter[TLS_EXPORTER_SIZE];
    unsigned signatures;   /* operations of our private key */
    uint16_t version;      /* until the server's certificates came: 0 */
    uint16_t cipher_suite; /* IANA number; 0 until the peer's certificates came */
    uint8_t curve;     /* of the key exchange, IANA number; 0 until our certificate was asked for */
    uint8_t own_curve; /* of our private key; 0: RSA, or none was sent */
};

/*
 * One connection's state; opaque. It lives in the arena until each of its holders has freed it: its
 * maker, and every socket whose connection may still point to it. With a cache, the connection
 * resumes a session of this policy and server, and tls_session_settle() keeps a new one.
 */
struct tls_session;
struct tls_cache;
struct tls_session *tls_session_new(const struct tls_policy *policy, struct tls_cache *cache,
                                    const char *server);
void tls_session_hold(struct tls_session *session);
void tls_session_free(struct tls_session *session);
const struct tls_record *tls_session_record(const struct tls_session *session);

/* Before the hook: the handshake will be a full one, and what the cache has of it is forgotten. */
void tls_session_renew(struct tls_session *session);

/*
 * Ends the connection where the peer has sent more than so many bytes after the handshake. For one
 * that serves a single request; 0, as at first: no bound.
 */
void tls_session_bound(struct tls_session *session, size_t answer_max);

/* The certificates that the peer sent, as it sent them: how many; views into the session. */
size_t tls_session_chain(const struct tls_session *session, struct bytes chain[VERIFY_CHAIN_MAX]);

/* To be called with BearSSL's br_ssl_client_context. */
void tls_hook(struct tls_session *session, void *br_ssl_client_context_pointer);

/* When the handshake is over, while the connection lives; and when it is known how it was taken. */
void tls_session_connected(struct tls_session *session);
void tls_session_settle(struct tls_session *session, bool accepted);

/*
 * Key material of the connection for another protocol (RFC 5705), while it lives. A context without
 * data is none, which is not the empty one. False before the handshake is over, after the end, and
 * without extended master secret (RFC 7627 section 5.4).
 */
bool tls_session_export(const struct tls_session *session, const char *label, struct bytes context,
                        uint8_t *out, size_t len);

/*
 * A name for all that a policy decides: equal policies have equal labels. libcurl's pool and
 * session cache know nothing of the hook; they compare this label, given to them as
 * CURLOPT_SSLCERT.
 */
#define TLS_LABEL_MAX 80
void tls_policy_label(const struct tls_policy *policy, char out[TLS_LABEL_MAX]);

/* "ECDHE-RSA-AES128-GCM-SHA256" and so on, or "unknown". */
const char *tls_cipher_name(uint16_t cipher_suite);

/* "1.2", "1.3"; NULL for another. "X25519", "P-256" and so on; NULL for another. */
const char *tls_version_name(uint16_t version);
const char *tls_group_name(unsigned group);

/* A TLS alert's name (RFC 5246 section 7.2): "unknown_ca"; "alert" for numbers that have none. */
const char *tls_alert_name(int alert);

/* A clause: why a server that got so far sends this alert. */
const char *tls_alert_cause(int alert, const struct tls_record *record);

/* A clause for BearSSL's error, and its likely cause. */
const char *tls_error_text(int error);

/* Whether it says that what answered is no TLS. */
bool tls_error_is_foreign(int error);

#endif
