/* SPDX-License-Identifier: Apache-2.0 */
#include "run/due.h"

#include "base/log.h"
#include "base/random.h"
#include "config/config.h"

static int64_t rounds_of(const struct config *config)
{
    const int64_t probe = config->probe_interval_ms;

    if (config->endpoint_count == 0)
        return 0;
    if (config->attest == ATTEST_OFF || (probe > 0 && probe <= config->attest_interval_ms))
        return probe;
    return config->attest_interval_ms;
}

void due_configure(struct due *due, const struct config *config)
{
    const struct schedule schedule = schedule_of(config->interval_ms);

    due->schedule.interval_ms = schedule.interval_ms;
    due->schedule.floor_ms = schedule.floor_ms;
    due->rounds_ms = rounds_of(config);
}

bool due_cycle(const struct due *due, int64_t now)
{
    return now >= (due->refresh ? due->floor_at : due->cycle_at);
}

bool due_round(const struct due *due, int64_t now)
{
    return due->rounds_ms > 0 && now >= due->round_at;
}

int64_t due_next(const struct due *due)
{
    const int64_t cycle = due->refresh ? due->floor_at : due->cycle_at;

    return due->rounds_ms > 0 && due->round_at < cycle ? due->round_at : cycle;
}

void due_plan_first(struct due *due, int64_t now)
{
    uint32_t random;

    random_bytes(&random, sizeof random);
    due->cycle_at = schedule_first(&due->schedule, now, random);
}

void due_push(struct due *due, int64_t now)
{
    const int64_t before = due->cycle_at;

    due->pushed = false;
    due_plan_first(due, now);
    if (due->cycle_at < due->floor_at)
        due->cycle_at = due->floor_at;
    if (due->cycle_at > before)
        due->cycle_at = before;
    log_event(LOG_LEVEL_INFO, "pushed", log_n("in_ms", due->cycle_at - now));
}

void due_plan_cycle(struct due *due, bool failed, int64_t now)
{
    uint32_t random;

    random_bytes(&random, sizeof random);
    due->cycle_at = schedule_next(&due->schedule, failed, now, random);
    due->floor_at = now + due->schedule.floor_ms;
}

/* A little to and fro, so that hosts that started together do not stay together. */
void due_plan_round(struct due *due, int64_t now)
{
    const uint32_t tenth = (uint32_t)(due->rounds_ms / 10);

    due->round_at = now + due->rounds_ms - tenth / 2 + random_below(tenth + 1);
}
