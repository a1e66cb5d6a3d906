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

/* Who is told of a changed set, and was told: one set at a time, by the hook's runner. */
struct on_change_set {
    char told[INSTALL_NAME_SIZE]; /* the last set that was told of */
    struct err err;               /* why nobody could be told of it; ERR_NONE: all is well */
    struct schedule schedule;
    int64_t at; /* nobody is told before, on clock_ms() */
};

struct on_change {
    const struct config *config;
    struct metrics *metrics;
    struct hook hook;
    struct on_change_set sets[CONFIG_SETS_MAX];
    size_t set;                /* the one that is told of now; CONFIG_SETS_MAX: none */
    size_t last;               /* the last one tried: none waits for ever behind one that fails */
    struct target_state state; /* of the set that is told of, as it was then */
    int64_t until;             /* on clock_ms(): then the runner hangs */
    int claim;                 /* what keeps other agents from telling of it as well */
    int claimed;               /* how that was got, of enum change_hook_claim: aside */
    struct aside notes;        /* locks and notes of the target may hang */
};

/* Zero-initialised before. hook.fd and claim become -1, and no set is told of. */
void on_change_open(struct on_change *on_change);
/* Takes the intervals of a configuration. */
void on_change_configure(struct on_change *on_change, const struct config *config);

/*
 * Has the runner tell of the next set that is due, where no job runs (idle). True where that has
 * failed at once: there is something to publish.
 */
bool on_change_start(struct on_change *on_change, const struct seen *seen, bool idle);
/* Takes the runner's answer: 1, 0 where there is none yet, or -1 where it is gone (ERR_SYSTEM). */
int on_change_take(struct on_change *on_change, struct err *err);
/* ERR_SYSTEM where there is no answer in time. */
int on_change_check(struct on_change *on_change, struct err *err);
/* When one of these has something to do, on clock_ms(). */
int64_t on_change_next(const struct on_change *on_change, const struct seen *seen, bool idle);

bool on_change_busy(const struct on_change *on_change);

/* How it stands with set i, for the status. */
const char *on_change_state(const struct on_change *on_change, const struct seen *seen, size_t i);

#endif
