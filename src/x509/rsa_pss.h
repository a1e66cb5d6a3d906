/* SPDX-License-Identifier: Apache-2.0 */
#ifndef X509_RSA_PSS_H
#define X509_RSA_PSS_H

#include <bearssl.h>

/*
 * RSASSA-PSS (RFC 8017 section 8.1) as TLS has it (RFC 8446 section 4.2.3, rsa_pss_*): MGF1 by the
 * hash that was signed with, and a salt of its length. For SHA-256, SHA-384 and SHA-512, and
 * moduli of 1024 to 4096 bits.
 */
enum { RSA_PSS_MAX = 512 };

/*
 * Signs a digest. The signature is as long as the modulus; out has room for RSA_PSS_MAX. 1; or 0
 * where the key is out of bounds. Constant-time as rsa_private() is. The caller checks the
 * signature before it leaves.
 */
uint32_t rsa_pss_sign(const br_hash_class *hash, const unsigned char *digest,
                      const br_rsa_private_key *key, unsigned char *out);

/* Whether the signature is the key's on the digest: 1 or 0. */
uint32_t rsa_pss_verify(const unsigned char *signature, size_t len, const br_hash_class *hash,
                        const unsigned char *digest, const br_rsa_public_key *key);

#endif
