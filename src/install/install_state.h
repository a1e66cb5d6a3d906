/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSTALL_INSTALL_STATE_H
#define INSTALL_INSTALL_STATE_H

#include "install/install.h"

struct err;

/* The agent's notes beside the set, in the file "..agent" of the target. "": nothing. */
struct install_state {
    char told[INSTALL_NAME_SIZE]; /* the set that the hook was run for */
    char rolled_back[65];         /* the version that was rolled back because it went wrong */
    int64_t tried;                /* when it was tried last, seconds since 1970; 0: not known */
    char held_back[65];           /* the version that was rolled back by hand: not to be installed
                                again until another one comes */
    char seen[65];                /* a version that waits to be installed, */
    int64_t seen_at;              /* since then, seconds since 1970 */
};

/*
 * Reads it; all "" where there is no file or no target. A thing that is no regular file, a
 * stranger's, or not in this agent's form counts as absent, with the event state_ignored.
 * ERR_TARGET_INVALID (also where it cannot be read), ERR_MEMORY_FULL.
 */
int install_state_read(const struct install_target *target, struct install_state *state,
                       struct err *err);

/* A change: NULL keeps a note, "" removes it. */
struct install_state_change {
    const char *told, *rolled_back, *held_back;
    int64_t tried; /* goes with rolled_back */
    const char *seen;
    int64_t seen_at; /* goes with seen */
};

/*
 * Changes it atomically and durably, under the lock of install_set(), so that two agents do not
 * undo each other's notes. Writes nothing where it would not change. Errors as
 * install_state_read()'s, and ERR_INSTALL_FAILED (also for an invalid set name or version),
 * ERR_DEADLINE, ERR_NO_IDENTITY (no target). After an error the file is whole too, mostly the old
 * one.
 */
int install_state_update(const struct install_target *target,
                         const struct install_state_change *change, struct err *err);

#endif
