/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_PUBLISH_H
#define RUN_PUBLISH_H

#include <stdatomic.h>

#include "base/aside.h"
#include "base/buf.h"
#include "run/status.h"

struct log_field;
struct metrics;
struct service;

/* What status file, metrics and service manager have got. */
struct publisher {
    struct metrics *metrics;
    size_t refusals, dropped;   /* of the sandbox, and lines of the log, as the metrics know them */
    struct aside output, files; /* standard output and file systems may hang */
    struct buf unread;          /* EMF text for standard output */
    atomic_size_t read;         /* so many bytes of it are written */
    int64_t at;                 /* on clock_ms(): the next time, whatever else happens until then */
    char path[STATUS_PATH_MAX]; /* of the status file */
    char unwritten[STATUS_PATH_MAX]; /* why status or metrics cannot be written; "": they can */
};

/*
 * publish.c: writes the state of the service to all of them: after each piece of work, and each
 * PUBLISH_MS, so that readers know that the agent lives.
 */
#define PUBLISH_MS INT64_C(240000) /* below the five minutes that alarms look at */
void publish(struct publisher *publisher, const struct service *service);
void publish_log(const struct service *service); /* SIGUSR1 */

/* measure.c: sets the gauges; and for a new configuration, the counters that start with 0. */
void measure(const struct service *service);
void measure_begin(const struct service *service);
/* An observer of the log, with a service: for the metrics. It knows endpoints by the form that
 * these have. */
void measure_event(void *user, const char *event, const struct log_field *fields);

#endif
