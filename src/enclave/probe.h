/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENCLAVE_PROBE_H
#define ENCLAVE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/hash.h"
#include "x509/verify.h"

struct attestation;
struct attested;
struct config;
struct endpoint;
struct identity;
struct probe_memory;
struct tls_cache;

/* How an enclave answers an identity: mutual TLS, then GET of the health path. */
enum probe_verdict {
    PROBE_UNASKED,  /* or not asked long enough */
    PROBE_ACCEPTED, /* the handshake is mutual and an answer came; 404 and 5xx are the application's
                       affair */
    PROBE_REFUSED,  /* by an alert, or by closing within the handshake on three connections: the
                       enclave does not want this identity */
    PROBE_DOUBTED,  /* by HTTP 400, 401, 403, 495, 496, or by closing without an answer on three
                       connections, as servers do that verify late */
    PROBE_NOT_MUTUAL,  /* it asks for no client certificate, so it proves nothing */
    PROBE_UNTRUSTED,   /* we do not accept the enclave's certificate */
    PROBE_UNATTESTED,  /* it accepts, but does not prove what attest asks for */
    PROBE_UNREACHABLE, /* anything else: nothing is known about the identity */
    PROBE_SILENT,      /* the same, after it had our certificate: it refuses, or is busy */
    PROBE_VERDICTS
};

/* The result of its attestation. */
struct probe_attested {
    bool asked;                     /* on this connection, or recently for this key */
    enum err_code code;             /* ERR_NONE: all that was asked for is proved */
    uint8_t key[HASH_SIZE];         /* SHA-256 of the server's SPKI */
    char other_root[HASH_HEX_SIZE]; /* the fingerprint of a root that is not AWS's, else "" */
    int64_t at;                     /* when it was judged, in seconds since 1970 */
};

struct probe {
    enum probe_verdict verdict;
    bool authenticated;    /* refused, or doubted, under keys that the server has proven to hold */
    unsigned closes;       /* in a row, without an alert, after it had our certificate */
    int status;            /* HTTP status, 0 where none came */
    int alert;             /* -1: none came */
    const char *cipher;    /* OpenSSL's name, or "unknown"; NULL: no handshake came so far */
    const char *version;   /* "1.2", "1.3"; NULL: none was chosen so far */
    const char *group;     /* of the key exchange, "X25519"; NULL: not known */
    const char *handshake; /* "full", or "resumed", without certificates; NULL: not completed */
    bool resumed; /* so it says nothing about the identity, except that it was accepted before */
    unsigned signatures; /* operations of the private key */
    bool signing_failed; /* one of them gave a wrong signature, which was not sent */
    int64_t dns_ms, tcp_ms, tls_ms,
        first_byte_ms; /* each stage by itself; -1 where it was not reached */
    char reason[512];  /* a sentence, unless accepted with all that was asked for */
    struct probe_attested attested;
    enum verify_status verify; /* why it is untrusted */
    enum err_code cause;       /* why it is silent or unreachable; ERR_NONE: unknown */
};

/* The data of a probe's answer, for the callback only; never kept. */
struct probe_answer {
    const struct bytes *chain; /* the certificates that the server sent, DER */
    size_t chain_count;
    struct bytes body;
    bool cut;                              /* it was longer */
    const char *date;                      /* Date, "" where none came */
    const struct attestation *attestation; /* by attests, where one accepts; else NULL */
};

/* Most endpoints' time for one try. */
#define PROBE_CONNECT_MS 5000
#define PROBE_TOTAL_MS   10000

/*
 * Asks the endpoints whose probe is PROBE_UNASKED with one identity, each over one or more new
 * connections. Logs an event "handshake" for each, and fills their probes. With a memory, a
 * handshake that is no news is logged at level debug. After a resumed handshake that looks like a
 * refusal, the endpoint is asked once more, by a full one.
 *
 * Each endpoint has its share of the time until the deadline. Where there was no time or no memory,
 * a probe stays PROBE_UNASKED, with a reason, and one event "unasked" says how many.
 *
 * -1 with ERR_MEMORY_FULL, ERR_DESCRIPTORS_FULL, ERR_THREADS_FULL or ERR_SYSTEM where it could not
 * go on.
 */
struct probe_request {
    const struct config *config; /* what to ask, and what to accept */
    const struct endpoint *endpoints;
    size_t count;
    const struct identity *identity;
    struct tls_cache *sessions;  /* NULL: all handshakes are full; so they are for attestations */
    struct probe_memory *memory; /* of the same endpoints, kept there; NULL: none */
    bool attests; /* ask for attestations, whatever the policy, and take none without for good */
    struct attested
        *known;   /* of each endpoint: what its keys have proved recently; updated. With require, a
                     key that has not proved everything is not known; NULL: none */
    size_t first; /* which is asked first; the others follow, round to it */
    size_t parallel;  /* most handshakes in flight */
    size_t body_max;  /* how much of an answer is read */
    int64_t deadline; /* on clock_ms() */
    void (*told)(void *user, const struct endpoint *endpoint, const struct probe *probe,
                 const struct probe_answer *answer); /* with each as it comes; or NULL */
    void *user;
};
int probe_endpoints(const struct probe_request *request, struct probe *probes, struct err *err);

/* TCP and TLS, in ms; -1: the handshake was not completed. */
int64_t probe_latency(const struct probe *probe);

/* "accepted", "refused"… */
const char *probe_verdict_name(enum probe_verdict verdict);

#endif
