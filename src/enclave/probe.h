/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENCLAVE_PROBE_H
#define ENCLAVE_PROBE_H

#include <stddef.h>
#include <stdint.h>

struct config;
struct endpoint;
struct err;
struct identity;

/* What an enclave says to an identity: mutual TLS, then GET of the health path. */
enum probe_verdict {
    PROBE_ACCEPTED, /* the handshake is mutual and an answer came; 404 and 5xx are the application's
                       affair */
    PROBE_REFUSED,  /* by an alert: the enclave does not want this identity */
    PROBE_DOUBTED,  /* by HTTP 400, 401, 403, 495, 496, or by closing without an answer, as servers
                       do that verify late */
    PROBE_UNTRUSTED,   /* we do not accept the enclave's certificate */
    PROBE_UNREACHABLE, /* anything else: nothing is known about the identity */
    PROBE_VERDICTS
};

struct probe {
    enum probe_verdict verdict;
    int status;         /* HTTP status, 0 where none came */
    const char *cipher; /* OpenSSL's name, or "unknown" */
    int64_t dns_ms, tcp_ms, tls_ms,
        first_byte_ms; /* each stage by itself; -1 where it was not reached */
    char reason[512];  /* a sentence, unless accepted */
};

/* Most endpoints' time for one try. */
#define PROBE_CONNECT_MS 5000
#define PROBE_TOTAL_MS   10000

/*
 * Asks count endpoints at once with one identity, each over a connection of its own, logs an event
 * "handshake" for each, and fills probes. -1 with ERR_MEMORY_FULL or ERR_SYSTEM where nothing could
 * be asked.
 */
struct probe_request {
    const struct config *config; /* health_path, allow_cn */
    const struct endpoint *endpoints;
    size_t count;
    const struct identity *identity;
    int64_t deadline; /* on clock_ms() */
};
int probe_endpoints(const struct probe_request *request, struct probe *probes, struct err *err);

/* "accepted", "refused"… */
const char *probe_verdict_name(enum probe_verdict verdict);

#endif
