/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

/*
 * The clock of a test whose Makefile rule puts these in the place of clock_ms(), clock_left(),
 * clock_share() and clock_sleep(): time passes by what is slept, and by nothing else, and a sleep
 * takes no time. So a schedule is gone through to its end at once, and a busy machine lets no
 * deadline pass.
 */
int64_t __wrap_clock_ms(void);
int64_t __wrap_clock_left(int64_t at_ms);
int64_t __wrap_clock_share(int64_t at_ms, size_t among);
void __wrap_clock_sleep(int64_t ms, int64_t at_ms);

static _Atomic int64_t now = 1000000;

int64_t __wrap_clock_ms(void)
{
    return now;
}

int64_t __wrap_clock_left(int64_t at_ms)
{
    return at_ms > now ? at_ms - now : 0;
}

/* A linker may leave a call within clock.c as it is. */
int64_t __wrap_clock_share(int64_t at_ms, size_t among)
{
    const int64_t left = __wrap_clock_left(at_ms);

    return at_ms - left + left / (int64_t)(among < CLOCK_SHARES_MAX ? among : CLOCK_SHARES_MAX);
}

void __wrap_clock_sleep(int64_t ms, int64_t at_ms)
{
    const int64_t left = __wrap_clock_left(at_ms);

    now += ms < left ? ms : left;
}
