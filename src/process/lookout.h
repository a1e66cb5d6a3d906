/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROCESS_LOOKOUT_H
#define PROCESS_LOOKOUT_H

#include <stdbool.h>
#include <stdint.h>

struct err;

/*
 * Before a command has given up its rights, its thread reads files: the configuration, what the
 * sandbox is made of, locks. Where their file system hangs, so does that thread. Until then another
 * one looks out for signals and for the deadline, and ends the process for them; supervise() and
 * run do so afterwards.
 */

/*
 * Once, first of all; limit_ms: of the time that the process had. SIGTERM, SIGINT, SIGHUP, SIGUSR1,
 * SIGUSR2 and SIGCHLD are blocked from here on. Without memory for a thread nobody looks out.
 */
void lookout_begin(int64_t limit_ms);

/*
 * Call it once the command is known. stays: a signal that ends it is no failure, and SIGHUP waits
 * for the code that reads the configuration again; else SIGHUP ends it as well.
 */
void lookout_stays(bool stays);

/* Another limit, from the beginning on too. */
void lookout_limit(int64_t limit_ms);

/* For a caller that must have no other thread; after it nothing may hang. */
void lookout_end(void);

/*
 * What to do when the deadline has passed or the work cannot begin; returns the exit status. By
 * default log_error(), after a grace of two seconds; a command may have its own function, which is
 * its answer and comes in time.
 */
void lookout_fail_by(int (*fail)(const struct err *err));
int lookout_fail(const struct err *err);

#endif
