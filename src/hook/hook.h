/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOOK_HOOK_H
#define HOOK_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/*
 * The work after a change of the installed set: a program runs, then processes get a signal. The
 * hook runner does it, a process that is forked before there is a secret or a thread, so that the
 * agent itself never forks, executes or signals. Program and signals are fixed at the fork; the
 * agent can only say what has changed, and how much time there is.
 */
struct hook_signal {
    int number;
    const char *name;     /* "HUP" */
    pid_t pid;            /* 0: of pid_file */
    const char *pid_file; /* absolute, or NULL */
};

struct hook_options {
    char *const *argv; /* argv[0] absolute; NULL: no program */
    const struct hook_signal *signals;
    size_t signal_count;
    int64_t timeout_ms; /* of the program */
};

/* What has changed, as the program's environment names it. All public; NULL means "". */
struct hook_change {
    const char *event;       /* MTLS_AGENT_CHANGE_EVENT, "installed" */
    const char *set;         /* MTLS_AGENT_CHANGE_SET */
    const char *dir;         /* MTLS_AGENT_DIR, with the root before it */
    const char *fingerprint; /* MTLS_AGENT_CHANGE_FINGERPRINT */
    const char *not_after;   /* MTLS_AGENT_CHANGE_NOT_AFTER, "2026-11-23T10:00:00Z" */
    const char *version_id;  /* MTLS_AGENT_CHANGE_VERSION_ID */
};

enum hook_outcome {
    HOOK_DONE,
    HOOK_FAILED, /* the program or a signal failed; the rest was done nevertheless */
    HOOK_TIMEOUT /* the program was killed; the signals were sent nevertheless */
};

#define HOOK_GRACE_MS 2000 /* between SIGTERM and SIGKILL */

#define HOOK_REASON_MAX 512
struct hook_result {
    enum hook_outcome outcome;
    int status; /* of the program: its exit status, 128 + the signal that ended it, or 0 */
    int64_t ms; /* how long it all took */
    char reason[HOOK_REASON_MAX]; /* a clause about the first failure; "": none */
};

struct hook {
    int fd; /* readable when hook_take() has a result */
    pid_t pid;
    bool busy; /* started, and the result not taken yet */
};

/*
 * Forks the runner. Call it while the process has one thread, and secrets only in its environment,
 * which the runner overwrites at once. options, and all that they point to, must not be in the
 * environment. Every descriptor above 2 becomes close-on-exec. 0, or -1 with ERR_SYSTEM.
 *
 * The program runs in a session of its own with "/" as directory, umask 022, an empty standard
 * input, and an environment of PATH and the variables above. Its output goes to the log, line by
 * line (events hook_output, hook_output_dropped). Processes that it leaves behind may live on and
 * write, also after the agent's end. When its time is over, or the agent ends, its process group
 * gets SIGTERM, and SIGKILL HOOK_GRACE_MS later.
 *
 * The program runs only if nobody but root or the agent's user could have written it. A PID file,
 * and the directories above it, may belong to one other user, who must himself be allowed to signal
 * the process. A symbolic link is refused, and so is the number 1. Where there is no such process,
 * that is a warning (hook_nobody), and the signal counts as sent.
 */
int hook_open(struct hook *hook, const struct hook_options *options, struct err *err);

/*
 * Starts program and signals for a change, and does not wait. The program has the shorter of
 * limit_ms and timeout_ms. One change at a time: hook_take() must have returned 1 for the previous
 * one. 0, or -1 with ERR_SYSTEM.
 */
int hook_start(struct hook *hook, const struct hook_change *change, int64_t limit_ms,
               struct err *err);

/* 1: *result is filled. 0: not yet. -1: the runner is gone; only hook_close() may follow. */
int hook_take(struct hook *hook, struct hook_result *result);

/*
 * Whether a program could run: nobody else could have written it or its interpreter, and the kernel
 * would find and execute them all. 0; -1 with a clause and errno: EPERM where somebody could have,
 * EACCES where it is not executable, ENOTSUP where its mount forbids it, ENOEXEC where it is no
 * program for this machine; else open(2)'s.
 */
int hook_could(const char *program, char why[HOOK_REASON_MAX]);

/* Whether a signal would find its process now: its number; 0: none runs; -1 with a clause. */
pid_t hook_signal_could(const struct hook_signal *signal, char why[HOOK_REASON_MAX]);

/* Ends the runner and reaps it, with a program that still runs, as if its time were over. */
void hook_close(struct hook *hook);

#endif
