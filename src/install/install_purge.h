/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSTALL_INSTALL_PURGE_H
#define INSTALL_INSTALL_PURGE_H

#include <stddef.h>

#include "install/install.h"

struct err;

struct purged {
    size_t removed; /* names */
    size_t left;    /* of strangers, each told (event "purge_left") */
};

/*
 * Removes all that this agent has ever installed in a target and in its subdirectories: sets, links
 * through "..data", notes, lock, status. The target itself stays, and so does what is not the
 * agent's. A target that is not there is good. ERR_ALREADY_RUNNING where `run` holds it;
 * ERR_TARGET_INVALID; ERR_INSTALL_FAILED where something of ours could not be removed, all else is
 * gone then; ERR_DEADLINE.
 */
int install_purge(const struct install_target *target, struct purged *purged, struct err *err);

#endif
