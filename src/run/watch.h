/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_WATCH_H
#define RUN_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "run/suspicion.h"

struct agent;
struct attested;
struct err;
struct probe;

/* A round of probes: what each enclave says to each installed client identity. */
struct watch {
    struct probe *probes; /* of all endpoints for the first set, then for the next one; public */
    struct attested *attested; /* of each endpoint, for all sets; NULL: attestation is off */
    size_t endpoints;
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
 * One round, on the arena's stack; each set has its share of the time. With rollback-on-failure a
 * set that is refused, and by no endpoint accepted, three times over SUSPICION_SPAN_MS (or over the
 * interval, where that is shorter) is taken back to the one before it.
 */
void watch_round(struct watch *watch, struct agent *agent, int64_t deadline);

/* Whether enclaves have refused a set in the last round, and none has accepted it. */
bool watch_refused(const struct watch *watch, size_t set);

/* When a set under suspicion is to be asked again, on clock_ms(); INT64_MAX: none is. */
int64_t watch_next(const struct watch *watch, const struct config *config);

#endif
