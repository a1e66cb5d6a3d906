/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSTALL_INSTALLED_H
#define INSTALL_INSTALLED_H

#include <stdbool.h>

#include "install/install.h"

struct err;
struct identity;

/* Between a proven identity in memory and the set of files that install.h keeps. */

/*
 * Reads the installed identity of a target, and checks it as a new one. NULL with err:
 * ERR_NO_IDENTITY, ERR_TARGET_INVALID, and all errors of identity_new() for a damaged one. Free
 * with identity_free().
 */
struct identity *installed_identity(const struct install_target *target, struct err *err);

/*
 * Installs an identity: its files, and with combined client.pem (key, leaf, chain) for programs
 * that open one file. Errors as install_set()'s.
 */
struct installing {
    const struct identity *identity;
    const struct install_source *sources;
    size_t source_count;
    bool combined;
    const struct install_overlap *overlap; /* of the identity's anchors */
    size_t overlap_count;
};
int install_identity(const struct install_target *target, const struct installing *what,
                     enum install_outcome *outcome, struct err *err);

#endif
