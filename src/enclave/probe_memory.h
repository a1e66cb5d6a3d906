/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENCLAVE_PROBE_MEMORY_H
#define ENCLAVE_PROBE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

struct http_response;
struct probe;
struct tls_cache;

/* What one round of probes remembers for the next, for one identity. Zero-initialise it. */
struct probe_memory {
    struct probe_known *endpoints; /* one for each: the caller's */
    size_t count;
    struct tls_cache *sessions; /* of TLS, to be resumed; NULL: none are kept */
};

/* Of one endpoint; public. Zero-initialise it. */
struct probe_known {
    uint64_t said;                 /* what the last full handshake came to; 0: there was none */
    int status;                    /* of HTTP, by the last one of all */
    uint8_t server_key[HASH_SIZE]; /* by the last full one: SHA-256 of its SPKI; zeros: none */
    bool renew; /* after a failure, or with another key than before: the next one is full */
    unsigned taken_back; /* refusals by resumed handshakes, in a row, that full ones took back */
};

/*
 * From now on every so many-th handshake with an endpoint is a full one, and the others resume; 1:
 * none does, and none is kept. memories: how many share the room that there is.
 */
void probe_memory_resume(struct probe_memory *memory, unsigned every, size_t memories);

/* The next handshake with each endpoint is a full one. */
void probe_memory_renew(struct probe_memory *memory);

/*
 * Notes a refusal in a resumed handshake, which a full one must confirm. If full ones contradict it
 * three times in a row, the server refuses only sessions, and all handshakes are full from then on.
 */
void probe_memory_refused(struct probe_memory *memory, size_t endpoint);
bool probe_memory_full_only(const struct probe_memory *memory, size_t endpoint);

/* Forgets sessions whose time is over; or all, and what was said. */
void probe_memory_sweep(struct probe_memory *memory);
void probe_memory_forget(struct probe_memory *memory);

/*
 * Takes what a handshake with an endpoint came to, and what it attested (NULL: nothing): whether
 * that is news. It is the first time; verdict, reason, status, TLS version, cipher, group,
 * attestation or the server's key is another one. Numbers in the reason do not count.
 */
bool probe_memory_take(struct probe_memory *memory, size_t endpoint,
                       const struct http_response *response, const struct probe *probe,
                       const char *attestation);

#endif
