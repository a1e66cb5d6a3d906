/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IDENTITY_IDENTITY_PARTS_H
#define IDENTITY_IDENTITY_PARTS_H

#include "x509/verify.h"

struct credential;
struct cert;

/* What identity_new() is made of, and the report, which must find the same. */

/*
 * Whether a leaf may be used so, and now: VERIFY_OK, VERIFY_EXPIRED, VERIFY_NOT_YET_VALID or
 * VERIFY_USAGE, with a clause in reason.
 */
enum verify_status leaf_check(const struct cert *leaf, enum verify_purpose purpose, int64_t now,
                              char reason[VERIFY_REASON_MAX]);

/*
 * Of several certificates with one key the leaf is that of the highest rank, among equals the
 * first: no CA before a CA, one that is good for its purpose now before one that is not, one that
 * another has issued before one that it issued itself.
 */
unsigned leaf_rank(const struct cert *cert, enum verify_purpose purpose, int64_t now);

/* Of the key's field name and its kind. */
#define KEY_MISMATCH_REASON "no certificate in it has the public key of %s (%s)"

/* Puts the leaf of the credential's key first; false: none of the certificates has the key. */
bool chain_find_leaf(struct credential *credential, enum verify_purpose purpose, int64_t now,
                     struct cert *leaf);

/*
 * Puts each certificate's issuer behind it: the one that verify() took, else one that is valid now,
 * else any. Those that are nobody's issuer come last.
 */
void chain_order(struct credential *credential, const struct verify_path_taken *taken, int64_t now);

/*
 * verify() of our own chain, whose profile it sets. VERIFY_NO_ISSUER, too, where the issuer that is
 * here is another CA of the same name.
 */
enum verify_status chain_verify(struct verify_request *request, char reason[VERIFY_REASON_MAX]);

#endif
