/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOOK_HOOK_INTERNAL_H
#define HOOK_HOOK_INTERNAL_H

#include "hook/hook.h"

/*
 * A request is one packet: how many milliseconds the program has (int64_t), then the facts of
 * struct hook_change in their order, each with the NUL that ends it. The answer is one packet with
 * a struct hook_result.
 */
enum { HOOK_FACTS = 6, HOOK_FACTS_SIZE = 8192, HOOK_LINE_MAX = 1024 };

/* What the runner does, in the process that hook_open() forked. agent is its end of the socket. */
_Noreturn void hook_runner(int agent, const struct hook_options *options);

/* Keeps the first failure. */
void hook_fail(struct hook_result *result, enum hook_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A program's output on its way into the log. */
struct hook_output {
    int fd; /* of a pipe, non-blocking; -1: nobody writes to it any more */
    char line[HOOK_LINE_MAX + 1];
    size_t len;
    bool in_key; /* the line before was a private key's */
    int64_t lines;
};

/* Logs what one read(2) brings. */
void hook_output_read(struct hook_output *output);

/*
 * At the end of the program: logs the rest of the pipe, and how much was left out. Processes that
 * it left running may go on writing, so the pipe is closed only when nobody holds it.
 */
void hook_output_end(struct hook_output *output);

/* Runs the program until it ends or has been killed: 0, or -1 where the agent went meanwhile. */
struct hook_program {
    char *const *argv;
    char *const *environment;
    int64_t limit_ms;
    int agent;                  /* its end ends the program */
    int children;               /* signalfd(2) of SIGCHLD */
    struct hook_output *output; /* closed before */
};
int hook_program_run(const struct hook_program *program, struct hook_result *result);

/* Sends a signal, but never to the agent or the runner. */
void hook_signal_send(const struct hook_signal *signal, pid_t agent, struct hook_result *result);

#endif
