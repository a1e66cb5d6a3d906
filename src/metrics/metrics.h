/* SPDX-License-Identifier: Apache-2.0 */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aside;
struct buf;
struct err;
struct log_field;

/*
 * The daemon's counters and measurements, for Prometheus as text and for CloudWatch as embedded
 * metric format. Holds no secret; lives on the ordinary heap. All functions may be called from any
 * thread.
 *
 * Each metric takes the labels in its comment, in that order, and values in the unit there:
 * rendering converts milliseconds and thousandths.
 */
enum metric {
    METRIC_BUILD_INFO,             /* version; 1 */
    METRIC_START_TIME,             /* seconds since 1970 */
    METRIC_FETCH_INTERVAL,         /* s, between two regular fetches */
    METRIC_FETCHES,                /* set, result */
    METRIC_FETCH_ERRORS,           /* set, code */
    METRIC_ANSWERS,                /* set, region */
    METRIC_FETCH_DURATION,         /* ms */
    METRIC_LAST_FETCH,             /* set; seconds since 1970 */
    METRIC_LAST_SUCCESS,           /* set; seconds since 1970 */
    METRIC_WAVE_UNTIL,             /* set; seconds since 1970 */
    METRIC_RETRIES,                /* step; by metrics_event() */
    METRIC_INSTALLS,               /* set, outcome */
    METRIC_ROLLBACKS,              /* set */
    METRIC_SECRET_VERSION,         /* set, secret, version_id; 1 */
    METRIC_CERTIFICATE_NOT_BEFORE, /* set, certificate ("leaf", "ca"); seconds since 1970 */
    METRIC_CERTIFICATE_NOT_AFTER,  /* the same */
    METRIC_HANDSHAKES,             /* endpoint, result, alert; by metrics_event() */
    METRIC_HANDSHAKES_COMPLETED,   /* endpoint, version, group, handshake; by metrics_event() */
    METRIC_HANDSHAKE_DURATION,     /* endpoint; ms; by metrics_event() */
    METRIC_ATTESTATIONS,           /* endpoint, result; by metrics_event() */
    METRIC_ATTESTED,               /* endpoint; 1 or 0 */
    METRIC_SUCCESS_RATIO,          /* endpoint, window ("1h", "24h"); thousandths */
    METRIC_HOOKS,                  /* result ("done", "failed", "timeout") */
    METRIC_HOOK_DURATION,          /* ms */
    METRIC_MEMORY_LOCKED,          /* bytes */
    METRIC_MEMORY_PEAK,            /* bytes */
    METRIC_MEMORY_LOCK,            /* backing; 1 */
    METRIC_SANDBOX,                /* core, dumpable, no_new_privs, seccomp, landlock; 1 */
    METRIC_SANDBOX_REFUSALS,
    METRIC_CLOCK_JUMPS,
    METRIC_RELOADS, /* result ("done", "failed") */
    METRIC_WAKEUPS,
    METRIC_LOG_LINES_DROPPED,
    METRIC_DROPPED, /* counted here: what found no room */
    METRICS
};

/* Values are copied; from METRICS_LABEL_MAX bytes on they are cut. Bytes that are not printable
 * ASCII become \xNN, since CloudWatch takes no others. */
#define METRICS_LABEL_MAX 640
struct metrics_labels {
    const char *value[5]; /* NULL: "" */
};
#define METRICS_LABELS(...) (&(const struct metrics_labels){{__VA_ARGS__}})

#define METRICS_SERIES_MAX 16384 /* metrics with their labels; one more is dropped and counted */

/* NULL: no memory. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/*
 * Whether metrics_render_emf() will be called; at first it will not. From the call with true on,
 * counters report their increase, and durations are kept.
 */
void metrics_use_emf(struct metrics *metrics, bool emf);

/*
 * Adds to a counter, sets a gauge, puts a duration into a histogram. labels may be NULL. Adding 0
 * makes a counter known before there is anything to count, as a rate or an alarm needs it.
 */
void metrics_add(struct metrics *metrics, enum metric metric, const struct metrics_labels *labels,
                 int64_t by);
void metrics_set(struct metrics *metrics, enum metric metric, const struct metrics_labels *labels,
                 int64_t value);
void metrics_observe(struct metrics *metrics, enum metric metric,
                     const struct metrics_labels *labels, int64_t ms);

/* Drops a metric with all of its labels: for a gauge whose labels are other ones from now on. */
void metrics_forget(struct metrics *metrics, enum metric metric);

/*
 * Drops each series whose label of this name has none of these values, so that series that are no
 * longer configured take no room. EMF first gets what it does not have of them.
 */
void metrics_retain(struct metrics *metrics, const char *label, const char *const *values,
                    size_t count);

/* An observer of the log: counts the events "retry" and "handshake". */
void metrics_event(void *metrics, const char *event, const struct log_field *fields);

/*
 * Appends all as Prometheus text exposition format 0.0.4, always in the same order. -1: no room,
 * out is as it was.
 */
int metrics_render(struct metrics *metrics, struct buf *out);

/*
 * Replaces a file by what metrics_render() makes, atomically, with mode 0644: a reader sees the old
 * or the new one; fs_replace() says how. Written aside, as the file system may hang. ERR_SYSTEM,
 * ERR_MEMORY_FULL; then the old file is as it was.
 */
int metrics_write(struct metrics *metrics, struct aside *aside, const char *path, struct err *err);

/*
 * Appends CloudWatch embedded metric format: one JSON object a line for each set of dimension
 * values, each far below 256 KiB. A counter is the increase since the last call (0 as well, where
 * an alarm looks at it), a histogram the newest 100 values since then, a time the seconds until or
 * since then. now_ms: since 1970. -1: no room; out is as it was, and the next call writes all of
 * it.
 */
int metrics_render_emf(struct metrics *metrics, int64_t now_ms, struct buf *out);

#endif
