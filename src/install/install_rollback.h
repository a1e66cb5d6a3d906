/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSTALL_INSTALL_ROLLBACK_H
#define INSTALL_INSTALL_ROLLBACK_H

#include "install/install.h"

struct bundle;
struct err;

/*
 * Back to the set that the installed one replaced. It must be whole: a directory of a trusted
 * owner, a manifest that has not expired, each file with its digest, of a trusted owner, with a
 * mode no looser than the target's. ERR_NO_PREVIOUS where there is no such set (plain files that
 * were adopted have no manifest), ERR_NO_IDENTITY where none is installed at all,
 * ERR_TARGET_INVALID, ERR_MEMORY_FULL.
 */

/*
 * Reads that set into bundle (zero-initialised, then bundle_free(); empty on failure), so that it
 * can be proved first. facts may be NULL. Takes no lock.
 */
int install_read_previous(const struct install_target *target, struct bundle *bundle,
                          struct installed *facts, struct err *err);

/*
 * Lets it be the installed one, atomically and durably, under the lock of install_set(). set is the
 * name that install_read_previous() gave: where another one would come into place by now, that is
 * ERR_NO_PREVIOUS; NULL: whichever it is. The set that was left is removed. On failure
 * (ERR_INSTALL_FAILED and ERR_DEADLINE too) it stays in place.
 */
int install_rollback(const struct install_target *target, const char *set, struct err *err);

/*
 * Whether the installed set is as it was installed: its directory, each file by digest, owner and a
 * mode no looser than the target's, and the links to them. 0 also for plain files and for a set
 * without a manifest, of which that is not known; else ERR_TARGET_INVALID, ERR_NO_IDENTITY,
 * ERR_MEMORY_FULL.
 */
int install_check(const struct install_target *target, struct err *err);

#endif
