/* SPDX-License-Identifier: Apache-2.0 */
#ifndef X509_RSA_PRIVATE_H
#define X509_RSA_PRIVATE_H

#include <bearssl.h>

/*
 * RSA's private operation (RFC 8017 section 5.2.1, by the remainders modulo p and q), as BearSSL's
 * br_rsa_private is: x, as long as the modulus, in place. 1; or 0 where x is not below p q, or the
 * key is out of bounds: factors that are even, or of more than FACTOR_BITS_MAX, or begin with
 * zeros; values longer than their modulus. In constant time for values of equal lengths. A wrong
 * key, or a fault of the machine, gives a wrong result: the caller checks it before it leaves.
 */
uint32_t rsa_private(unsigned char *x, const br_rsa_private_key *key);

#endif
