/* SPDX-License-Identifier: Apache-2.0 */
#include "run/alarm.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "run/seen.h"

#define NEVER INT64_C(253402300799) /* 9999-12-31T23:59:59Z, which a timer bears */

void alarm_set(int timer, int64_t ms, int flags)
{
    struct itimerspec when = {0};

    if (ms < 1)
        ms = 1; /* zero would disarm it */
    when.it_value.tv_sec = (time_t)(ms / 1000);
    when.it_value.tv_nsec = (long)(ms % 1000) * 1000000;
    (void)timerfd_settime(timer, TFD_TIMER_ABSTIME | flags, &when, NULL);
}

bool alarm_rang(int wall)
{
    uint64_t count;

    if (read(wall, &count, sizeof count) >= 0 || errno != ECANCELED)
        return false;
    log_event(LOG_LEVEL_WARNING, "clock_set", log_n("wall", clock_wall()));
    return true;
}

static void log_expiry(const char *set, const char *certificate, int64_t end)
{
    const int64_t left = end - clock_wall();
    char not_after[CLOCK_TEXT_MAX];

    clock_format(not_after, end);
    log_event(left > 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, left > 0 ? "expires" : "expired",
              log_s("set", set), log_s("certificate", certificate), log_s("not_after", not_after),
              log_n("hours_left", left > 0 ? left / 3600 : 0));
}

void alarm_check(int wall, struct seen *seen, const struct config *config)
{
    const int64_t now = clock_wall();
    int64_t next, soonest = NEVER;
    size_t i, which;

    for (i = 0; i < config->set_count; i++) {
        struct seen_set *set = &seen->sets[i];
        struct expiry *const ladders[] = {&set->leaf, &set->ca};
        const int64_t ends[] = {set->state.not_after, set->state.ca_not_after};
        static const char *const names[] = {"leaf", "ca"};

        for (which = 0; which < 2; which++) {
            /* Of a set that does not verify any more, as its CA has expired, the ends are known
             * from before. */
            const int64_t end =
                ends[which] == 0 && set->state.facts.set[0] ? ladders[which]->end : ends[which];

            if (expiry_due(ladders[which], end, now, &next))
                log_expiry(config_set_name(config, i), names[which], end);
            if (next && next < soonest)
                soonest = next;
        }
    }
    alarm_set(wall, soonest * 1000, TFD_TIMER_CANCEL_ON_SET);
}
