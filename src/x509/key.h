/* SPDX-License-Identifier: Apache-2.0 */
#ifndef X509_KEY_H
#define X509_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct buf;
struct cert;
struct err;

/*
 * A private key: RSA 2048 to 4096, EC P-256 or P-384. Lives in the arena (ARENA_KEY), wiped by
 * key_free().
 */
struct key;

enum key_type { KEY_RSA, KEY_EC };

/*
 * Reads PKCS#8 (RFC 5208), PKCS#1 (RFC 8017 A.1.2) or SEC1 (RFC 5915) DER, told apart by content,
 * and checks that its values belong together: RSA: n = p q, the CRT values, e odd and in bounds;
 * EC: scalar in range, the public point recomputed and, where present, equal. ERR_KEY_ENCRYPTED,
 * ERR_KEY_UNSUPPORTED (named: "EC secp521r1"), ERR_KEY_INVALID, ERR_MEMORY_FULL.
 */
struct key *key_new(struct bytes der, const char *subject, struct err *err);
/*
 * The one private key in PEM text, read by key_new(); blocks of other kinds are passed over.
 * ERR_PEM_INVALID too.
 */
struct key *key_read(struct bytes pem, const char *subject, struct err *err);
void key_free(struct key *key);

enum key_type key_type(const struct key *key);
/* "RSA 2048", "EC P-256" */
void key_text(const struct key *key, char out[16]);

/* Appends the key's canonical DER: PKCS#8 for both types. */
int key_encode(const struct key *key, struct buf *out);

/*
 * Whether the certificate's public key is this key's. Public values are compared; no private
 * operation.
 */
bool key_matches(const struct key *key, const struct cert *cert);

/*
 * TLS's numbers of signature schemes (RFC 8446 section 4.2.3). In TLS 1.2 those of ECDSA name only
 * the hash (RFC 5246 section 7.4.1.4.1); use key_curve() to tie one to a curve.
 */
enum key_scheme {
    KEY_RSA_PKCS1_SHA256 = 0x0401,
    KEY_RSA_PKCS1_SHA384 = 0x0501,
    KEY_RSA_PKCS1_SHA512 = 0x0601,
    KEY_ECDSA_SHA256 = 0x0403,
    KEY_ECDSA_SHA384 = 0x0503,
    KEY_ECDSA_SHA512 = 0x0603,
    KEY_RSA_PSS_SHA256 = 0x0804,
    KEY_RSA_PSS_SHA384 = 0x0805,
    KEY_RSA_PSS_SHA512 = 0x0806,
};

/*
 * Signs a hash by one of these schemes. out has room for KEY_SIGNATURE_MAX. It checks the signature
 * with the public key before it returns it, since a signature by a damaged private value can reveal
 * the key. Returns its length; 0 on failure, for an unknown scheme, a hash of another length, or a
 * key of another type.
 */
#define KEY_SIGNATURE_MAX 512
size_t key_sign(const struct key *key, unsigned scheme, struct bytes hash,
                uint8_t out[KEY_SIGNATURE_MAX]);

/* BearSSL's number of an EC key's curve; 0 for RSA. */
int key_curve(const struct key *key);

#endif
