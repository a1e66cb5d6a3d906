/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_AWS_H
#define AWS_AWS_H

#include <stdbool.h>
#include <stdint.h>

#include "x509/verify.h"

struct aws_kept;
struct config;
struct environment;
struct profiles;

/* What every part of aws/ needs; the caller fills it, and keeps all of it alive. */
struct aws {
    const struct config *config;
    const struct environment *environment; /* the environment's secrets, taken into the arena */
    const struct anchors *anchors;         /* Amazon's roots, or AWS_CA_BUNDLE's */
    enum verify_profile profile;           /* how strictly those verify */
    const char *region; /* asked whatever is configured, with AWS's own endpoints; NULL: none */
    int64_t deadline;   /* on clock_ms(): nothing goes on beyond it */
    const struct profiles *profiles; /* the SDKs' shared files; NULL: none */
    bool once;                       /* nothing is asked twice */
    bool offline; /* the region is unknown where only the network could tell it */
    char *found;  /* ERR_REASON_MAX bytes, for which source of credentials it was, and why those
                     before it gave none; NULL */
    struct aws_kept *kept; /* from one conversation to the next; NULL: nothing */
    char
        *instance_region; /* REGION_MAX bytes of the user's, "" until it is known; NULL: ask anew */
};

#endif
