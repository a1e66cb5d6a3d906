/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSTALL_INSTALL_RUN_LOCK_H
#define INSTALL_INSTALL_RUN_LOCK_H

#include "install/install.h"

struct err;

/*
 * One `run` for a target: it holds its own lock while it lives, in a file beside that of
 * install_set(). It is another lock, so that a fetch can work at the same time.
 */

/*
 * Makes target and file where they are missing, and takes the lock. Close *fd to let go, and
 * *directory, the target. A child that was forked and has not yet called exec holds it too.
 * ERR_ALREADY_RUNNING where another process holds it, ERR_TARGET_INVALID, ERR_INSTALL_FAILED; both
 * are -1 then.
 */
int install_run_lock(const struct install_target *target, int *fd, int *directory, struct err *err);

/*
 * The agent that runs the hook of a target's set holds this lock until that is noted. Waits until
 * the target's deadline: ERR_DEADLINE where another agent has it then; else the errors of
 * install_run_lock(), and *fd -1. Where no file can be made for it, *fd is -1 as well, and the lock
 * counts as held.
 */
int install_hook_lock(const struct install_target *target, int *fd, struct err *err);

/* Whether a process holds it now. Changes nothing on disk. */
enum install_lock_holder install_run_lock_holder(const struct install_target *target);

#endif
