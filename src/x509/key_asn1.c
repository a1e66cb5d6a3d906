/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "x509/der.h"
#include "x509/key_impl.h"

/* A reader's way of saying so, where the caller's struct err is at hand. */
struct report {
    const char *subject;
    struct err *err;
};

#define OID(text) {(const uint8_t *)(text), sizeof(text) - 1}

static const struct bytes OID_RSA = OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01");
static const struct bytes OID_EC = OID("\x2A\x86\x48\xCE\x3D\x02\x01");

static const struct curve {
    struct bytes oid;
    const char *name;
    int id; /* BearSSL's; 0 where we do not take such keys */
    unsigned bits;
} curves[] = {
    {OID("\x2A\x86\x48\xCE\x3D\x03\x01\x07"), "EC P-256", BR_EC_secp256r1, 256},
    {OID("\x2B\x81\x04\x00\x22"), "EC P-384", BR_EC_secp384r1, 384},
    {OID("\x2B\x81\x04\x00\x23"), "EC secp521r1", 0, 521},
    {OID("\x2B\x81\x04\x00\x0A"), "EC secp256k1", 0, 256},
    {OID("\x2B\x81\x04\x00\x21"), "EC secp224r1", 0, 224},
    {OID("\x2A\x86\x48\xCE\x3D\x03\x01\x01"), "EC secp192r1", 0, 192},
    {OID("\x2B\x24\x03\x03\x02\x08\x01\x01\x07"), "EC brainpoolP256r1", 0, 256},
    {OID("\x2B\x24\x03\x03\x02\x08\x01\x01\x0B"), "EC brainpoolP384r1", 0, 384},
    {OID("\x2B\x24\x03\x03\x02\x08\x01\x01\x0D"), "EC brainpoolP512r1", 0, 512},
};

/* Kinds that PKCS#8 can hold and we do not take. */
static const struct {
    struct bytes oid;
    const char *name;
} others[] = {
    {OID("\x2B\x65\x70"), "Ed25519"},
    {OID("\x2B\x65\x71"), "Ed448"},
    {OID("\x2B\x65\x6E"), "X25519"},
    {OID("\x2B\x65\x6F"), "X448"},
    {OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0A"), "RSASSA-PSS"},
    {OID("\x2A\x86\x48\xCE\x38\x04\x01"), "DSA"},
    {OID("\x2A\x86\x48\x86\xF7\x0D\x01\x03\x01"), "DH"},
};

static struct key *invalid(const struct report *report, const char *why)
{
    err_set(report->err, ERR_KEY_INVALID, report->subject, "%s", why);
    return NULL;
}

/* Of a kind that is taken, in a form that is not. */
static struct key *another_form(const struct report *report, const char *form)
{
    err_set(report->err, CAUSE_KEY_FORM, report->subject, "%s", form);
    return NULL;
}

static struct key *unsupported(const struct report *report, const char *kind)
{
    err_set(report->err, ERR_KEY_UNSUPPORTED, report->subject, "the key's kind is %s", kind);
    return NULL;
}

/* A key with room for the values that it will point to. */
static struct key *allocate(const struct report *report, enum key_type type, size_t len)
{
    struct key *key = arena_alloc(sizeof *key + len, ARENA_KEY);

    if (!key) {
        err_set(report->err, ERR_MEMORY_FULL, report->subject, "no memory for the key");
        return NULL;
    }
    key->type = type;
    key->len = len;
    return key;
}

/* A small version number: -1 for any other INTEGER. */
static int version_of(struct bytes number)
{
    if (number.len == 0)
        return 0;
    return number.len == 1 ? number.data[0] : -1;
}

static bool read_rsa(struct bytes in, int *version, struct bytes values[RSA_MEMBERS])
{
    struct bytes body, number;
    int i;

    if (!der_take(&in, DER_SEQUENCE, &body) || in.len > 0 || !der_unsigned(&body, &number))
        return false;
    *version = version_of(number);
    for (i = 0; i < RSA_MEMBERS; i++)
        if (!der_unsigned(&body, &values[i]) || values[i].len == 0)
            return false;
    return *version != 0 || body.len == 0;
}

/* Points the BearSSL structures into the key's own copy. */
static void point_rsa(struct key *key)
{
    struct bytes values[RSA_MEMBERS];
    uint8_t *at[RSA_MEMBERS];
    int version, i;

    (void)read_rsa(bytes_of(key->values, key->len), &version, values);
    for (i = 0; i < RSA_MEMBERS; i++)
        at[i] = key->values + (values[i].data - key->values);
    key->rsa_public = (br_rsa_public_key){
        .n = at[RSA_N],
        .nlen = values[RSA_N].len,
        .e = at[RSA_E],
        .elen = values[RSA_E].len,
    };
    key->rsa = (br_rsa_private_key){
        .n_bitlen = key->bits,
        .p = at[RSA_P],
        .plen = values[RSA_P].len,
        .q = at[RSA_Q],
        .qlen = values[RSA_Q].len,
        .dp = at[RSA_DP],
        .dplen = values[RSA_DP].len,
        .dq = at[RSA_DQ],
        .dqlen = values[RSA_DQ].len,
        .iq = at[RSA_QINV],
        .iqlen = values[RSA_QINV].len,
    };
}

static struct key *new_rsa(struct bytes in, const struct report *report)
{
    struct bytes values[RSA_MEMBERS];
    char kind[24];
    const char *wrong;
    unsigned bits;
    struct key *key;
    int version;

    if (!read_rsa(in, &version, values))
        return invalid(report, "it is no whole RSA key");
    if (version == 1)
        return unsupported(report, "RSA with more than two primes");
    if (version != 0)
        return invalid(report, "its version is unknown");
    bits = key_bits(values[RSA_N]);
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
        (void)snprintf(kind, sizeof kind, "RSA %u", bits);
        return unsupported(report, kind);
    }
    if (values[RSA_E].len > 4)
        return unsupported(report, "RSA with a public exponent above 32 bits");
    if (!(values[RSA_E].data[values[RSA_E].len - 1] & 1) || key_bits(values[RSA_E]) < 2)
        return invalid(report, "its public exponent is even, or 1");
    if ((wrong = key_rsa_check(values)))
        return invalid(report, wrong);
    key = allocate(report, KEY_RSA, in.len);
    if (!key)
        return NULL;
    memcpy(key->values, in.data, in.len);
    key->bits = bits;
    point_rsa(key);
    return key;
}

/* The parts of ECPrivateKey (RFC 5915), data NULL where absent. */
struct ec_parts {
    struct bytes scalar, parameters, point;
};

static bool read_ec(struct bytes in, int *version, struct ec_parts *parts)
{
    struct bytes body, number, bits, point = {0};

    if (!der_take(&in, DER_SEQUENCE, &body) || in.len > 0 || !der_unsigned(&body, &number) ||
        !der_take(&body, DER_OCTET_STRING, &parts->scalar) ||
        !der_take_optional(&body, DER_CONTEXT_CONSTRUCTED | 0, &parts->parameters) ||
        !der_take_optional(&body, DER_CONTEXT_CONSTRUCTED | 1, &point) || body.len > 0)
        return false;
    *version = version_of(number);
    parts->point = bytes_of(NULL, 0);
    if (!point.data)
        return true;
    if (!der_take(&point, DER_BIT_STRING, &bits) || point.len > 0 || bits.len == 0 ||
        bits.data[0] != 0)
        return false;
    parts->point = bytes_of(bits.data + 1, bits.len - 1);
    return true;
}

/* The curve that ECParameters names; NULL after a report. */
static const struct curve *find_curve(struct bytes parameters, const struct report *report)
{
    struct bytes oid;
    size_t i;

    if (parameters.len > 0 && parameters.data[0] == DER_SEQUENCE) {
        another_form(report, "the key's kind is EC with explicit parameters");
        return NULL;
    }
    if (!der_take(&parameters, DER_OID, &oid) || parameters.len > 0) {
        another_form(report, "its curve is not named");
        return NULL;
    }
    for (i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (!bytes_equal(oid, curves[i].oid))
            continue;
        if (curves[i].id == 0)
            break;
        return &curves[i];
    }
    unsupported(report,
                i < sizeof curves / sizeof curves[0] ? curves[i].name : "EC, unknown curve");
    return NULL;
}

/* Whether 0 < scalar < order, both of len bytes, without a branch on the scalar. */
static bool in_range(const uint8_t *scalar, const uint8_t *order, size_t len)
{
    unsigned borrow = 0, any = 0;

    while (len-- > 0) {
        borrow = ((unsigned)scalar[len] - order[len] - borrow) >> 8 & 1;
        any |= scalar[len];
    }
    return borrow == 1 && any != 0;
}

/* Whether point is public's, uncompressed or compressed (SEC 1 section 2.3.3). */
static bool same_point(struct bytes point, const br_ec_public_key *public)
{
    size_t len = public->qlen / 2;

    if (point.len == len + 1)
        return point.data[0] == (2 | (public->q[2 * len] & 1)) &&
               memcmp(point.data + 1, public->q + 1, len) == 0;
    return bytes_equal(point, bytes_of(public->q, public->qlen));
}

/* Takes the scalar over, padded to the order's length, and computes the point. */
static const char *fill_ec(struct key *key, const struct ec_parts *parts)
{
    const br_ec_impl *impl = br_ec_get_default();
    size_t len;
    const uint8_t *order = impl->order(key->ec.curve, &len);

    memcpy(key->values + len - parts->scalar.len, parts->scalar.data, parts->scalar.len);
    key->ec.x = key->values;
    key->ec.xlen = len;
    if (!in_range(key->ec.x, order, len))
        return "its value is not below the curve's order, or zero";
    if (br_ec_compute_pub(impl, &key->ec_public, key->values + len, &key->ec) != 2 * len + 1)
        return "its point cannot be computed";
    if (parts->point.data && !same_point(parts->point, &key->ec_public))
        return "its point does not belong to its value";
    return NULL;
}

/* parameters: of the PKCS#8 around it, data NULL where it stands alone. */
static struct key *new_ec(struct bytes in, struct bytes parameters, const struct report *report)
{
    const struct curve *curve;
    struct ec_parts parts;
    const char *wrong;
    struct key *key;
    int version;
    size_t len;

    if (!read_ec(in, &version, &parts))
        return invalid(report, "it is no whole EC key");
    if (version != 1)
        return invalid(report, "its version is unknown");
    if (parameters.data && parts.parameters.data && !bytes_equal(parameters, parts.parameters))
        return invalid(report, "it names two curves");
    curve = find_curve(parameters.data ? parameters : parts.parameters, report);
    if (!curve)
        return NULL;
    len = curve->bits / 8;
    while (parts.scalar.len > len && parts.scalar.data[0] == 0) /* as some writers pad it */
        parts.scalar = bytes_of(parts.scalar.data + 1, parts.scalar.len - 1);
    if (parts.scalar.len == 0 || parts.scalar.len > len)
        return invalid(report, "its value has a wrong length");
    key = allocate(report, KEY_EC, 3 * len + 1);
    if (!key)
        return NULL;
    key->bits = curve->bits;
    key->ec.curve = curve->id;
    if ((wrong = fill_ec(key, &parts))) {
        key_free(key);
        return invalid(report, wrong);
    }
    return key;
}

/* The rest of OneAsymmetricKey (RFC 5958), behind its version, which is 1 where a public key stands
 * in it. Attributes and public key are left out. */
static struct key *new_pkcs8(struct bytes in, int version, const struct report *report)
{
    struct bytes algorithm, oid, octets, attributes, public, null;
    size_t i;

    if (!der_take(&in, DER_SEQUENCE, &algorithm) || !der_take(&in, DER_OCTET_STRING, &octets) ||
        !der_take_optional(&in, DER_CONTEXT_CONSTRUCTED | 0, &attributes) ||
        !der_take_optional(&in, DER_CONTEXT | 1, &public) || in.len > 0 ||
        !der_take(&algorithm, DER_OID, &oid))
        return invalid(report, "it is no whole PKCS#8 key");
    if (version != (public.data ? 1 : 0))
        return invalid(report, "its version is unknown");
    if (bytes_equal(oid, OID_EC))
        return new_ec(octets, algorithm, report);
    for (i = 0; i < sizeof others / sizeof others[0]; i++)
        if (bytes_equal(oid, others[i].oid))
            return unsupported(report, others[i].name);
    if (!bytes_equal(oid, OID_RSA))
        return unsupported(report, "unknown");
    if (!der_take_optional(&algorithm, DER_NULL, &null) || null.len > 0 || algorithm.len > 0)
        return invalid(report, "its algorithm has parameters");
    return new_rsa(octets, report);
}

struct key *key_new(struct bytes der, const char *subject, struct err *err)
{
    const struct report report = {subject, err};
    struct bytes in = der, body, rest, number;
    struct der next;

    if (!der_take(&in, DER_SEQUENCE, &body) || in.len > 0)
        return invalid(&report, "it is not DER");
    if (body.len > 0 && body.data[0] == DER_SEQUENCE) { /* EncryptedPrivateKeyInfo (RFC 5958) */
        err_set(err, ERR_KEY_ENCRYPTED, subject, "it is PKCS#8 under a password");
        return NULL;
    }
    if (!der_unsigned(&body, &number))
        return invalid(&report, "it is no private key");
    rest = body;
    if (!der_any(&rest, &next))
        return invalid(&report, "it is no private key");
    switch (next.tag) {
    case DER_INTEGER: return new_rsa(der, &report);
    case DER_OCTET_STRING: return new_ec(der, bytes_of(NULL, 0), &report);
    case DER_SEQUENCE: break;
    default: return invalid(&report, "it is no private key");
    }
    return new_pkcs8(body, version_of(number), &report);
}
