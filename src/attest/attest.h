/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ATTEST_ATTEST_H
#define ATTEST_ATTEST_H

#include <stdbool.h>

#include "attest/document.h"
#include "base/hash.h"

struct err;

/*
 * What a document proves. attest_genuine(): AWS's hardware signed it, now. attest_image(): it is of
 * an enclave, with an image that the caller names. attest_peer(): the holder of this connection's
 * key made it for this caller just now. A caller that acts on a document needs all three.
 */
struct attest_trust {
    const uint8_t (*roots)[HASH_SIZE]; /* SHA-256 of root certificates besides AWS's own */
    size_t root_count;
    int64_t now;    /* seconds since 1970 */
    int64_t leeway; /* seconds that a document may seem to come from the future */
    bool fresh;     /* it is of this exchange: dates that do not fit mean a wrong clock */
};

/*
 * Checks the chain up to a root that is known by its fingerprint, and the signature. *other_root:
 * the root is not AWS's. root gets the fingerprint of the chain's root, known or not.
 * ERR_ATTEST_UNTRUSTED, ERR_ATTEST_FORGED, ERR_ATTEST_EXPIRED, ERR_ATTEST_CLOCK (also for a time in
 * the future).
 */
struct attest_root {
    bool other;
    char fingerprint[HASH_HEX_SIZE];
};
int attest_genuine(const struct attest_document *document, const struct attest_trust *trust,
                   struct attest_root *root, struct err *err);

/*
 * Whether it is of an enclave, not in debug mode, and has all PCRs of one of the sets, such as
 * "0:HEX+3:HEX"; without sets any image passes. ERR_ATTEST_INSTANCE, ERR_ATTEST_DEBUG,
 * ERR_ATTEST_IMAGE.
 */
int attest_image(const struct attest_document *document, const char *const *sets, size_t count,
                 struct err *err);

/* What a document says of its connection, and in which of its fields. */
enum attest_binding {
    ATTEST_NONE,
    ATTEST_LEAF_SHA256, /* user_data is that hash of the server's certificate */
    ATTEST_LEAF_SHA384,
    ATTEST_LEAF_SHA512,
    ATTEST_SPKI_SHA256, /* or of its SubjectPublicKeyInfo */
    ATTEST_SPKI_SHA384,
    ATTEST_SPKI_SHA512,
    ATTEST_SPKI,       /* user_data is SubjectPublicKeyInfo itself */
    ATTEST_PUBLIC_KEY, /* public_key is */
    ATTEST_EXPORTER,   /* user_data is the connection's exporter (RFC 9266), which no other has */
    ATTEST_NITRIDING   /* user_data begins with 12 20 and the SHA-256 of the certificate */
};

/* One connection, and what was asked on it. */
struct attest_peer {
    struct bytes nonce; /* that the request carried; data NULL: it carried none */
    enum attest_binding binding;
    struct bytes leaf;     /* the server's certificate, DER; data NULL: none came */
    struct bytes exporter; /* data NULL: this connection has none */
};

/* ERR_ATTEST_STALE, ERR_ATTEST_REPLAYED; ERR_ATTEST_UNBOUND, ERR_ATTEST_OTHER_KEY. */
int attest_peer(const struct attest_document *document, const struct attest_peer *peer,
                struct err *err);

/* Whether it echoes a nonce: its bytes, or their lower-case hexadecimal. data NULL: it does not. */
bool attest_echoes(const struct attest_document *document, struct bytes nonce);

/* ERR_ATTEST_STALE where it was made more than most_ms ago, by the wall clock. */
int attest_age(const struct attest_document *document, int64_t now, int64_t most_ms,
               struct err *err);

#endif
