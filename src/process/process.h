/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROCESS_PROCESS_H
#define PROCESS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "aws/environment.h"

struct config;
struct err;

/* The safe way to run: what a process is before it sees a secret, and the thread that sees them. */
struct process {
    struct environment environment; /* what it held of secrets */
    int signals;                    /* signalfd: TERM, INT, HUP, USR1, USR2, CHLD */
};

/*
 * No core dumps, not traceable, arena open, the environment's secrets taken, signals blocked in all
 * threads and read from a descriptor; SIGPIPE is an error of write(2). ERR_SYSTEM, ERR_MEMORY_LOCK,
 * ERR_MEMORY_FULL.
 */
int process_begin(struct process *process, const struct config *config, struct err *err);

/* The process's properties as the kernel reports them. */
struct process_facts {
    bool core;     /* it may dump core */
    bool dumpable; /* others may trace it, and read its memory */
    bool no_new_privs, seccomp;
};
void process_look(struct process_facts *facts);

/*
 * Closes sockets that the parent process left open after standard error: one that is not connected
 * yet could be connected to anybody, even though the sandbox allows no new one.
 */
void process_disown(void);

/* Work on the arena's stack, one at a time. Zero-initialise all but the first three. */
struct job {
    int (*function)(void *argument); /* returns the exit status */
    void *argument;
    int64_t deadline; /* on clock_ms() */
    int done;         /* eventfd, readable when it is over; the process's, kept from job to job */
    int status;
    int64_t look_at; /* when to check the job, on clock_ms(), if it is not over by then */
    int64_t processor_ms, late_ms; /* clock_processor() then; how much of it the job had since */
};
int job_open(struct job *job, struct err *err); /* once: the descriptor */
int job_start(struct job *job, struct err *err);

/* At look_at: whether the job may go on, until a new look_at. */
bool job_may_go_on(struct job *job);

/* Waits for a job that is over, and wipes its stack. */
int job_finish(struct job *job, struct err *err);

/*
 * How long after its deadline a job may go on before the process ends without it, in any state: the
 * set on disk is whole at every moment. A job that has had less than half of that time from the
 * processor may go on until it has had that. If the check itself comes late, the process was
 * suspended, and the job too: that time does not count, and the job gets the same time once more.
 */
#define JOB_GRACE_MS 2000

#endif
