/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_TARGET_STATE_H
#define RUN_TARGET_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "install/install.h"

struct config_set;

/*
 * The installed set of a target, as a client finds it: read, checked like a new identity, and wiped
 * except for the public facts.
 */
struct target_state {
    struct err err; /* ERR_NONE: a whole set that is valid now; else its fault */
    char fingerprint[65], subject[128], key_text[16]; /* of the leaf; "" where not known */
    int64_t not_before, not_after; /* of the leaf, seconds since 1970; 0 where not known */
    int64_t ca_not_after; /* the next end of an anchor, else the last one; 0: no anchor, unknown */
    struct installed facts;
    bool told;     /* the hook of this set has run */
    bool way_back; /* to the set before it, which was not taken yet */
};

/*
 * Call it on the arena's stack: the key passes through. With set, a set made of other secrets is
 * ERR_IDENTITY_UNEXPECTED.
 */
void target_state_read(const struct install_target *target, const struct config_set *set,
                       struct target_state *state);

#endif
