/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSTALL_TRACE_H
#define INSTALL_TRACE_H

#include <sys/types.h>

#include "install_fixture.h"

/* Work of the agent's under ptrace(2), to see and to disturb what it asks of the kernel. */

/* Begins it in a process that waits to be let run. Skips the test where tracing is not permitted.
 */
pid_t trace_begin(struct fixture *fixture, fixture_work *work, int number);

/* Lets it run to its next entry into the kernel, or exit from it; false where it has ended. */
bool trace_to_next_stop(pid_t pid, int *status);

struct disturbance {
    fixture_work *work;
    int number;
    int call;  /* from 1 */
    int error; /* 0: it is killed as it enters that call; else the call fails so (x86_64 only) */
};

/* False where it did not come so far. *outcome is as fixture_wait()'s. */
bool trace_disturb(struct fixture *fixture, const struct disturbance *disturbance, int *outcome);

/*
 * Lets it run to its end and asserts that all it has written is synced before a rename to name (at
 * most 7 bytes) shows it, and that rename before anything is unlinked, and at the end. How many
 * such renames there were.
 */
int trace_durability(struct fixture *fixture, fixture_work *work, int number, const char *name);

#endif
