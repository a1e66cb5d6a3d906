/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "x509/key_impl.h"
#include "x509/rsa_private.h"
#include "x509/rsa_pss.h"

/* EMSA-PKCS1-v1_5 (RFC 8017 section 9.2), which BearSSL has in no header that it installs. */
uint32_t br_rsa_pkcs1_sig_pad(const unsigned char *hash_oid, const unsigned char *hash,
                              size_t hash_len, uint32_t n_bitlen, unsigned char *x);

static const struct hash {
    int id;
    size_t size;
    const unsigned char *oid;
    const br_hash_class *class;
} hashes[] = {
    {br_sha256_ID, br_sha256_SIZE, BR_HASH_OID_SHA256, &br_sha256_vtable},
    {br_sha384_ID, br_sha384_SIZE, BR_HASH_OID_SHA384, &br_sha384_vtable},
    {br_sha512_ID, br_sha512_SIZE, BR_HASH_OID_SHA512, &br_sha512_vtable},
};

static const struct hash *find_hash(int id, size_t size)
{
    size_t i;

    for (i = 0; i < sizeof hashes / sizeof hashes[0]; i++)
        if (hashes[i].id == id)
            return hashes[i].size == size ? &hashes[i] : NULL;
    return NULL;
}

/* Signs and checks: the length of a good signature, else 0. */
static size_t sign_rsa(const struct key *key, const struct hash *hash, struct bytes value,
                       uint8_t out[KEY_SIGNATURE_MAX])
{
    size_t len = key->rsa_public.nlen;
    uint8_t found[br_sha512_SIZE];

    if (!br_rsa_pkcs1_sig_pad(hash->oid, value.data, value.len, key->rsa.n_bitlen, out) ||
        !rsa_private(out, &key->rsa) ||
        !br_rsa_pkcs1_vrfy_get_default()(out, len, hash->oid, value.len, &key->rsa_public, found) ||
        memcmp(found, value.data, value.len) != 0)
        return 0;
    return len;
}

static size_t sign_rsa_pss(const struct key *key, const struct hash *hash, struct bytes value,
                           uint8_t out[KEY_SIGNATURE_MAX])
{
    size_t len = key->rsa_public.nlen;

    if (!rsa_pss_sign(hash->class, value.data, &key->rsa, out) ||
        !rsa_pss_verify(out, len, hash->class, value.data, &key->rsa_public))
        return 0;
    return len;
}

static size_t sign_ec(const struct key *key, const struct hash *hash, struct bytes value,
                      uint8_t out[KEY_SIGNATURE_MAX])
{
    const br_ec_impl *impl = br_ec_get_default();
    size_t len = br_ecdsa_sign_asn1_get_default()(impl, hash->class, value.data, &key->ec, out);

    if (len == 0 ||
        !br_ecdsa_vrfy_asn1_get_default()(impl, value.data, value.len, &key->ec_public, out, len))
        return 0;
    return len;
}

size_t key_sign(const struct key *key, unsigned scheme, struct bytes hash,
                uint8_t out[KEY_SIGNATURE_MAX])
{
    enum { RSA = 1, ECDSA = 3, INTRINSIC = 8 };
    unsigned high = scheme >> 8, low = scheme & 0xFF;
    const struct hash *kind = find_hash((int)(high == INTRINSIC ? low : high), hash.len);
    bool rsa = key->type == KEY_RSA;
    size_t len = 0;

    if (kind && rsa && high == INTRINSIC)
        len = sign_rsa_pss(key, kind, hash, out);
    else if (kind && rsa && low == RSA)
        len = sign_rsa(key, kind, hash, out);
    else if (kind && !rsa && high != INTRINSIC && low == ECDSA)
        len = sign_ec(key, kind, hash, out);
    if (len == 0)
        wipe(out, KEY_SIGNATURE_MAX);
    return len;
}
