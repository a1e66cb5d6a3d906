/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENCLAVE_REHEARSE_H
#define ENCLAVE_REHEARSE_H

#include <stdbool.h>
#include <stdint.h>

struct config;
struct err;
struct identity;
struct install_target;
struct probe;

/* How the enclaves judged an identity that is not installed yet. */
enum rehearsal {
    REHEARSAL_PROVEN,   /* as the policy asks: at least one accepted, or all */
    REHEARSAL_UNPROVEN, /* none could be reached; the policy "refuse" accepts that */
    REHEARSAL_SKIPPED   /* no endpoint, policy "off", or a server's set */
};

struct rehearsed {
    enum rehearsal outcome;
    bool pins;            /* in: write attest-pins */
    struct probe *probes; /* in: room for one of each endpoint, NULL: not wanted; out: filled,
                             unless it was skipped */
};

/*
 * Tries the next identity on every endpoint, in memory, by the rehearse policy, until the target's
 * deadline. Where a server doubts it without an alert, the installed identity is tried too: a
 * server that accepts the old one and not the new one has refused. Endpoints that cannot be
 * reached, or had no turn, are tried again a few times, and silent ones until the deadline.
 *
 * -1: the identity must not be installed. ERR_ENCLAVE_REFUSED, ERR_ENCLAVE_UNTRUSTED, an
 * attestation's code; under "require" also ERR_ENCLAVE_UNREACHABLE or ERR_DEADLINE; ERR_KEY_INVALID
 * where the private key makes wrong signatures.
 */
int rehearse(const struct config *config, const struct identity *next,
             const struct install_target *target, struct rehearsed *out, struct err *err);

/* 1: at least one endpoint accepts an identity now; 0: none does; -1: none could be asked. */
int enclave_accepts(const struct config *config, const struct identity *identity, int64_t deadline,
                    struct err *err);

/*
 * Fills err with what a probe means that did not accept, or accepted without the attestation asked
 * for. Returns -1.
 */
struct endpoint;
struct probe;
int probe_blame(const struct endpoint *endpoint, const struct probe *probe, struct err *err);

#endif
