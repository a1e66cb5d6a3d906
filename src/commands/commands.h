/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMANDS_COMMANDS_H
#define COMMANDS_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

struct config;
struct environment;
struct hook;

/* A verb, and all that is known of it. */
struct command {
    const char *name;
    int (*run)(const struct config *config, unsigned needs); /* to its end; the exit status */
    unsigned needs; /* the rights that it keeps, of enum need: service/confine.h */
    bool takes_operand;
    enum log_level least; /* that is logged: who asks for one answer gets no more */
    const char *help;
};

extern const struct command command_list[]; /* ends with one that has no name */

/* NULL: there is none of that name. */
const struct command *command_find(const char *name);

int command_fetch(const struct config *config, unsigned needs);
int command_probe(const struct config *config, unsigned needs);
int command_attest(const struct config *config, unsigned needs);
int command_inspect(const struct config *config, unsigned needs);
int command_run(const struct config *config, unsigned needs);
int command_status(const struct config *config, unsigned needs);
int command_healthcheck(const struct config *config, unsigned needs);
int command_purge(const struct config *config, unsigned needs);

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
int command_supervise(const struct config *config, unsigned needs,
                      int (*work)(const struct work *work), struct hook *hook);

#endif
