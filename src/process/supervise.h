/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROCESS_SUPERVISE_H
#define PROCESS_SUPERVISE_H

#include <stdint.h>

struct config;
struct environment;
struct hook;

/* What a verb's work is given. */
struct work {
    const struct config *config;
    const struct environment *environment;
    struct hook *hook; /* runs the hook; NULL: this verb has none */
    int64_t deadline;  /* on clock_ms() */
};

/*
 * Runs a verb's work safely: no core dumps, not traceable, arena open, the environment's secrets
 * taken, the work on the arena's stack. Another thread handles signals, and a time-out two seconds
 * after the deadline, in whatever state the work is. Failures go to lookout_fail().
 */
int supervise(const struct config *config, unsigned needs, int (*work)(const struct work *work),
              struct hook *hook);

#endif
