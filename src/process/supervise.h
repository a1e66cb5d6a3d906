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
    struct hook *hook; /* who tells of changes; NULL: not this verb's affair */
    int64_t deadline;  /* on clock_ms() */
};

/*
 * Runs a verb's work the safe way: no core dumps, not traceable, arena open, the environment's
 * secrets taken, the work on the arena's stack. Signals, and a time-out two seconds after the
 * deadline, are answered from outside of it, whatever state it is in. What fails goes to
 * lookout_fail().
 */
int supervise(const struct config *config, unsigned needs, int (*work)(const struct work *work),
              struct hook *hook);

#endif
