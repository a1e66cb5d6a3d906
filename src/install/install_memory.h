/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_INSTALL_MEMORY_H
#define HOST_INSTALL_MEMORY_H

#include "install/install.h"

struct err;

/* What the agent remembers beside the set, in the file "..agent" of the target. "": nothing. */
struct install_memory {
    char told[INSTALL_NAME_SIZE]; /* the set that the hook was run for */
    char rolled_back[65];         /* the version that was rolled back because it went wrong */
    int64_t tried;                /* when it was tried last, seconds since 1970; 0: not known */
    char held[65];                /* the version that was rolled back by hand: not to be installed
                                     again until another one comes */
    char seen[65];                /* a version that waits to be installed, */
    int64_t seen_at;              /* since then, seconds since 1970 */
};

/*
 * Reads it; all "" where there is no file or no target. What is no regular file, a stranger's, or
 * not as this agent writes it counts as none, with the event memory_ignored. ERR_TARGET_INVALID
 * (also where it is there and cannot be read), ERR_MEMORY_FULL.
 */
int install_memory_read(const struct install_target *target, struct install_memory *memory,
                        struct err *err);

/* What changes in it: NULL stays as it is, "" is forgotten. */
struct install_memory_change {
    const char *told, *rolled_back, *held;
    int64_t tried; /* goes with rolled_back */
    const char *seen;
    int64_t seen_at; /* goes with seen */
};

/*
 * Changes it atomically and durably, under the lock of install_set(), so that of two agents none
 * undoes what the other has noted. Nothing is written where it says so already. Errors as
 * install_memory_read()'s, and ERR_INSTALL_FAILED (also for what is no set's name, no version),
 * ERR_DEADLINE, ERR_NO_IDENTITY (no target); the file is whole then too, mostly the old one.
 */
int install_memory_update(const struct install_target *target,
                          const struct install_memory_change *change, struct err *err);

#endif
