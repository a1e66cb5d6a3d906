/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_WATCH_H
#define RUN_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "enclave/probe_memory.h"
#include "install/install.h"
#include "run/suspicion.h"

struct agent;
struct attested;
struct err;
struct probe;
struct target_state;

/* A round of probes: what each enclave says to each installed client identity. */
struct watch {
    struct probe *probes; /* of all endpoints for the first set, then for the next one; public */
    struct probe_known *known; /* in the same order; public */
    struct attested *attested; /* of each endpoint, for all sets; NULL: attestation is off */
    size_t endpoints;
    struct watch_memory {
        struct probe_memory of;
        char set[INSTALL_NAME_SIZE]; /* what was installed when the last job ended; "": unknown */
        bool armed;                  /* it may be rolled back */
    } memory[CONFIG_SETS_MAX];
    size_t accepted[CONFIG_SETS_MAX];  /* how many endpoints accepted the set */
    size_t first[CONFIG_SETS_MAX];     /* the endpoint that is asked first: no turn came before */
    bool spared[CONFIG_SETS_MAX];      /* in: it was rehearsed just now, and is not asked again */
    bool asked[CONFIG_SETS_MAX];       /* it has a client identity that is valid */
    bool rolled_back[CONFIG_SETS_MAX]; /* and was rolled back */
    struct suspicion suspicions[CONFIG_SETS_MAX]; /* from round to round */
};

/* Room for the configuration's sets and endpoints. ERR_SYSTEM. */
int watch_open(struct watch *watch, const struct config *config, struct err *err);
void watch_close(struct watch *watch);

/*
 * One round of probes, on the arena's stack; each set has its share of the time. Of the configured
 * number of probes of an endpoint one is a full handshake; the others resume a TLS session, which
 * shows only that the endpoint can be reached. All are full with attestation, while a set may be
 * rolled back, or is under suspicion.
 *
 * With rollback-on-failure, a set goes back to the previous one if endpoints refuse it, and none
 * accepts it, three times over SUSPICION_SPAN_MS (over the interval, where that is shorter).
 */
void watch_round(struct watch *watch, struct agent *agent, int64_t deadline);

/*
 * After each job, with the state of a set: forgets what it knew of another set, sessions whose time
 * is over, and all sessions where something is wrong with the set.
 */
void watch_settle(struct watch *watch, size_t set, const struct target_state *state);

/* Forgets all of that. */
void watch_forget(struct watch *watch);

/* Whether enclaves have refused a set in the last round, and none has accepted it. */
bool watch_refused(const struct watch *watch, size_t set);

/* When to ask a set under suspicion again, on clock_ms(); INT64_MAX: none is. */
int64_t watch_next(const struct watch *watch, const struct config *config);

#endif
