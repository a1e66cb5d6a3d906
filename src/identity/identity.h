/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IDENTITY_IDENTITY_H
#define IDENTITY_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "identity/bundle.h"

struct anchors;
struct err;
struct expected;
struct key;

/*
 * A proven identity: chain (leaf first), key and trust anchors that belong together, and their
 * canonical PEM.
 */
#define IDENTITY_CHAIN_MAX 10

struct credential {                         /* a certificate chain with its key */
    struct buf der;                         /* all certificates, one behind the other */
    struct bytes chain[IDENTITY_CHAIN_MAX]; /* views into der, leaf first */
    size_t chain_count;
    struct key *key;
};

struct identity {
    struct credential client;       /* chain_count 0 where the set is a server's alone */
    struct credential server;       /* chain_count 0: none */
    struct anchors *anchors;        /* of ca_cert; NULL: none given */
    struct buf file[BUNDLE_FIELDS]; /* canonical PEM: LF, leaf first, final newline; len 0: not part
                                       of the set */
    int64_t not_before, not_after;  /* the narrowest of the leaves */
    char fingerprint[65];           /* SHA-256 of the leaf (client's, else server's), hexadecimal */
    char subject[128];              /* of the leaf, as text */
    char key_text[16];              /* "RSA 4096" */
    bool chain_not_in_ca;           /* the leaf's issuer is not in ca_cert */
};

struct identity_policy {
    bool require_chain; /* client-chain=require */
    int64_t now;        /* seconds since 1970 */
};

/*
 * Reads and checks a bundle: fields complete (client_cert, client_key and ca_cert; or server_cert
 * and server_key), PEM, key and leaf belong together, sizes, dates (a notBefore ahead is
 * ERR_CERTIFICATE_NOT_YET_VALID, a matter of clocks, or of waiting), purposes, and the client-chain
 * policy. Whatever memory is short for is ERR_MEMORY_FULL. subject names the secret or directory in
 * errors. NULL with err on any failure.
 */
struct identity *identity_new(const struct bundle *bundle, const struct identity_policy *policy,
                              const char *subject, struct err *err);
void identity_free(struct identity *identity);

/*
 * Trusts one more certificate, which is appended to ca_cert's file too; ERR_MEMORY_FULL,
 * ERR_CERTIFICATE_INVALID. At most IDENTITY_ANCHORS_MAX anchors are read again.
 */
#define IDENTITY_ANCHORS_MAX 128
int identity_add_anchor(struct identity *identity, struct bytes der, struct err *err);

/* expect_leaf() for the leaf that fingerprint and subject are of, expect_anchor() for all anchors.
 */
int identity_expect(const struct identity *identity, const struct expected *expected,
                    const char *subject, struct err *err);

#endif
