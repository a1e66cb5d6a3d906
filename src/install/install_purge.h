/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSTALL_INSTALL_PURGE_H
#define INSTALL_INSTALL_PURGE_H

#include <stddef.h>

#include "install/install.h"

struct err;

struct purged {
    size_t removed; /* names */
    size_t left;    /* names that are not the agent's; each is logged (event "purge_left") */
};

/*
 * Removes everything that this agent has ever installed in a target and in its subdirectories:
 * sets, links through "..data", notes, lock, status. The target itself stays, and so does
 * everything that is not the agent's. A missing target is a success. ERR_ALREADY_RUNNING where
 * `run` holds it; ERR_TARGET_INVALID; ERR_INSTALL_FAILED where something of ours could not be
 * removed (everything else is gone then); ERR_DEADLINE.
 */
int install_purge(const struct install_target *target, struct purged *purged, struct err *err);

#endif
