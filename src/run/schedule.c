/* SPDX-License-Identifier: Apache-2.0 */
#include "run/schedule.h"

enum { FLOOR_MS = 5000, FIRST_MS = 60000 };

struct schedule schedule_of(int64_t interval_ms)
{
    return (struct schedule){
        .interval_ms = interval_ms,
        .floor_ms = interval_ms / 2 < FLOOR_MS ? interval_ms / 2 : FLOOR_MS,
    };
}

int64_t schedule_first(const struct schedule *schedule, int64_t now, uint32_t random)
{
    const int64_t most = schedule->interval_ms < FIRST_MS ? schedule->interval_ms : FIRST_MS;

    return now + ((most + 1) * random >> 32);
}

/* The time that a failure is worth waiting for, within the interval. */
static int64_t backoff(const struct schedule *schedule)
{
    int64_t span = schedule->floor_ms;
    unsigned i;

    for (i = 0; i < schedule->failures && span < schedule->interval_ms; i++)
        span *= 2;
    return span;
}

int64_t schedule_next(struct schedule *schedule, bool failed, int64_t now, uint32_t random)
{
    int64_t most = schedule->interval_ms;

    schedule->failures = failed ? schedule->failures + 1 : 0;
    if (failed && backoff(schedule) < most)
        most = backoff(schedule);
    if (most < schedule->floor_ms)
        most = schedule->floor_ms;
    return now + schedule->floor_ms + ((most - schedule->floor_ms + 1) * random >> 32);
}
