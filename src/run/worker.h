/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_WORKER_H
#define RUN_WORKER_H

#include "agent/agent.h"
#include "base/log.h"
#include "process/process.h"
#include "run/target_state.h"
#include "run/watch.h"

/* What a job does. Each ends with a state. */
enum work_kind { WORK_NONE, WORK_LOOK, WORK_CYCLE, WORK_PROBE };

/*
 * The job, and the data that belong to it while it runs: main touches only the first four members
 * meanwhile.
 */
struct worker {
    enum work_kind busy;
    int64_t since;    /* on clock_ms() */
    int64_t retry_at; /* no job before, since none could be started */
    struct job job;
    bool starting; /* not every set has been valid yet */
    struct agent agent;
    struct watch watch;
    struct target_state states[CONFIG_SETS_MAX];
    struct log_memory cycle_log, probe_log;
    int lock;             /* that there is one agent for a directory */
    int target;           /* that directory */
    const char *homeless; /* what became of target or lock; NULL: they are there */
};

/* False where no thread can be started at the moment: try again at retry_at. */
bool worker_start(struct worker *worker, enum work_kind kind);
/* Takes the end of a job. ERR_SYSTEM; ERR_TARGET_INVALID where the target is gone. */
int worker_finish(struct worker *worker, struct err *err);

#endif
