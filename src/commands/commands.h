/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMANDS_COMMANDS_H
#define COMMANDS_COMMANDS_H

#include <stdint.h>

struct config;
struct environment;
struct hook;

/* The verbs. Each runs to its end and returns the exit status. */
int command_fetch(const struct config *config);
int command_probe(const struct config *config);
int command_inspect(const struct config *config);
int command_run(const struct config *config);
int command_status(const struct config *config);
int command_healthcheck(const struct config *config);
int command_purge(const struct config *config);

/*
 * Runs a verb's work the safe way: no core dumps, not traceable, arena open, the environment's
 * secrets taken, the work on the arena's stack. Signals, and a time-out two seconds after the
 * deadline, are answered from outside of it, whatever state it is in.
 */
struct work {
    const struct config *config;
    const struct environment *environment;
    struct hook *hook; /* who tells of changes; NULL: not this verb's affair */
    int64_t deadline;  /* on clock_ms() */
};
int command_supervise(const struct config *config, int (*work)(const struct work *work),
                      struct hook *hook);

#endif
