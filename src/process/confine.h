/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROCESS_CONFINE_H
#define PROCESS_CONFINE_H

#include <stdbool.h>
#include <sys/types.h>

struct config;
struct err;

/* What a command needs; all else it gives up. The table of commands has it for each. */
enum need {
    NEED_TARGET = 1,    /* read the installed set */
    NEED_INSTALL = 2,   /* to be changed */
    NEED_NETWORK = 4,   /* sockets, and the files of the resolver */
    NEED_AWS = 8,       /* shared files, tokens, CA bundles */
    NEED_RELOAD = 16,   /* it stays: the configuration, the names of users, timers */
    NEED_STATUS = 32,   /* to be read */
    NEED_PUBLISH = 64,  /* status and metrics */
    NEED_OPERAND = 128, /* the file to be inspected */
};

/* Processes and descriptors that exist already, and need no path. */
struct confine_options {
    unsigned needs; /* enum need */
    pid_t runner;   /* the hook runner, which may be killed; 0: there is none */
    int notify;     /* the service manager's socket, which stays with it; -1: there is none */
};

/*
 * Starts a command's sandbox, by its needs and its configuration: docs/sandbox.md. Call it once,
 * with the arena open, before any thread except the log's, which it stops meanwhile, and the
 * lookout, which it ends. Never fails; logs what is in force (event "sandbox").
 */
void confine(const struct config *config, const struct confine_options *options);

/*
 * Narrows a job's thread, which calls it first. It looks up files in /etc anew, so that the job
 * reads a replaced file, and not the rest of /etc. starting: all of /etc, where resolv.conf is a
 * plain file, since the system may replace it during the job.
 */
void confine_job(const struct config *config, bool starting);

/* Whether each set had a file in place when confine() looked, good or bad. */
bool confine_standing(void);

/*
 * Whether a new configuration fits the sandbox in force: ERR_CONFIG. Does not check files that keep
 * their place: a file system that hangs there must not prevent a new configuration.
 */
int confine_check(const struct config *config, const struct config *in_use, struct err *err);

/*
 * What is not in force although it was asked for, "seccomp: this kernel does not have it; ..."; "":
 * everything is.
 */
#define CONFINE_ABSENT_MAX 320
void confine_absent(char out[CONFINE_ABSENT_MAX]);

/* Says the first time that system calls were refused: a kernel that needs others, or an attack. */
void confine_log_refusals(void);

#endif
