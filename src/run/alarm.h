/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_ALARM_H
#define RUN_ALARM_H

#include <stdbool.h>
#include <stdint.h>

struct config;
struct seen;

/* Sets a timerfd to a moment of its clock, in ms. */
void alarm_set(int timer, int64_t ms, int flags);

/*
 * Logs certificates that end soon, and sets wall, a timerfd of the wall clock, to the next such
 * moment. It is armed even where nothing is due, since only an armed one reports that the clock was
 * set.
 */
void alarm_check(int wall, struct seen *seen, const struct config *config);

/* Takes what made wall readable: true, and logged, where the clock was set. */
bool alarm_rang(int wall);

#endif
