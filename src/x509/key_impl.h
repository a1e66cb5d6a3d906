/* SPDX-License-Identifier: Apache-2.0 */
#ifndef X509_KEY_IMPL_H
#define X509_KEY_IMPL_H

#include <bearssl.h>

#include "x509/key.h"

/* What key*.c share. */
struct key {
    enum key_type type;
    unsigned bits; /* of the modulus, or of the curve's field */
    br_rsa_private_key rsa;
    br_rsa_public_key rsa_public;
    br_ec_private_key ec;
    br_ec_public_key ec_public;
    size_t len;
    uint8_t values[]; /* what these point to: RSA: RSAPrivateKey's DER; EC: scalar and point */
};

/* The members of RSAPrivateKey (RFC 8017 A.1.2), in its order, without leading zeros. */
enum rsa_member { RSA_N, RSA_E, RSA_D, RSA_P, RSA_Q, RSA_DP, RSA_DQ, RSA_QINV, RSA_MEMBERS };

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 4096 };

/*
 * Checks that the values of an RSA key (of at most RSA_BITS_MAX, e in four bytes) belong together:
 * NULL, or which of them does not. In constant time for values of equal lengths.
 */
const char *key_rsa_check(const struct bytes values[RSA_MEMBERS]);

/* The length of a number without leading zeros, in bits. */
unsigned key_bits(struct bytes number);

#endif
