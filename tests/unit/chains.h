/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CHAINS_H
#define CHAINS_H

#include "base/buf.h"
#include "samples.h"
#include "x509/verify.h"

/*
 * The certificates of tests/unit/data/chains (made by tests/unit/make-chains), by their names
 * without ".pem", with spaces between. "./server" is tests/unit/data/server.pem.
 */
enum { CHAINS_MAX = 80 };

struct chains {
    struct buf der[CHAINS_MAX];
    struct bytes view[CHAINS_MAX];
    size_t count;
};
struct chains chains_load(const char *names);
void chains_unload(struct chains *chains);

/* A server called enclave.example, under either profile, at SAMPLES_NOW. */
extern const struct verify_request chains_private, chains_strict;

/* Verifies a chain, leaf first, under anchors; why not stands in chains_reason. */
extern char chains_reason[VERIFY_REASON_MAX];
enum verify_status chains_check(const struct verify_request *how, const char *chain,
                                const char *anchors);

/* Fails the test where part is not in chains_reason. */
void chains_assert_reason(const char *part);

#endif
