/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/rsa_pss.h"

#include <stdbool.h>
#include <string.h>

#include "base/random.h"
#include "x509/rsa_private.h"

enum { HASH_MAX = 64, TRAILER = 0xBC, BITS_MIN = 1024 };

/*
 * An encoded message (RFC 8017 section 9.1): maskedDB, H and the trailer. DB is zeros, 01 and the
 * salt.
 */
struct encoded {
    unsigned char *db;
    size_t db_len;
    unsigned char *h;
    size_t hash_len;
    unsigned char top; /* the bits of db[0] that the modulus has room for */
};

/* Lays it out in a block as long as a modulus of so many bits; false where it does not fit. */
static bool lay_out(struct encoded *encoded, unsigned char *block, size_t bits,
                    const br_hash_class *hash)
{
    size_t len = (bits + 6) / 8; /* one bit less than the modulus */

    if (bits < BITS_MIN || bits > RSA_PSS_MAX * (size_t)8)
        return false;
    encoded->hash_len = (hash->desc >> BR_HASHDESC_OUT_OFF) & BR_HASHDESC_OUT_MASK;
    encoded->db = block + ((bits + 7) / 8 - len);
    encoded->db_len = len - encoded->hash_len - 1;
    encoded->h = encoded->db + encoded->db_len;
    encoded->top = (unsigned char)(0xFF >> (8 * len - (bits - 1)));
    return encoded->db_len > encoded->hash_len;
}

/* DB, masked or not, becomes the other: MGF1 of H (appendix B.2.1). */
static void mask(const struct encoded *encoded, const br_hash_class *hash)
{
    unsigned char chunk[HASH_MAX] = {0}, counter[4] = {0};
    br_hash_compat_context context;
    size_t i;

    for (i = 0; i < encoded->db_len; i++) {
        size_t at = i % encoded->hash_len;

        if (at == 0) {
            hash->init(&context.vtable);
            hash->update(&context.vtable, encoded->h, encoded->hash_len);
            hash->update(&context.vtable, counter, sizeof counter);
            hash->out(&context.vtable, chunk);
            counter[3]++;
        }
        encoded->db[i] ^= chunk[at];
    }
    encoded->db[0] &= encoded->top;
}

/* H: the hash of eight zeros, the digest and the salt, which ends DB. */
static void hash_salted(const struct encoded *encoded, const br_hash_class *hash,
                        const unsigned char *digest, unsigned char *out)
{
    static const unsigned char zeros[8];
    br_hash_compat_context context;

    hash->init(&context.vtable);
    hash->update(&context.vtable, zeros, sizeof zeros);
    hash->update(&context.vtable, digest, encoded->hash_len);
    hash->update(&context.vtable, encoded->h - encoded->hash_len, encoded->hash_len);
    hash->out(&context.vtable, out);
}

uint32_t rsa_pss_sign(const br_hash_class *hash, const unsigned char *digest,
                      const br_rsa_private_key *key, unsigned char *out)
{
    struct encoded encoded;

    if (!lay_out(&encoded, out, key->n_bitlen, hash))
        return 0;
    memset(out, 0, (size_t)(encoded.h - out));
    random_bytes(encoded.h - encoded.hash_len, encoded.hash_len);
    encoded.h[-(ptrdiff_t)encoded.hash_len - 1] = 1;
    hash_salted(&encoded, hash, digest, encoded.h);
    mask(&encoded, hash);
    encoded.h[encoded.hash_len] = TRAILER;
    return rsa_private(out, key);
}

/* The modulus's length in bits; 0 for none. */
static size_t modulus_bits(const br_rsa_public_key *key)
{
    size_t bits = 8 * key->nlen, i = 0;
    unsigned top;

    for (; i < key->nlen && key->n[i] == 0; i++)
        bits -= 8;
    for (top = i < key->nlen ? key->n[i] : 0x80; top < 0x80; top <<= 1)
        bits--;
    return bits;
}

uint32_t rsa_pss_verify(const unsigned char *signature, size_t len, const br_hash_class *hash,
                        const unsigned char *digest, const br_rsa_public_key *key)
{
    unsigned char block[RSA_PSS_MAX], h[HASH_MAX], wrong;
    struct encoded encoded;
    size_t i;

    if (!lay_out(&encoded, block, modulus_bits(key), hash) || len > sizeof block)
        return 0;
    memcpy(block, signature, len);
    if (!br_rsa_public_get_default()(block, len, key)) /* a wrong length too */
        return 0;
    wrong = encoded.h[encoded.hash_len] ^ TRAILER;
    wrong |= encoded.db[0] & (unsigned char)~encoded.top;
    wrong |= encoded.db > block ? block[0] : 0;
    mask(&encoded, hash);
    for (i = 0; i < encoded.db_len - encoded.hash_len; i++)
        wrong |= encoded.db[i] ^ (i == encoded.db_len - encoded.hash_len - 1);
    hash_salted(&encoded, hash, digest, h);
    return wrong == 0 && memcmp(h, encoded.h, encoded.hash_len) == 0;
}
