/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_STATE_H
#define RUN_STATE_H

#include "config/config.h"
#include "run/due.h"
#include "run/manager.h"
#include "run/on_change.h"
#include "run/publish.h"
#include "run/reload.h"
#include "run/seen.h"
#include "run/worker.h"

/* The service: each part has a header that says what it holds, and which thread may use it. */
struct service {
    const struct config *config;
    int64_t started_at; /* seconds since 1970 */
    struct process process;
    struct worker worker;       /* the work in progress */
    struct due due;             /* the schedule */
    struct seen seen;           /* what was found */
    struct on_change on_change; /* the hooks */
    struct publisher publisher; /* what was published */
    struct manager manager;     /* what the service manager has got */
    struct reload reload;
    int timer, wall; /* timerfds: the schedule; the wall clock, and its jumps */
    bool stop;       /* it ends, with this exit status: */
    int status;
};

/* Ends the service for what cannot be mended. */
void service_fail(struct service *service, const struct err *err);

/* jobs.c: starts the work that is due; when there is more, on clock_ms(); and takes its result. */
void jobs_start(struct service *service);
int64_t jobs_next(const struct service *service);
void jobs_finish(struct service *service);

/* reload.c: room for the endpoints of the first configuration; SIGHUP, once no job runs. */
int service_size(struct service *service, struct err *err);
void service_reload(struct service *service);

#endif
