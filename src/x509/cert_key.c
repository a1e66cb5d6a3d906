/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/cert_parts.h"
#include "x509/der.h"
#include "x509/rsa_pss.h"

/* OIDs stand as the hexadecimal bytes of their content. */
#define OID(text) {(const uint8_t *)(text), sizeof(text) - 1}

static const struct signature_algorithm {
    struct bytes oid;
    const char *name;
    int key, hash; /* key 0: not supported */
} signature_algorithms[] = {
    {OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0B"), "RSA with SHA-256", BR_KEYTYPE_RSA, br_sha256_ID},
    {OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0C"), "RSA with SHA-384", BR_KEYTYPE_RSA, br_sha384_ID},
    {OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0D"), "RSA with SHA-512", BR_KEYTYPE_RSA, br_sha512_ID},
    {OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x05"), "RSA with SHA-1", BR_KEYTYPE_RSA, br_sha1_ID},
    {OID("\x2A\x86\x48\xCE\x3D\x04\x03\x02"), "ECDSA with SHA-256", BR_KEYTYPE_EC, br_sha256_ID},
    {OID("\x2A\x86\x48\xCE\x3D\x04\x03\x03"), "ECDSA with SHA-384", BR_KEYTYPE_EC, br_sha384_ID},
    {OID("\x2A\x86\x48\xCE\x3D\x04\x03\x04"), "ECDSA with SHA-512", BR_KEYTYPE_EC, br_sha512_ID},
    {OID("\x2A\x86\x48\xCE\x3D\x04\x01"), "ECDSA with SHA-1", BR_KEYTYPE_EC, br_sha1_ID},
    {OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0E"), "RSA with SHA-224", 0, 0},
    {OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x04"), "RSA with MD5", 0, 0},
    {OID("\x2A\x86\x48\xCE\x3D\x04\x03\x01"), "ECDSA with SHA-224", 0, 0},
    {OID("\x2A\x86\x48\xCE\x38\x04\x03"), "DSA with SHA-1", 0, 0},
    {OID("\x60\x86\x48\x01\x65\x03\x04\x03\x02"), "DSA with SHA-256", 0, 0},
    {OID("\x2B\x65\x70"), "Ed25519", 0, 0},
    {OID("\x2B\x65\x71"), "Ed448", 0, 0},
};

static const struct bytes rsassa_pss = OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0A");
static const struct bytes mgf1 = OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x08");
static const struct {
    struct bytes oid, salt; /* an INTEGER: the hash's length */
    const char *name;
    int hash;
} pss_hashes[] = {
    {OID("\x60\x86\x48\x01\x65\x03\x04\x02\x01"), OID("\x02\x01\x20"), "RSASSA-PSS with SHA-256",
     br_sha256_ID},
    {OID("\x60\x86\x48\x01\x65\x03\x04\x02\x02"), OID("\x02\x01\x30"), "RSASSA-PSS with SHA-384",
     br_sha384_ID},
    {OID("\x60\x86\x48\x01\x65\x03\x04\x02\x03"), OID("\x02\x01\x40"), "RSASSA-PSS with SHA-512",
     br_sha512_ID},
};

static const struct bytes rsa_encryption = OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01");
static const struct bytes ec_public_key = OID("\x2A\x86\x48\xCE\x3D\x02\x01");

static const struct {
    struct bytes oid;
    const char *name;
} other_keys[] = {
    {OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0A"), "RSASSA-PSS"},
    {OID("\x2A\x86\x48\xCE\x38\x04\x01"), "DSA"},
    {OID("\x2B\x65\x6E"), "X25519"},
    {OID("\x2B\x65\x70"), "Ed25519"},
    {OID("\x2B\x65\x71"), "Ed448"},
};

static const struct {
    struct bytes oid;
    const char *name;
    int curve;
    size_t point_len; /* uncompressed: 1 + 2 coordinates */
} curves[] = {
    {OID("\x2A\x86\x48\xCE\x3D\x03\x01\x07"), "EC P-256", BR_EC_secp256r1, 65},
    {OID("\x2B\x81\x04\x00\x22"), "EC P-384", BR_EC_secp384r1, 97},
    {OID("\x2B\x81\x04\x00\x23"), "EC P-521", BR_EC_secp521r1, 133},
};

/* Octets of an RSA public exponent. */
enum { EXPONENT_MAX = 4 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* AlgorithmIdentifier's parameters are NULL, or left out. */
static bool null_or_absent(struct bytes parameters)
{
    return parameters.len == 0 || bytes_equal(parameters, bytes_of("\x05\x00", 2));
}

/* An AlgorithmIdentifier that is all of in, without its header: its parameters, behind this OID. */
static bool take_algorithm(struct bytes in, struct bytes oid, struct bytes *parameters)
{
    struct bytes found;

    return der_take(&in, DER_SEQUENCE, parameters) && in.len == 0 &&
           der_take(parameters, DER_OID, &found) && bytes_equal(found, oid);
}

/* RSASSA-PSS-params (RFC 4055 section 3.1): those of TLS for one of its hashes, or others. */
static void read_pss(struct cert *cert, struct bytes parameters)
{
    struct bytes sequence, hash, mask, salt, rest;
    size_t i;

    cert->signature_name = "RSASSA-PSS with parameters that TLS does not have";
    if (!der_take(&parameters, DER_SEQUENCE, &sequence) || parameters.len != 0 ||
        !der_take(&sequence, DER_CONTEXT_CONSTRUCTED | 0, &hash) ||
        !der_take(&sequence, DER_CONTEXT_CONSTRUCTED | 1, &mask) ||
        !der_take(&sequence, DER_CONTEXT_CONSTRUCTED | 2, &salt) || sequence.len != 0 ||
        !take_algorithm(mask, mgf1, &mask))
        return;
    for (i = 0; i < COUNT(pss_hashes); i++) {
        if (!bytes_equal(salt, pss_hashes[i].salt) ||
            !take_algorithm(hash, pss_hashes[i].oid, &rest) || !null_or_absent(rest) ||
            !take_algorithm(mask, pss_hashes[i].oid, &rest) || !null_or_absent(rest))
            continue;
        cert->signature_name = pss_hashes[i].name;
        cert->signature_key = BR_KEYTYPE_RSA;
        cert->signature_hash = pss_hashes[i].hash;
        cert->signature_pss = true;
    }
}

bool cert_read_signature_algorithm(struct cert *cert, struct bytes algorithm)
{
    struct bytes oid;
    size_t i;

    cert->signature_name = "an unknown algorithm";
    if (!der_take(&algorithm, DER_OID, &oid))
        return false;
    if (bytes_equal(oid, rsassa_pss))
        read_pss(cert, algorithm);
    for (i = 0; i < COUNT(signature_algorithms); i++) {
        const struct signature_algorithm *known = &signature_algorithms[i];

        if (!bytes_equal(oid, known->oid))
            continue;
        cert->signature_name = known->name;
        cert->signature_key = known->key;
        cert->signature_hash = known->hash;
        /* RFC 4055 section 5, RFC 5758 section 3.2 */
        return known->key == 0 ||
               (known->key == BR_KEYTYPE_RSA ? null_or_absent(algorithm) : algorithm.len == 0);
    }
    return true;
}

static unsigned bit_length(struct bytes number)
{
    unsigned bits = (unsigned)number.len * 8;
    uint8_t top;

    if (number.len == 0)
        return 0;
    for (top = number.data[0]; top < 0x80; top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

/*
 * RFC 8017 A.1.1. A long exponent would only cost time. An even modulus or exponent is no RSA key,
 * and arithmetic would fail on it late.
 */
static bool read_rsa(struct cert *cert, struct bytes parameters, struct bytes key)
{
    struct bytes sequence, n, e;

    if (!bytes_equal(parameters, bytes_of("\x05\x00", 2)) ||
        !der_take(&key, DER_SEQUENCE, &sequence) || key.len != 0 || !der_unsigned(&sequence, &n) ||
        !der_unsigned(&sequence, &e) || sequence.len != 0)
        return false;
    if (n.len == 0 || e.len == 0 || (n.data[n.len - 1] & 1) == 0 || (e.data[e.len - 1] & 1) == 0 ||
        bit_length(e) < 2 || e.len > EXPONENT_MAX)
        return false;
    cert->key_name = "RSA";
    cert->key_bits = bit_length(n);
    cert->key.key_type = BR_KEYTYPE_RSA;
    cert->key.key.rsa = (br_rsa_public_key){
        .n = (unsigned char *)n.data, .nlen = n.len, .e = (unsigned char *)e.data, .elen = e.len};
    return true;
}

/*
 * RFC 5480: a named curve and an uncompressed point. Other curves, and curves by parameters, are
 * unknown kinds.
 */
static bool read_ec(struct cert *cert, struct bytes parameters, struct bytes point)
{
    struct bytes oid;
    size_t i;

    cert->key_name = "EC on another curve";
    if (!der_take(&parameters, DER_OID, &oid))
        return true;
    if (parameters.len != 0)
        return false;
    for (i = 0; i < COUNT(curves); i++) {
        if (!bytes_equal(oid, curves[i].oid))
            continue;
        if (point.len != curves[i].point_len || point.data[0] != 4)
            return false;
        cert->key_name = curves[i].name;
        cert->key.key_type = BR_KEYTYPE_EC;
        cert->key.key.ec = (br_ec_public_key){
            .curve = curves[i].curve, .q = (unsigned char *)point.data, .qlen = point.len};
    }
    return true;
}

bool cert_read_key(struct cert *cert)
{
    struct bytes in = cert->spki, spki, algorithm, oid, key;
    size_t i;

    cert->key_name = "of an unknown kind";
    if (!der_take(&in, DER_SEQUENCE, &spki) || !der_take(&spki, DER_SEQUENCE, &algorithm) ||
        !der_take(&algorithm, DER_OID, &oid) || !cert_take_bits(&spki, &key, NULL) || spki.len != 0)
        return false;
    if (bytes_equal(oid, rsa_encryption))
        return read_rsa(cert, algorithm, key);
    if (bytes_equal(oid, ec_public_key))
        return read_ec(cert, algorithm, key);
    for (i = 0; i < COUNT(other_keys); i++)
        if (bytes_equal(oid, other_keys[i].oid))
            cert->key_name = other_keys[i].name;
    return true;
}

static const struct hash {
    int id;
    const br_hash_class *class;
    const unsigned char *oid;
} hashes[] = {
    {br_sha256_ID, &br_sha256_vtable, BR_HASH_OID_SHA256},
    {br_sha384_ID, &br_sha384_vtable, BR_HASH_OID_SHA384},
    {br_sha512_ID, &br_sha512_vtable, BR_HASH_OID_SHA512},
};

static const struct hash *find_hash(int id)
{
    size_t i;

    for (i = 0; i < COUNT(hashes); i++)
        if (hashes[i].id == id)
            return &hashes[i];
    return NULL;
}

/* Ecdsa-Sig-Value (RFC 3279 section 2.2.3) in DER, which the verifier itself does not ask for. */
static bool is_ecdsa_value(struct bytes in)
{
    struct bytes values, r, s;

    return der_take(&in, DER_SEQUENCE, &values) && in.len == 0 && der_unsigned(&values, &r) &&
           der_unsigned(&values, &s) && values.len == 0;
}

bool cert_signed_by(const struct cert *cert, const struct cert *issuer)
{
    const struct hash *hash = find_hash(cert->signature_hash);
    const br_x509_pkey *key = &issuer->key;
    uint8_t digest[64], signed_digest[64];
    br_hash_compat_context context;
    size_t len;

    if (hash == NULL || cert->signature_key != key->key_type)
        return false;
    hash->class->init(&context.vtable);
    hash->class->update(&context.vtable, cert->tbs.data, cert->tbs.len);
    hash->class->out(&context.vtable, digest);
    len = (hash->class->desc >> BR_HASHDESC_OUT_OFF) & BR_HASHDESC_OUT_MASK;
    if (key->key_type == BR_KEYTYPE_EC)
        return is_ecdsa_value(cert->signature) &&
               br_ecdsa_vrfy_asn1_get_default()(br_ec_get_default(), digest, len, &key->key.ec,
                                                cert->signature.data, cert->signature.len) == 1;
    if (cert->signature_pss)
        return rsa_pss_verify(cert->signature.data, cert->signature.len, hash->class, digest,
                              &key->key.rsa) == 1;
    return br_rsa_pkcs1_vrfy_get_default()(cert->signature.data, cert->signature.len, hash->oid,
                                           len, &key->key.rsa, signed_digest) == 1 &&
           memcmp(digest, signed_digest, len) == 0;
}

/* From 1 to the order less 1. */
static bool in_range(const uint8_t *number, const uint8_t *order, size_t len)
{
    uint8_t any = 0;
    size_t i;

    for (i = 0; i < len; i++)
        any |= number[i];
    return any != 0 && memcmp(number, order, len) < 0;
}

bool cert_signed_es384(const struct cert *signer, struct bytes message_digest,
                       struct bytes signature)
{
    const br_ec_impl *ec = br_ec_get_default();
    const br_x509_pkey *key = &signer->key;
    const uint8_t *order;
    size_t len;

    if (key->key_type != BR_KEYTYPE_EC || key->key.ec.curve != BR_EC_secp384r1)
        return false;
    order = ec->order(BR_EC_secp384r1, &len);
    return signature.len == 2 * len && in_range(signature.data, order, len) &&
           in_range(signature.data + len, order, len) &&
           br_ecdsa_vrfy_raw_get_default()(ec, message_digest.data, message_digest.len,
                                           &key->key.ec, signature.data, signature.len) == 1;
}
