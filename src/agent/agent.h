/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <stdatomic.h>

#include "agent/outcome.h"
#include "aws/host_id.h"
#include "aws/kept.h"
#include "aws/region.h"
#include "base/err.h"
#include "config/config.h"
#include "install/install.h"

struct aws;
struct environment;
struct probe;

/* How the last cycle ended for one set, and what the next one must know of it. */
struct agent_set {
    enum outcome outcome; /* of the last cycle that ended */
    bool
        rehearsed; /* this cycle rehearsed the installed set; the agent's probes hold the results */
    struct err err; /* why it failed, or what was wrong though it was kept; else ERR_NONE */
    struct {        /* a version that failed */
        char version[65];
        struct err err;
        unsigned times;
        int64_t until; /* not tried again before, on clock_ms() */
    } refused;
    char region[REGION_MAX]; /* that has answered last, in this cycle; "": none */
    int64_t waits_until;     /* a version waits for its wave, seconds since 1970; 0: none does */
    bool unwanted;           /* in: enclaves refuse the installed set, and none accepts it */
    int64_t
        describe_after; /* where only the value may be read, DescribeSecret is not asked before */
    bool due;           /* it has yet to be delivered in this cycle */
    bool failed;        /* its last turn, of this cycle */
    bool open;          /* it has a turn to come in this cycle, or to end */
};

/* The agent from cycle to cycle. Set the first three members, and zero the others. */
struct agent {
    const struct config *config;
    const struct environment *environment;
    bool stays;           /* run: probes watch the installed set, and there is a next cycle */
    struct aws_kept kept; /* of AWS, for the next cycle */
    char instance_region[REGION_MAX];
    char host[HOST_ID_MAX];                 /* "" until it has to be known */
    const struct aws *aws;                  /* of the cycle that goes on */
    struct agent_set sets[CONFIG_SETS_MAX]; /* in the configuration's order */
    atomic_bool writing;                    /* an installation is in hand */
    struct probe *probes; /* of each set's rehearsal, one for each endpoint; NULL: nobody asks */
};

/*
 * One cycle of the mission: get every configured set from Secrets Manager, prove it, install it.
 * Logs what it does, and each error once. Returns the exit status: 0 where every set is installed,
 * unchanged or kept; else the highest of the sets'. Each set has its share of the time until the
 * deadline, and what the others leave of theirs.
 */
int agent_cycle(struct agent *agent, int64_t deadline);

/* Forgets what failed, and AWS's credentials: somebody asks for a fresh look. */
void agent_forget(struct agent *agent);

/*
 * Takes every configured set back to the previous one, where that is whole, has not expired, and
 * passes the rehearsal. A version that is left by hand is not installed again until another version
 * comes. Returns the exit status.
 */
int agent_rollback(struct agent *agent, int64_t deadline);

/*
 * The same for one set, by the agent itself: once for a version (ERR_NO_PREVIOUS the second time),
 * and only where an enclave accepts the previous set now (ERR_ENCLAVE_REFUSED).
 */
int agent_rollback_set(struct agent *agent, size_t set, int64_t deadline, struct err *err);

#endif
