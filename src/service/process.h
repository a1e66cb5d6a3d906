/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_PROCESS_H
#define SERVICE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "aws/environment.h"

struct config;
struct err;

/* The safe way to run: what a process is before it sees a secret, and the thread that sees them. */
struct process {
    struct environment environment; /* what it held of secrets */
    int signals;                    /* signalfd: TERM, INT, HUP, USR1, CHLD */
};

/*
 * No core dumps, not traceable, arena open, the environment's secrets taken, signals blocked in all
 * threads and read from a descriptor; SIGPIPE is an error of write(2). ERR_SYSTEM, ERR_MEMORY_LOCK,
 * ERR_MEMORY_FULL.
 */
int process_begin(struct process *process, const struct config *config, struct err *err);

/* What the kernel says of the process, whoever brought it about. */
struct process_facts {
    bool core;     /* it may dump core */
    bool dumpable; /* others may trace it, and read its memory */
    bool no_new_privs, seccomp;
};
void process_look(struct process_facts *facts);

/* Work on the arena's stack, one at a time. Zero-initialise what follows the first four. */
struct job {
    int (*function)(void *argument); /* returns the exit status */
    void *argument;
    int64_t deadline; /* on clock_ms() */
    int rules;        /* for sandbox_narrow() */
    int done;         /* eventfd, readable when it is over; the process's, kept from job to job */
    int status;
    int64_t end, seen; /* when it counts as hanging, and when it was looked at; on clock_ms() */
};
int job_open(struct job *job, struct err *err); /* once: the descriptor */
int job_start(struct job *job, struct err *err);

/* Waits for a job that is over, and wipes its stack. */
int job_finish(struct job *job, struct err *err);

/*
 * Whether a job went on for two seconds after its deadline: the process ends without it, whatever
 * state it is in, as the set on disk is whole at every moment. To be asked at job_look_at(), on
 * clock_ms(), the latest. Who comes late was suspended, and the job with him: that time does not
 * count.
 */
bool job_hangs(struct job *job);
int64_t job_look_at(const struct job *job);

#endif
