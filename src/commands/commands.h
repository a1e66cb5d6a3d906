/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMANDS_COMMANDS_H
#define COMMANDS_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

struct config;
struct err;

/* A verb, and all that is known of it. */
struct command {
    const char *name;
    int (*run)(const struct config *config, unsigned needs); /* to its end; the exit status */
    unsigned needs;       /* the rights that it keeps, of enum need: process/confine.h */
    const char *operand;  /* the words that it takes, as --help has them: " [FILE]"; NULL: none */
    bool answers;         /* on standard output, where people look at it */
    enum log_level least; /* the lowest level that is logged: one answer needs no more */
    const char *help;
    int (*fail)(const struct err *err); /* reports that it took too long; returns the exit status.
                                           NULL: as for all errors */
};

extern const struct command command_list[]; /* ends with one that has no name */

/* NULL: there is no such command. */
const struct command *command_find(const char *name);

int command_fetch(const struct config *config, unsigned needs);
int command_probe(const struct config *config, unsigned needs);
int command_attest(const struct config *config, unsigned needs);
int command_inspect(const struct config *config, unsigned needs);
int command_run(const struct config *config, unsigned needs);
int command_status(const struct config *config, unsigned needs);
int command_healthcheck(const struct config *config, unsigned needs);
int command_purge(const struct config *config, unsigned needs);

int command_doctor(const struct config *config, unsigned needs);
int command_check_config(const struct config *config, unsigned needs);

int healthcheck_fail(const struct err *err);
int doctor_fail(const struct err *err);

/* Whether run is alive and writes its status as it should; else why not. */
bool healthcheck_runs(const struct config *config, int64_t deadline, char *reason, size_t size);

#endif
