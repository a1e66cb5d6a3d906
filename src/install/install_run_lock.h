/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSTALL_INSTALL_RUN_LOCK_H
#define INSTALL_INSTALL_RUN_LOCK_H

#include "install/install.h"

struct err;

/*
 * One `run` a target: it holds a lock of its own for as long as it lives, in a file that lies where
 * that of install_set() does. It is not that one, so that a fetch can go on beside it.
 */

/*
 * Makes target and file where they are missing, and takes the lock. Close *fd to let go, and
 * *directory, the target. A child that was forked and has not yet called exec holds it too.
 * ERR_ALREADY_RUNNING where another process holds it, ERR_TARGET_INVALID, ERR_INSTALL_FAILED; both
 * are -1 then.
 */
int install_run_lock(const struct install_target *target, int *fd, int *directory, struct err *err);

/*
 * Who tells others of a target's set holds this one, until it is noted. Waits until the target's
 * deadline: ERR_DEADLINE where another agent has it then; else the errors of install_run_lock(),
 * and *fd -1. Where no file can be made for it *fd is -1 as well, and the claim good.
 */
int install_hook_lock(const struct install_target *target, int *fd, struct err *err);

/* Whether a process holds it now. Changes nothing on disk. */
enum install_lock_holder install_run_lock_holder(const struct install_target *target);

#endif
