/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/redzone.h"
#include "effort.h"
#include "samples.h"
#include "x509/cert.h"
#include "x509/der.h"
#include "x509/key_impl.h"
#include "x509/pem.h"

static struct err err;

static struct key *read_sample(const char *name)
{
    struct buf text = sample_text(name);
    struct key *key = key_read(buf_bytes(&text), name, &err);

    buf_free(&text);
    return key;
}

/* Whether DER gives a key; with a reason where it does not. */
static bool accepted(struct bytes der)
{
    struct key *key;

    memset(&err, 0, sizeof err);
    key = key_new(der, "it", &err);
    if (!key && (err.code == ERR_NONE || err.reason[0] == '\0'))
        fail_msg("refused without a reason");
    key_free(key);
    return key;
}

static void every_form_is_read(void **state)
{
    static const struct {
        const char *file, *text;
        enum key_type type;
        int curve;
    } cases[] = {
        {"rsa2048.key", "RSA 2048", KEY_RSA, 0},
        {"rsa2048.pkcs1", "RSA 2048", KEY_RSA, 0},
        {"rsa3072.key", "RSA 3072", KEY_RSA, 0},
        {"client.key", "RSA 4096", KEY_RSA, 0},
        {"p256.key", "EC P-256", KEY_EC, BR_EC_secp256r1},
        {"p256.sec1", "EC P-256", KEY_EC, BR_EC_secp256r1},
        {"p256-alone.sec1", "EC P-256", KEY_EC, BR_EC_secp256r1},
        {"p256-compressed.sec1", "EC P-256", KEY_EC, BR_EC_secp256r1},
        {"p256-parameters.sec1", "EC P-256", KEY_EC, BR_EC_secp256r1},
        {"p384.key", "EC P-384", KEY_EC, BR_EC_secp384r1},
        {"p384.sec1", "EC P-384", KEY_EC, BR_EC_secp384r1},
    };
    char text[16];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct key *key = read_sample(cases[i].file);

        if (!key)
            fail_msg("%s: %s", cases[i].file, err.reason);
        key_text(key, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(key_type(key), cases[i].type);
        assert_int_equal(key_curve(key), cases[i].curve);
        key_free(key);
    }
}

static void other_kinds_are_refused_by_name(void **state)
{
    static const struct {
        const char *file, *reason;
        enum err_code code;
    } cases[] = {
        {"refused-ed25519.key", "Ed25519", ERR_KEY_UNSUPPORTED},
        {"refused-x25519.key", "X25519", ERR_KEY_UNSUPPORTED},
        {"refused-rsa1024.key", "RSA 1024", ERR_KEY_UNSUPPORTED},
        {"refused-multiprime.key", "more than two primes", ERR_KEY_UNSUPPORTED},
        {"refused-pss.key", "RSASSA-PSS", ERR_KEY_UNSUPPORTED},
        {"refused-p521.key", "EC secp521r1", ERR_KEY_UNSUPPORTED},
        {"refused-secp256k1.key", "EC secp256k1", ERR_KEY_UNSUPPORTED},
        {"refused-explicit.sec1", "explicit parameters", ERR_KEY_UNSUPPORTED},
        {"refused-dsa.key", "DSA", ERR_KEY_UNSUPPORTED},
        {"refused-encrypted.key", "password", ERR_KEY_ENCRYPTED},
        {"refused-encrypted.sec1", "password", ERR_KEY_ENCRYPTED},
        {"refused-public.pem", "no PEM block PRIVATE KEY, but", ERR_PEM_INVALID},
        {"ca.pem", "no PEM block PRIVATE KEY, but", ERR_PEM_INVALID},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_null(read_sample(cases[i].file));
        assert_string_equal(err.subject, cases[i].file);
        if (err.code != cases[i].code || !strstr(err.reason, cases[i].reason))
            fail_msg("%s: %d %s", cases[i].file, err.code, err.reason);
    }
}

static void encrypted_der_is_told_without_its_label(void **state)
{
    struct buf der = sample_der("refused-encrypted.key");

    (void)state;
    assert_false(accepted(buf_bytes(&der)));
    assert_int_equal(err.code, ERR_KEY_ENCRYPTED);
    buf_free(&der);
}

static void two_keys_are_one_too_many(void **state)
{
    struct buf text = sample_text("p256.key"), other = sample_text("p384.key");

    (void)state;
    assert_int_equal(buf_append(&text, other.data, other.len), 0);
    assert_null(key_read(buf_bytes(&text), "it", &err));
    assert_int_equal(err.code, ERR_KEY_INVALID);
    assert_non_null(strstr(err.reason, "more than one"));
    buf_free(&text);
    buf_free(&other);
}

/* All forms of a key end in one, which is what openssl writes. */
static void encoding_is_canonical(void **state)
{
    static const char *const cases[][2] = {
        {"rsa2048.pkcs1", "rsa2048.key"}, {"rsa2048.key", "rsa2048.key"},
        {"client.key", "client.key"},     {"p256.sec1", "p256.key"},
        {"p256-alone.sec1", "p256.key"},  {"p256-compressed.sec1", "p256.key"},
        {"p384.sec1", "p384.key"},        {"p384.key", "p384.key"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf expected = sample_der(cases[i][1]), found = {.tag = ARENA_KEY};
        struct key *key = read_sample(cases[i][0]);

        assert_non_null(key);
        assert_int_equal(key_encode(key, &found), 0);
        assert_int_equal(found.len, expected.len);
        assert_memory_equal(found.data, expected.data, found.len);
        key_free(key);
        buf_free(&expected);
        buf_free(&found);
    }
}

static void a_truncated_key_is_refused(void **state)
{
    static const char *const files[] = {"rsa2048.key", "rsa2048.pkcs1", "p256.key", "p384.sec1"};
    size_t i, len;

    (void)state;
    for (i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct buf der = sample_der(files[i]);

        assert_true(accepted(buf_bytes(&der)));
        for (len = 0; len < der.len; len++)
            if (accepted(bytes_of(der.data, len)))
                fail_msg("%s of %zu bytes", files[i], len);
        assert_int_equal(buf_append(&der, "", 1), 0);
        assert_false(accepted(buf_bytes(&der)));
        buf_free(&der);
    }
}

/* Flips one bit of der after the other; each must make it a key no more. */
static void flip_bits(const char *file, size_t first, size_t step)
{
    struct buf der = sample_der(file);
    size_t bit;

    for (bit = 0; bit < der.len * 8; bit += bit < first ? 1 : step) {
        der.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (accepted(buf_bytes(&der)))
            fail_msg("%s with bit %zu flipped", file, bit);
        der.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(accepted(buf_bytes(&der)));
    buf_free(&der);
}

static void a_flipped_bit_is_found(void **state)
{
    (void)state;
    flip_bits("p256.key", SIZE_MAX, 1);
    flip_bits("p384.sec1", 200, 7);
    flip_bits("rsa2048.key", 300, 97);
}

/* Where the members of RSAPrivateKey lie in its DER. */
static void find_members(const struct buf *der, struct bytes members[RSA_MEMBERS])
{
    struct bytes in = buf_bytes(der), body, version;
    int i;

    assert_true(der_take(&in, DER_SEQUENCE, &body));
    assert_true(der_unsigned(&body, &version));
    for (i = 0; i < RSA_MEMBERS; i++)
        assert_true(der_unsigned(&body, &members[i]));
}

/* The first, a middle and the last bit of each value; the length stays. */
static void each_rsa_value_must_belong_to_the_others(void **state)
{
    static const char *const reasons[RSA_MEMBERS] = {
        [RSA_N] = "n is not the product", [RSA_E] = "do not belong together",
        [RSA_D] = "e, d and d",           [RSA_P] = "n is not the product",
        [RSA_Q] = "n is not the product", [RSA_DP] = "e, d and dp",
        [RSA_DQ] = "e, d and dq",         [RSA_QINV] = "qinv is not",
    };
    struct buf der = sample_der("rsa2048.pkcs1");
    struct bytes members[RSA_MEMBERS];
    int i, k;

    (void)state;
    find_members(&der, members);
    for (i = 0; i < RSA_MEMBERS; i++) {
        size_t places[] = {0, members[i].len / 2, members[i].len - 1};

        for (k = 0; k < 3; k++) {
            uint8_t *byte = der.data + (members[i].data + places[k] - der.data);
            uint8_t bit = i == RSA_E && k == 2 ? 0x04 : 0x02;

            *byte ^= bit;
            assert_false(accepted(buf_bytes(&der)));
            if (err.code != ERR_KEY_INVALID || !strstr(err.reason, reasons[i]))
                fail_msg("value %d, place %d: %s", i, k, err.reason);
            *byte ^= bit;
        }
    }
    assert_true(accepted(buf_bytes(&der)));
    buf_free(&der);
}

/* PKCS#1 with members of one's own; the version is 0. */
static bool accepts_members(const struct bytes members[RSA_MEMBERS], uint8_t version)
{
    struct buf body = {.tag = ARENA_KEY}, der = {.tag = ARENA_KEY};
    const uint8_t start[] = {0x02, 0x01, version};
    bool result;
    int i;

    assert_int_equal(buf_append(&body, start, sizeof start), 0);
    for (i = 0; i < RSA_MEMBERS; i++) {
        size_t zero = members[i].len > 0 && members[i].data[0] >= 0x80, len = members[i].len + zero;
        const uint8_t header[] = {0x02, 0x82, (uint8_t)(len >> 8), (uint8_t)len, 0};
        const uint8_t middle[] = {0x02, 0x81, (uint8_t)len, 0}, small[] = {0x02, (uint8_t)len, 0};

        if (len > 0xFF)
            assert_int_equal(buf_append(&body, header, 4 + zero), 0);
        else if (len > 0x7F)
            assert_int_equal(buf_append(&body, middle, 3 + zero), 0);
        else
            assert_int_equal(buf_append(&body, small, 2 + zero), 0);
        assert_int_equal(buf_append(&body, members[i].data, members[i].len), 0);
    }
    {
        const uint8_t header[] = {0x30, 0x82, (uint8_t)(body.len >> 8), (uint8_t)body.len};

        assert_int_equal(buf_append(&der, header, sizeof header), 0);
        assert_int_equal(buf_append(&der, body.data, body.len), 0);
    }
    result = accepted(buf_bytes(&der));
    buf_free(&body);
    buf_free(&der);
    return result;
}

static void rsa_values_out_of_bounds_are_refused(void **state)
{
    static const uint8_t zeros[600], ones[600] = {[0 ... 599] = 0xFF};
    struct buf der = sample_der("rsa2048.pkcs1");
    struct bytes members[RSA_MEMBERS], saved;
    int i;

    (void)state;
    find_members(&der, members);
    assert_true(accepts_members(members, 0));
    assert_false(accepts_members(members, 2));
    assert_false(accepts_members(members, 0x80));
    for (i = 0; i < RSA_MEMBERS; i++) {
        const struct bytes others[] = {
            bytes_of(zeros, 0),   bytes_of(zeros, 1),
            bytes_of("\x01", 1),  bytes_of("\x02", 1),
            bytes_of(zeros, 129), bytes_of(ones, 128),
            bytes_of(ones, 257),  bytes_of(ones, 512),
            bytes_of(ones, 600),  members[(i + 1) % RSA_MEMBERS],
        };
        size_t k;

        saved = members[i];
        for (k = 0; k < sizeof others / sizeof others[0]; k++) {
            members[i] = others[k];
            if (accepts_members(members, 0))
                fail_msg("value %d replaced by number %zu", i, k);
        }
        members[i] = saved;
    }
    /* The factors exchanged without their exponents; a factor that is n. */
    saved = members[RSA_P];
    members[RSA_P] = members[RSA_Q];
    members[RSA_Q] = saved;
    assert_false(accepts_members(members, 0));
    members[RSA_P] = members[RSA_N];
    members[RSA_Q] = bytes_of("\x01", 1);
    assert_false(accepts_members(members, 0));
    buf_free(&der);
}

/* P-256 in SEC1 with a scalar of one's own, named curve and no point. */
static bool accepts_scalar(const uint8_t *scalar, uint8_t len)
{
    static const uint8_t end[] = {0xA0, 0x0A, 0x06, 0x08, 0x2A, 0x86,
                                  0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
    const uint8_t start[] = {0x30, (uint8_t)(5 + len + sizeof end), 0x02, 0x01, 0x01, 0x04, len};
    struct buf der = {.tag = ARENA_KEY};
    bool result;

    assert_int_equal(buf_append(&der, start, sizeof start), 0);
    assert_int_equal(buf_append(&der, scalar, len), 0);
    assert_int_equal(buf_append(&der, end, sizeof end), 0);
    result = accepted(buf_bytes(&der));
    buf_free(&der);
    return result;
}

static void an_ec_scalar_must_be_below_the_order(void **state)
{
    uint8_t scalar[33] = {0};
    size_t len;
    const uint8_t *order = br_ec_get_default()->order(BR_EC_secp256r1, &len);

    (void)state;
    assert_int_equal(len, 32);
    assert_false(accepts_scalar(scalar, 32));
    assert_false(accepts_scalar(scalar, 0));
    scalar[31] = 1;
    assert_true(accepts_scalar(scalar, 32));
    assert_true(accepts_scalar(scalar, 33)); /* others write too many */
    scalar[0] = 1;
    assert_false(accepts_scalar(scalar, 33));
    scalar[0] = 0;
    assert_true(accepts_scalar(scalar + 31, 1)); /* some encoders drop leading zeros */
    memcpy(scalar, order, len);
    assert_false(accepts_scalar(scalar, 32));
    scalar[31]--;
    assert_true(accepts_scalar(scalar, 32));
    memset(scalar, 0xFF, 32);
    assert_false(accepts_scalar(scalar, 32));
}

static void a_curve_named_twice_must_be_one(void **state)
{
    /* P-256 in PKCS#8 whose inner key names P-256 too, then P-384. */
    static const uint8_t start[] = {0x30, 0x4F, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07,
                                    0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08,
                                    0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x04,
                                    0x35, 0x30, 0x33, 0x02, 0x01, 0x01, 0x04, 0x20};
    static const uint8_t same[] = {0xA0, 0x0A, 0x06, 0x08, 0x2A, 0x86,
                                   0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
    static const uint8_t other[] = {0xA0, 0x07, 0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22};
    uint8_t der[128], scalar[32] = {[31] = 7};

    (void)state;
    memcpy(der, start, sizeof start);
    memcpy(der + sizeof start, scalar, sizeof scalar);
    memcpy(der + sizeof start + 32, same, sizeof same);
    der[1] = (uint8_t)(sizeof start + 32 + sizeof same - 2);
    der[27] = (uint8_t)(7 + 32 + sizeof same);
    der[29] = (uint8_t)(5 + 32 + sizeof same);
    assert_true(accepted(bytes_of(der, (size_t)der[1] + 2)));
    memcpy(der + sizeof start + 32, other, sizeof other);
    der[1] = (uint8_t)(der[1] - 3);
    der[27] = (uint8_t)(der[27] - 3);
    der[29] = (uint8_t)(der[29] - 3);
    assert_false(accepted(bytes_of(der, (size_t)der[1] + 2)));
    assert_non_null(strstr(err.reason, "two curves"));
}

static void a_key_matches_its_own_certificate_only(void **state)
{
    struct buf client = sample_der("client.pem"), leaf = sample_der("leaf.pem");
    struct key *rsa = read_sample("client.key"), *ec = read_sample("leaf.key"),
               *other = read_sample("p256.key");
    struct cert client_cert, leaf_cert;
    char reason[CERT_REASON_MAX];

    (void)state;
    assert_int_equal(cert_parse(&client_cert, buf_bytes(&client), reason), 0);
    assert_int_equal(cert_parse(&leaf_cert, buf_bytes(&leaf), reason), 0);
    assert_true(key_matches(rsa, &client_cert));
    assert_true(key_matches(ec, &leaf_cert));
    assert_false(key_matches(rsa, &leaf_cert));
    assert_false(key_matches(ec, &client_cert));
    assert_false(key_matches(other, &leaf_cert));
    key_free(rsa);
    key_free(ec);
    key_free(other);
    buf_free(&client);
    buf_free(&leaf);
}

static const uint8_t message_hash[64] =
    "what a ServerKeyExchange hashes to, of sixty-four bytes at most";

static size_t sign(const struct key *key, unsigned scheme, size_t len, uint8_t *out)
{
    return key_sign(key, scheme, bytes_of(message_hash, len), out);
}

/* TLS 1.2 offers no SHA-1 or MD5; a scheme of the other type, and none at all. */
static void signatures_are_made_for_sha2_alone(void **state)
{
    static const char *const files[] = {"rsa2048.key", "client.key", "p256.key", "p384.key"};
    static const struct {
        unsigned scheme;
        size_t len;
        bool rsa, ec;
    } cases[] = {
        {KEY_RSA_PKCS1_SHA256, 32, true, false},
        {KEY_RSA_PKCS1_SHA384, 48, true, false},
        {KEY_RSA_PKCS1_SHA512, 64, true, false},
        {KEY_RSA_PSS_SHA256, 32, true, false},
        {KEY_RSA_PSS_SHA384, 48, true, false},
        {KEY_RSA_PSS_SHA512, 64, true, false},
        {KEY_ECDSA_SHA256, 32, false, true},
        {KEY_ECDSA_SHA384, 48, false, true},
        {KEY_ECDSA_SHA512, 64, false, true},
        {0x0201, 20, false, false}, /* SHA-1 */
        {0x0203, 20, false, false},
        {0x0101, 16, false, false}, /* MD5 */
        {0x0402, 32, false, false}, /* DSA */
        {0x0807, 64, false, false}, /* Ed25519 */
        {0x0809, 32, false, false}, /* RSASSA-PSS keys */
        {0x10401, 32, false, false},
        {0, 36, false, false},
        {KEY_RSA_PKCS1_SHA256, 31, false, false},
        {KEY_RSA_PSS_SHA256, 48, false, false},
        {KEY_ECDSA_SHA256, 48, false, false},
    };
    uint8_t out[KEY_SIGNATURE_MAX];
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct key *key = read_sample(files[i]);

        assert_non_null(key);
        for (k = 0; k < sizeof cases / sizeof cases[0]; k++) {
            bool expected = key_type(key) == KEY_RSA ? cases[k].rsa : cases[k].ec;

            if ((sign(key, cases[k].scheme, cases[k].len, out) > 0) != expected)
                fail_msg("%s by 0x%04x", files[i], cases[k].scheme);
        }
        key_free(key);
    }
}

/*
 * Flips bits of one value in a key that was read, one at a time, so many of each byte: no signature
 * may leave.
 */
static void damage(struct key *key, unsigned scheme, struct bytes member, size_t bits)
{
    unsigned char *value = (unsigned char *)(uintptr_t)member.data;
    static const uint8_t nothing[KEY_SIGNATURE_MAX];
    uint8_t out[KEY_SIGNATURE_MAX];
    size_t i, bit;

    for (i = 0; i < bits * member.len; i += one_of(7)) {
        bit = (i / bits + i) % 8; /* another one in each byte */
        value[i / bits] ^= (unsigned char)(1u << bit);
        memset(out, 0xFF, sizeof out);
        if (sign(key, scheme, 32, out) != 0)
            fail_msg("a signature by a damaged key, bit %zu of byte %zu", bit, i / bits);
        assert_memory_equal(out, nothing, sizeof out);
        value[i / bits] ^= (unsigned char)(1u << bit);
    }
}

static void a_damaged_rsa_key_makes_no_signature(void **state)
{
    static const unsigned schemes[] = {KEY_RSA_PKCS1_SHA256, KEY_RSA_PSS_SHA256};
    const size_t bits = getenv("PROOF") ? 8 : 1; /* `make prove-rsa` */
    struct key *key = read_sample("rsa2048.key");
    const br_rsa_private_key *rsa = &key->rsa;
    const br_rsa_public_key *public = &key->rsa_public;
    uint8_t out[KEY_SIGNATURE_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        damage(key, schemes[i], bytes_of(rsa->p, rsa->plen), bits);
        damage(key, schemes[i], bytes_of(rsa->q, rsa->qlen), bits);
        damage(key, schemes[i], bytes_of(rsa->dp, rsa->dplen), bits);
        damage(key, schemes[i], bytes_of(rsa->dq, rsa->dqlen), bits);
        damage(key, schemes[i], bytes_of(rsa->iq, rsa->iqlen), bits);
        damage(key, schemes[i], bytes_of(public->n, public->nlen), bits);
        damage(key, schemes[i], bytes_of(public->e, public->elen), 8);
        assert_int_equal(sign(key, schemes[i], 32, out), 256);
    }
    key_free(key);
}

static void a_damaged_ec_key_makes_no_signature(void **state)
{
    static const char *const files[] = {"p256.key", "p384.key"};
    uint8_t out[KEY_SIGNATURE_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct key *key = read_sample(files[i]);

        damage(key, KEY_ECDSA_SHA256, bytes_of(key->ec.x, key->ec.xlen), 8);
        damage(key, KEY_ECDSA_SHA256, bytes_of(key->ec_public.q, key->ec_public.qlen), 1);
        assert_true(sign(key, KEY_ECDSA_SHA256, 32, out) > 60);
        key_free(key);
    }
}

static void a_freed_key_is_wiped(void **state)
{
    struct key *key = read_sample("p256.key");
    uint8_t scalar[32];
    const uint8_t *place = key->values;

    (void)state;
    memcpy(scalar, place, sizeof scalar);
    key_free(key);
    key_free(NULL);
    redzone_open(place, sizeof scalar);
    assert_memory_not_equal(place, scalar, sizeof scalar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read),
        cmocka_unit_test(other_kinds_are_refused_by_name),
        cmocka_unit_test(encrypted_der_is_told_without_its_label),
        cmocka_unit_test(two_keys_are_one_too_many),
        cmocka_unit_test(encoding_is_canonical),
        cmocka_unit_test(a_truncated_key_is_refused),
        cmocka_unit_test(a_flipped_bit_is_found),
        cmocka_unit_test(each_rsa_value_must_belong_to_the_others),
        cmocka_unit_test(rsa_values_out_of_bounds_are_refused),
        cmocka_unit_test(an_ec_scalar_must_be_below_the_order),
        cmocka_unit_test(a_curve_named_twice_must_be_one),
        cmocka_unit_test(a_key_matches_its_own_certificate_only),
        cmocka_unit_test(signatures_are_made_for_sha2_alone),
        cmocka_unit_test(a_damaged_rsa_key_makes_no_signature),
        cmocka_unit_test(a_damaged_ec_key_makes_no_signature),
        cmocka_unit_test(a_freed_key_is_wiped),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
