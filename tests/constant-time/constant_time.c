/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether what is done with secrets depends on their values: by valgrind, for which a secret is
 * memory that was never written. It tells of each branch and each address that is made of such.
 * The objects are those of the program that ships. suppressions says what may be known after all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <valgrind/memcheck.h>

#include "base/arena.h"
#include "base/err.h"
#include "tls13/impl.h"
#include "x509/der.h"
#include "x509/key_impl.h"

/* ---- secrets begin and end */

static void hide(const void *data, size_t len)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(data, len);
}

static void show(const void *data, size_t len)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(data, len);
}

static unsigned long found;

static int begin(void **state)
{
    (void)state;
    found = VALGRIND_COUNT_ERRORS;
    return 0;
}

/* Nothing was found since begin(); what was, valgrind has told. */
static void assert_constant(void)
{
    assert_int_equal(VALGRIND_COUNT_ERRORS - found, 0);
}

static void a_branch_on_a_secret_is_found(void **state)
{
    static const uint8_t table[256] = {1};
    volatile uint8_t secret = 7, seen = 0;

    (void)state;
    hide((const void *)&secret, 1);
    if (secret & 1)
        seen = 1;
    assert_int_equal(VALGRIND_COUNT_ERRORS - found, 1);
    seen = table[secret];
    assert_int_equal(VALGRIND_COUNT_ERRORS - found, 2);
    show((const void *)&seen, 1);
}

/* ---- signatures: a finished one is public, and so is what verifies it before it leaves */

uint32_t __real_br_rsa_i62_public(unsigned char *x, size_t len, const br_rsa_public_key *key);
uint32_t __wrap_br_rsa_i62_public(unsigned char *x, size_t len, const br_rsa_public_key *key);
uint32_t __real_br_ecdsa_i31_vrfy_asn1(const br_ec_impl *impl, const void *hash, size_t hash_len,
                                       const br_ec_public_key *key, const void *signature,
                                       size_t len);
uint32_t __wrap_br_ecdsa_i31_vrfy_asn1(const br_ec_impl *impl, const void *hash, size_t hash_len,
                                       const br_ec_public_key *key, const void *signature,
                                       size_t len);

uint32_t __wrap_br_rsa_i62_public(unsigned char *x, size_t len, const br_rsa_public_key *key)
{
    show(x, len);
    return __real_br_rsa_i62_public(x, len, key);
}

uint32_t __wrap_br_ecdsa_i31_vrfy_asn1(const br_ec_impl *impl, const void *hash, size_t hash_len,
                                       const br_ec_public_key *key, const void *signature,
                                       size_t len)
{
    show(&len, sizeof len);
    show(signature, len);
    return __real_br_ecdsa_i31_vrfy_asn1(impl, hash, hash_len, key, signature, len);
}

/* How long a number is, which is computed in constant time of all of it, is known all the same. */
uint32_t __real_br_i31_bit_length(uint32_t *x, size_t len);
uint32_t __wrap_br_i31_bit_length(uint32_t *x, size_t len);

uint32_t __wrap_br_i31_bit_length(uint32_t *x, size_t len)
{
    uint32_t bits = __real_br_i31_bit_length(x, len);

    show(&bits, sizeof bits);
    return bits;
}

static struct key *read_key(const char *name)
{
    char path[256], text[8192];
    struct key *key;
    struct err err;
    size_t len;
    FILE *file;

    (void)snprintf(path, sizeof path, "tests/unit/data/%s", name);
    file = fopen(path, "r");
    assert_non_null(file);
    len = fread(text, 1, sizeof text, file);
    (void)fclose(file);
    key = key_read(bytes_of(text, len), name, &err);
    assert_non_null(key);
    return key;
}

/* A number's first byte is its length as well, which is no secret. */
static void hide_number(const unsigned char *number, size_t len)
{
    hide(number + 1, len - 1);
}

static void hide_key(const struct key *key)
{
    if (key->type == KEY_EC) {
        hide(key->ec.x, key->ec.xlen);
        return;
    }
    hide_number(key->rsa.p, key->rsa.plen);
    hide_number(key->rsa.q, key->rsa.qlen);
    hide(key->rsa.dp, key->rsa.dplen);
    hide(key->rsa.dq, key->rsa.dqlen);
    hide(key->rsa.iq, key->rsa.iqlen);
}

static void signatures(void **state)
{
    static const struct {
        const char *name;
        unsigned scheme;
        size_t hash_len;
    } cases[] = {
        {"rsa2048.key", KEY_RSA_PKCS1_SHA256, 32}, {"rsa2048.key", KEY_RSA_PSS_SHA256, 32},
        {"rsa3072.key", KEY_RSA_PSS_SHA384, 48},   {"rsa3072.key", KEY_RSA_PKCS1_SHA512, 64},
        {"client.key", KEY_RSA_PSS_SHA256, 32},    {"p256.key", KEY_ECDSA_SHA256, 32},
        {"p384.key", KEY_ECDSA_SHA384, 48},
    };
    static const uint8_t hash[64] = {7};
    uint8_t signature[KEY_SIGNATURE_MAX];
    size_t i, len;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct key *key = read_key(cases[i].name);

        hide_key(key);
        len = key_sign(key, cases[i].scheme, bytes_of(hash, cases[i].hash_len), signature);
        show(&len, sizeof len);
        assert_true(len > 0);
        key_free(key);
    }
    assert_constant();
}

/* What a key's values are looked at for, when it is read. */
static void a_key_is_checked(void **state)
{
    static const char *const names[] = {"rsa2048.key", "rsa3072.key", "client.key"};
    struct bytes values[RSA_MEMBERS], in, body, version;
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        struct key *key = read_key(names[i]);
        const char *wrong;

        in = bytes_of(key->values, key->len);
        assert_true(der_take(&in, DER_SEQUENCE, &body) && der_unsigned(&body, &version));
        for (k = 0; k < RSA_MEMBERS; k++) {
            assert_true(der_unsigned(&body, &values[k]));
            if (k >= RSA_D)
                hide_number(values[k].data, values[k].len);
        }
        wrong = key_rsa_check(values);
        show(&wrong, sizeof wrong);
        assert_null(wrong);
        key_free(key);
    }
    assert_constant();
}

/* ---- TLS 1.3 */

static const uint16_t suites[] = {TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384,
                                  TLS13_CHACHA20_POLY1305_SHA256};

static struct {
    br_ssl_client_context context;
    struct tls13 tls;
} client;

static void set_up(unsigned suite)
{
    br_ssl_engine_context *engine = &client.context.eng;

    memset(&client, 0, sizeof client);
    br_ssl_client_zero(&client.context);
    br_ssl_engine_set_hash(engine, br_sha256_ID, &br_sha256_vtable);
    br_ssl_engine_set_hash(engine, br_sha384_ID, &br_sha384_vtable);
    br_ssl_engine_set_default_aes_gcm(engine);
    br_ssl_engine_set_default_chapol(engine);
    br_ssl_engine_set_ec(engine, br_ec_get_default());
    br_multihash_init(&engine->mhash);
    client.tls.engine = engine;
    assert_true(schedule_suite(&client.tls, suite));
}

static void key_exchange(void **state)
{
    static const int groups[] = {BR_EC_curve25519, BR_EC_secp256r1, BR_EC_secp384r1};
    const br_ec_impl *ec = br_ec_get_default();
    uint8_t share[POINT_MAX], shared[POINT_MAX], public[POINT_MAX];
    size_t i, len, order_len;

    (void)state;
    for (i = 0; i < sizeof groups / sizeof *groups; i++) {
        set_up(TLS13_AES_128_GCM_SHA256);
        len = ec->mulgen(share, (const uint8_t[]){9}, 1, groups[i]);
        (void)ec->order(groups[i], &order_len);
        memset(client.tls.scalar, 5, order_len);
        hide(client.tls.scalar, order_len);
        client.tls.group = (uint16_t)groups[i];
        (void)ec->mulgen(public, client.tls.scalar, order_len, groups[i]);
        len = share_agree(&client.tls, (struct view){share, len, false}, shared);
        show(&len, sizeof len);
        assert_true(len > 0);
    }
    assert_constant();
}

static void key_schedule(void **state)
{
    struct tls13 *tls = &client.tls;
    uint8_t out[TLS13_HASH_MAX], psk[TLS13_HASH_MAX] = {1}, shared[POINT_MAX] = {2};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof suites / sizeof *suites; i++) {
        set_up(suites[i]);
        hide(psk, sizeof psk);
        hide(shared, sizeof shared);
        schedule_begin(tls, psk);
        schedule_binder(tls, out);
        schedule_handshake(tls, shared, 32);
        schedule_finished(tls, tls->theirs, (const uint8_t[TLS13_HASH_MAX]){3}, out);
        schedule_application(tls);
        schedule_resumption(tls);
        schedule_ticket(tls, (const uint8_t[]){4}, 1, out);
        schedule_update(tls, tls->theirs);
        tls->state = TLS13_OPEN;
        assert_true(tls13_export(tls, "label", bytes_of(NULL, 0), out, 32));
    }
    assert_constant();
}

/* A record that we send comes back to us. What it says is secret too, but for its last byte. */
static void records(void **state)
{
    br_ssl_engine_context *engine = &client.context.eng;
    uint8_t secret[TLS13_HASH_MAX] = {6}, buffer[512], *text = buffer + 16;
    const br_sslrec_out_class **out = &engine->out.vtable;
    const br_sslrec_in_class **in = &engine->in.vtable;
    size_t i, len;

    (void)state;
    for (i = 0; i < sizeof suites / sizeof *suites; i++) {
        set_up(suites[i]);
        hide(secret, sizeof secret);
        record_keys_out(&client.tls, secret);
        record_keys_in(&client.tls, secret);
        client.tls.proven = true;
        memset(text, 'x', 200);
        hide(text, 200);
        len = 200;
        assert_ptr_equal((*out)->encrypt(out, APPLICATION_DATA, BR_TLS12, text, &len), text - 5);
        assert_int_equal(len, 5 + 200 + 1 + 16);
        len -= 5;
        assert_non_null((*in)->decrypt(in, APPLICATION_DATA, BR_TLS12, text, &len));
        show(&len, sizeof len);
        assert_int_equal(len, 200);
    }
    assert_constant();
}

/* ---- TLS 1.2 */

static void key_schedule_12(void **state)
{
    static const br_tls_prf_seed_chunk seed = {"seed", 4};
    uint8_t secret[48] = {8}, out[104];

    (void)state;
    hide(secret, sizeof secret);
    br_tls12_sha256_prf(out, sizeof out, secret, sizeof secret, "key expansion", 1, &seed);
    br_tls12_sha384_prf(out, sizeof out, secret, sizeof secret, "key expansion", 1, &seed);
    assert_constant();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_branch_on_a_secret_is_found, begin),
        cmocka_unit_test_setup(signatures, begin),
        cmocka_unit_test_setup(a_key_is_checked, begin),
        cmocka_unit_test_setup(key_exchange, begin),
        cmocka_unit_test_setup(key_schedule, begin),
        cmocka_unit_test_setup(records, begin),
        cmocka_unit_test_setup(key_schedule_12, begin),
    };
    const struct arena_options options = {.lock_preferred = true};
    struct err err;

    if (!RUNNING_ON_VALGRIND) {
        (void)fputs("constant-time: to be run by valgrind\n", stderr);
        return 2;
    }
    if (arena_open(&options, &err) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
