/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_ON_CHANGE_H
#define RUN_ON_CHANGE_H

#include "base/aside.h"
#include "config/config.h"
#include "hook/hook.h"
#include "run/schedule.h"
#include "run/target_state.h"

struct metrics;
struct seen;

/* The state of a set's hook. The runner runs one hook at a time. */
struct on_change_set {
    char told[INSTALL_NAME_SIZE]; /* the last set whose hook has run */
    struct err err;               /* why the hook failed; ERR_NONE: it did not */
    struct schedule schedule;
    int64_t at; /* the hook does not run before, on clock_ms() */
};

struct on_change {
    const struct config *config;
    struct metrics *metrics;
    struct hook hook;
    struct on_change_set sets[CONFIG_SETS_MAX];
    size_t set;                /* the set whose hook runs now; CONFIG_SETS_MAX: none */
    size_t last;               /* the last one tried: none waits for ever behind one that fails */
    struct target_state state; /* of that set, as it was at the start of the hook */
    int64_t until;             /* on clock_ms(): then the runner hangs */
    int claim;                 /* what keeps other agents from telling of it as well */
    int claimed;               /* how that was got, of enum change_hook_claim: aside */
    struct aside notes;        /* locks and notes of the target may hang */
};

/* Zero-initialise it before. hook.fd and claim become -1, and no hook runs. */
void on_change_open(struct on_change *on_change);
/* Takes the intervals of a configuration. */
void on_change_configure(struct on_change *on_change, const struct config *config);

/*
 * Starts the hook of the next set that is due, where no job runs (idle). True where that has failed
 * at once: there is something to publish.
 */
bool on_change_start(struct on_change *on_change, const struct seen *seen, bool idle);
/* Takes the runner's answer: 1, 0 where there is none yet, or -1 where it is gone (ERR_SYSTEM). */
int on_change_take(struct on_change *on_change, struct err *err);
/* ERR_SYSTEM where there is no answer in time. */
int on_change_check(struct on_change *on_change, struct err *err);
/* When one of these has something to do, on clock_ms(). */
int64_t on_change_next(const struct on_change *on_change, const struct seen *seen, bool idle);

bool on_change_busy(const struct on_change *on_change);

/* The state of set i's hook, for the status. */
const char *on_change_state(const struct on_change *on_change, const struct seen *seen, size_t i);

#endif
