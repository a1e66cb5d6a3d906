/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_INSTALL_HOLD_H
#define HOST_INSTALL_HOLD_H

#include "host/install.h"

struct err;

/*
 * One `run` a target: it holds an exclusive flock(2) on the file "..run" there for as long as it
 * lives. This is not the lock of install_set(), so that a fetch can go on beside it.
 */

/*
 * Makes target and file where they are missing, and takes the lock. Close *fd to let go; a child
 * that was forked and has not yet called exec holds it too. ERR_ALREADY_RUNNING where another
 * process holds it, ERR_TARGET_INVALID, ERR_INSTALL_FAILED; *fd is -1 then.
 */
int install_hold(const struct install_target *target, int *fd, struct err *err);

enum install_held {
    INSTALL_HELD_NO,
    INSTALL_HELD_YES,
    INSTALL_HELD_UNKNOWN /* the file cannot be opened, or is not the agent's */
};

/* Whether a process holds it now. Changes nothing on disk. */
enum install_held install_held(const struct install_target *target);

#endif
