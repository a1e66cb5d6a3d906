/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROCESS_CONFINE_H
#define PROCESS_CONFINE_H

#include <stdbool.h>
#include <sys/types.h>

struct config;
struct err;

/* What a command needs; all else it gives up. The table of commands has it for each. */
enum need {
    NEED_TARGET = 1,    /* what is installed, to be read */
    NEED_INSTALL = 2,   /* to be changed */
    NEED_NETWORK = 4,   /* sockets, and the files of the resolver */
    NEED_AWS = 8,       /* shared files, tokens, CA bundles */
    NEED_RELOAD = 16,   /* it stays: the configuration, the names of users, timers */
    NEED_STATUS = 32,   /* to be read */
    NEED_PUBLISH = 64,  /* status and metrics */
    NEED_OPERAND = 128, /* the file to be inspected */
};

/* What goes on without a path: processes and descriptors that are there already. */
struct confine_options {
    unsigned needs; /* enum need */
    pid_t runner;   /* the hook runner, which may be killed; 0: there is none */
    int notify;     /* the service manager's socket, which stays with it; -1: there is none */
};

/*
 * The sandbox that a command gets, by its needs and its configuration: docs/sandbox.md. Once, with
 * the arena open, before any thread but the log's, which it stops meanwhile, and the lookout, which
 * it ends. Never fails; logs what is in force (event "sandbox").
 */
void confine(const struct config *config, const struct confine_options *options);

/*
 * Narrows a job's thread, which calls it before anything else: files beside others in /etc are
 * found anew, so that one that was replaced is read, and the rest of /etc is not. starting: all of
 * /etc, where resolv.conf is a plain file, since whoever sets up the network may replace it during
 * the job.
 */
void confine_job(const struct config *config, bool starting);

/* Whether each set had a file in place when confine() looked, good or bad. */
bool confine_standing(void);

/* Whether a new configuration gets along with what is in force: ERR_CONFIG. What is told to where
 * the one in use tells it is not looked at: a file system that hangs there keeps nobody from a new
 * configuration. */
int confine_check(const struct config *config, const struct config *in_use, struct err *err);

/* What is not in force though it was asked for, "seccomp: this kernel does not have it; ..."; "":
 * all is. */
#define CONFINE_ABSENT_MAX 320
void confine_absent(char out[CONFINE_ABSENT_MAX]);

/* Says the first time that system calls were refused: a kernel that needs others, or an attack. */
void confine_log_refusals(void);

#endif
