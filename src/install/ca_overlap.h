/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSTALL_CA_OVERLAP_H
#define INSTALL_CA_OVERLAP_H

#include <stdbool.h>

#include "install/install.h"

struct err;
struct expected;
struct identity;

/*
 * While a CA is replaced, enclaves may show certificates of the old one for a while. Anchors of the
 * installed set that ca_cert no longer holds are added to the next identity, for length_ms from the
 * moment at which they are first missing, never beyond their own end. The manifest lists them,
 * apart from ca_cert's own.
 */
struct ca_overlap {
    struct install_overlap kept[INSTALL_OVERLAP_MAX];
    size_t count;
    bool only_ended; /* nothing in ca.crt changes but that the time of some is over */
};

/*
 * 0; -1 with ERR_MEMORY_FULL. Nothing is kept of a set that has no manifest or whose ca.crt cannot
 * be read, which is said (ca_overlap_lost), or that was made of other secrets: another
 * environment's enclaves are not to be trusted for a while; nor is a CA that is not expected.
 */
struct ca_overlap_request {
    const struct install_target *target;
    const struct install_source *sources; /* of the next identity */
    size_t source_count;
    const struct expected *expected;
    int64_t length_ms;
};
int ca_overlap_apply(const struct ca_overlap_request *request, struct identity *next,
                     struct ca_overlap *overlap, struct err *err);

/*
 * Removes the anchors that the manifest lists from ca.crt's text, so that only ca_cert's own
 * remain. 0; -1 where memory is full.
 */
struct buf;
int ca_overlap_strip(const struct installed *facts, struct buf *ca);

/* Whether a certificate is one of those. */
bool ca_overlap_holds(const struct installed *facts, struct bytes der);

#endif
