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

/* What the enclaves made of an identity that is not installed yet. */
enum rehearsal {
    REHEARSAL_PROVEN,   /* as the policy asks: at least one accepted, or all */
    REHEARSAL_UNPROVEN, /* none could be asked; policy "refuse" lets that pass */
    REHEARSAL_SKIPPED   /* no endpoint, policy "off", or a server's set */
};

struct rehearsed {
    enum rehearsal outcome;
    bool pins;            /* in: write attest-pins */
    struct probe *probes; /* in: room for one of each endpoint, NULL: nobody asks; out: filled, but
                             where it was skipped */
};

/*
 * Tries the next identity on every endpoint, in memory, by the rehearse policy, until the target's
 * deadline. Where a server doubts it without an alert, the identity installed in the target is
 * tried too: only what accepts the old and not the new one has refused. Endpoints that
 * cannot be reached, or whose turn did not come, are tried again a few times, and silent ones until
 * the deadline. -1 with ERR_ENCLAVE_REFUSED,
 * ERR_ENCLAVE_UNTRUSTED or, under "require", ERR_ENCLAVE_UNREACHABLE or ERR_DEADLINE; with
 * ERR_KEY_INVALID where the private key makes wrong signatures: the identity must not be installed.
 */
int rehearse(const struct config *config, const struct identity *next,
             const struct install_target *target, struct rehearsed *out, struct err *err);

/* 1: at least one endpoint accepts an identity now; 0: none does; -1: none could be asked. */
int enclave_accepts(const struct config *config, const struct identity *identity, int64_t deadline,
                    struct err *err);

/* What a probe that is not accepted means, in an error's words; also one that is accepted and not
 * attested as was asked for. Returns -1. */
struct endpoint;
struct probe;
int probe_blame(const struct endpoint *endpoint, const struct probe *probe, struct err *err);

#endif
