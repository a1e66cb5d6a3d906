/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_SCHEDULE_H
#define RUN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * When the next cycle begins. Full jitter: whatever set a fleet's hosts off together, a moment
 * later they are spread over the whole interval. docs/fleet.md shows what comes of it.
 */
struct schedule {
    int64_t interval_ms; /* the most between the end of a cycle and the next one */
    int64_t floor_ms;    /* the least */
    unsigned failures;   /* in a row */
};

/* For an interval: its half is the floor, 5 s at most. */
struct schedule schedule_of(int64_t interval_ms);

/*
 * Pure: when the first cycle begins if the installed set may stay for a while: within a minute and
 * the interval from now, so that hosts that start together do not ask together.
 */
int64_t schedule_first(const struct schedule *schedule, int64_t now, uint32_t random);

/*
 * Pure: the moment at which a cycle ended and 32 random bits in, the next one's start out. After a
 * failure the span is twice the floor, and doubles up to the interval with each one more.
 */
int64_t schedule_next(struct schedule *schedule, bool failed, int64_t now, uint32_t random);

#endif
