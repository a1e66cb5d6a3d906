/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended master secret and RSA-PSS in TLS 1.2: what the hook makes the client offer, and what it
 * takes of a server that is played here, message by message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "net/tls_impl.h"
#include "samples.h"
#include "x509/key_impl.h"

enum { HANDSHAKE = 22, HEADER = 5, RANDOM = 32, BEFORE_RANDOM = HEADER + 4 + 2 };
enum { EXTENDED_MASTER_SECRET = 23, SIGNATURE_ALGORITHMS = 13, RENEGOTIATION_INFO = 0xFF01 };
enum { SERVER_HELLO = 2, CERTIFICATE = 11, SERVER_KEY_EXCHANGE = 12 };
enum { SUITE = BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 };

static br_ssl_client_context client;
static br_ssl_engine_context *const engine = &client.eng;
static struct tls_session *session;
static br_x509_knownkey_context server_key;
static struct key *key;
static uint8_t buffer[BR_SSL_BUFSIZE_BIDI];

/* What is sent, built piece by piece. */
struct wire {
    uint8_t data[2048];
    size_t len;
};

static void put(struct wire *wire, const void *data, size_t len)
{
    assert_true(len <= sizeof wire->data - wire->len);
    memcpy(wire->data + wire->len, data, len);
    wire->len += len;
}

static void put_number(struct wire *wire, unsigned number, unsigned bytes)
{
    while (bytes-- > 0) {
        const uint8_t byte = (uint8_t)(number >> 8 * bytes);

        put(wire, &byte, 1);
    }
}

/* The record that begins a handshake, and with it the session's state. */
static struct bytes open_client(const br_ssl_session_parameters *resumed)
{
    static const struct tls_policy policy = {.name = "enclave.example"};
    const uint8_t *hello;
    size_t len;

    session = tls_session_new(&policy, NULL, "");
    assert_non_null(session);
    br_ssl_client_zero(&client);
    br_ssl_engine_set_buffer(engine, buffer, sizeof buffer, 1);
    tls_hook(session, &client);
    br_x509_knownkey_init_rsa(&server_key, &key->rsa_public, BR_KEYTYPE_SIGN);
    br_ssl_engine_set_x509(engine, &server_key.vtable);
    if (resumed)
        br_ssl_engine_set_session_parameters(engine, resumed);
    assert_true(br_ssl_client_reset(&client, policy.name, resumed != NULL));
    hello = br_ssl_engine_sendrec_buf(engine, &len);
    return bytes_of(hello, len);
}

static void close_client(void)
{
    tls_session_free(session);
}

/* Sends one message in a record of its own: BearSSL's error, or 0. */
static int say(uint8_t type, const struct wire *body)
{
    struct wire record = {.len = 0};
    size_t room, sent = 0;

    if (br_ssl_engine_sendrec_buf(engine, &room))
        br_ssl_engine_sendrec_ack(engine, room);
    put_number(&record, HANDSHAKE, 1);
    put_number(&record, BR_TLS12, 2);
    put_number(&record, (unsigned)body->len + 4, 2);
    put_number(&record, type, 1);
    put_number(&record, (unsigned)body->len, 3);
    put(&record, body->data, body->len);
    while (sent < record.len) {
        uint8_t *at = br_ssl_engine_recvrec_buf(engine, &room);

        if (!at)
            break;
        room = room < record.len - sent ? room : record.len - sent;
        memcpy(at, record.data + sent, room);
        br_ssl_engine_recvrec_ack(engine, room);
        sent += room;
    }
    return br_ssl_engine_last_error(engine);
}

/* ServerHello with a session's id and these extensions: -1 for the end; BearSSL's error, or 0. */
static int say_hello(const uint8_t id[32], const int *extensions, unsigned content)
{
    static const uint8_t random[RANDOM] = "the server's random number";
    struct wire hello = {.len = 0}, list = {.len = 0};

    for (; *extensions >= 0; extensions++) {
        put_number(&list, (unsigned)*extensions, 2);
        put_number(&list, *extensions == RENEGOTIATION_INFO ? 1 : content, 2);
        put_number(&list, 0, *extensions == RENEGOTIATION_INFO ? 1 : content);
    }
    put_number(&hello, BR_TLS12, 2);
    put(&hello, random, sizeof random);
    put_number(&hello, 32, 1);
    put(&hello, id, 32);
    put_number(&hello, SUITE, 2);
    put_number(&hello, 0, 1);
    put_number(&hello, (unsigned)list.len, 2);
    put(&hello, list.data, list.len);
    return say(SERVER_HELLO, &hello);
}

static const int without[] = {RENEGOTIATION_INFO, -1};
static const int with[] = {RENEGOTIATION_INFO, EXTENDED_MASTER_SECRET, -1};
static const uint8_t our_id[32] = "the session that is resumed", other_id[32] = "another one";

/* The content of an extension in a ClientHello; no data where it is not there. */
static struct bytes extension_of(struct bytes record, unsigned wanted)
{
    const uint8_t *at = record.data + BEFORE_RANDOM + RANDOM, *end = record.data + record.len;

    at += 1 + at[0];                        /* session id */
    at += 2 + (size_t)(at[0] << 8 | at[1]); /* suites */
    at += 1 + at[0];                        /* compression */
    assert_int_equal(at[0] << 8 | at[1], end - at - 2);
    for (at += 2; at < end; at += 4 + (size_t)(at[2] << 8 | at[3]))
        if ((unsigned)(at[0] << 8 | at[1]) == wanted)
            return bytes_of(at + 4, (size_t)(at[2] << 8 | at[3]));
    assert_ptr_equal(at, end);
    return bytes_of(NULL, 0);
}

static void both_are_offered(void **state)
{
    static const uint8_t schemes[] = {0, 18, 4, 3, 5, 3, 6, 3, 4, 1, 5, 1, 6, 1, 8, 4, 8, 5, 8, 6};
    struct bytes hello, extended, offered;

    (void)state;
    hello = open_client(NULL);
    extended = extension_of(hello, EXTENDED_MASTER_SECRET);
    offered = extension_of(hello, SIGNATURE_ALGORITHMS);
    assert_non_null(extended.data);
    assert_int_equal(extended.len, 0);
    assert_int_equal(offered.len, sizeof schemes);
    assert_memory_equal(offered.data, schemes, sizeof schemes);
    close_client();
}

/* RFC 7627 section 5.3 */
static void a_session_is_resumed_as_what_it_was(void **state)
{
    static const struct {
        bool was, is;
        int error;
    } cases[] = {
        {true, true, 0},
        {false, false, 0},
        {true, false, BR_ERR_RESUME_MISMATCH},
        {false, true, BR_ERR_RESUME_MISMATCH},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        br_ssl_session_parameters resumed = {.session_id_len = 32,
                                             .ems = cases[i].was,
                                             .version = BR_TLS12,
                                             .cipher_suite = SUITE,
                                             .master_secret = {1}};

        memcpy(resumed.session_id, our_id, sizeof our_id);
        (void)open_client(&resumed);
        if (say_hello(our_id, cases[i].is ? with : without, 0) != cases[i].error)
            fail_msg("case %zu: %d", i, br_ssl_engine_last_error(engine));
        close_client();
    }
}

/* A server that has forgotten the session begins anew, as it likes. */
static void a_new_session_is_what_the_server_says(void **state)
{
    br_ssl_session_parameters resumed = {
        .session_id_len = 32, .ems = 1, .version = BR_TLS12, .cipher_suite = SUITE};
    br_ssl_session_parameters made;

    (void)state;
    memcpy(resumed.session_id, our_id, sizeof our_id);
    (void)open_client(&resumed);
    assert_int_equal(say_hello(other_id, without, 0), 0);
    br_ssl_engine_get_session_parameters(engine, &made);
    assert_int_equal(made.ems, 0);
    close_client();
    (void)open_client(NULL);
    assert_int_equal(say_hello(other_id, with, 0), 0);
    br_ssl_engine_get_session_parameters(engine, &made);
    assert_int_equal(made.ems, 1);
    close_client();
}

static void the_extension_is_empty_and_comes_once(void **state)
{
    static const int twice[] = {EXTENDED_MASTER_SECRET, RENEGOTIATION_INFO, EXTENDED_MASTER_SECRET,
                                -1};

    (void)state;
    (void)open_client(NULL);
    assert_int_equal(say_hello(other_id, with, 1), BR_ERR_BAD_HANDSHAKE);
    close_client();
    (void)open_client(NULL);
    assert_int_equal(say_hello(other_id, twice, 0), BR_ERR_EXTRA_EXTENSION);
    close_client();
}

/*
 * A server that signs its key exchange by a scheme, which it calls another one: BearSSL's error,
 * or 0.
 */
static int sign_as(unsigned scheme, unsigned called)
{
    static const uint8_t certificate[] = {0, 0, 4, 0, 0, 1, 0};
    const unsigned number = scheme >> 8 == 8 ? scheme & 0xFF : scheme >> 8;
    uint8_t digest[64], signature[KEY_SIGNATURE_MAX];
    struct wire parameters = {.len = 0}, exchange = {.len = 0}, chain = {.len = 0};
    br_multihash_context hash;
    size_t point_len, len;

    (void)open_client(NULL);
    assert_int_equal(say_hello(other_id, with, 0), 0);
    put(&chain, certificate, sizeof certificate);
    assert_int_equal(say(CERTIFICATE, &chain), 0);

    put_number(&parameters, 3, 1); /* a named curve */
    put_number(&parameters, BR_EC_secp256r1, 2);
    put_number(&parameters, 65, 1);
    put(&parameters, br_ec_get_default()->generator(BR_EC_secp256r1, &point_len), 65);
    assert_int_equal(point_len, 65);
    br_multihash_zero(&hash);
    br_multihash_setimpl(&hash, br_sha256_ID, &br_sha256_vtable);
    br_multihash_setimpl(&hash, br_sha384_ID, &br_sha384_vtable);
    br_multihash_setimpl(&hash, br_sha512_ID, &br_sha512_vtable);
    br_multihash_init(&hash);
    br_multihash_update(&hash, engine->client_random, RANDOM);
    br_multihash_update(&hash, engine->server_random, RANDOM);
    br_multihash_update(&hash, parameters.data, parameters.len);
    len = br_multihash_out(&hash, (int)number, digest);
    len = key_sign(key, scheme, bytes_of(digest, len), signature);
    assert_int_equal(len, 256);

    put(&exchange, parameters.data, parameters.len);
    put_number(&exchange, called, 2);
    put_number(&exchange, (unsigned)len, 2);
    put(&exchange, signature, len);
    return say(SERVER_KEY_EXCHANGE, &exchange);
}

static void what_was_offered_is_taken(void **state)
{
    static const unsigned offered[] = {KEY_RSA_PKCS1_SHA256, KEY_RSA_PKCS1_SHA384,
                                       KEY_RSA_PKCS1_SHA512, KEY_RSA_PSS_SHA256,
                                       KEY_RSA_PSS_SHA384,   KEY_RSA_PSS_SHA512};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof offered / sizeof *offered; i++) {
        if (sign_as(offered[i], offered[i]) != 0)
            fail_msg("0x%04x: %d", offered[i], br_ssl_engine_last_error(engine));
        close_client();
    }
}

static void nothing_else_is(void **state)
{
    static const struct {
        unsigned scheme, called;
        int error;
    } cases[] = {
        {KEY_RSA_PSS_SHA256, KEY_RSA_PKCS1_SHA256, BR_ERR_BAD_SIGNATURE},
        {KEY_RSA_PKCS1_SHA256, KEY_RSA_PSS_SHA256, BR_ERR_BAD_SIGNATURE},
        {KEY_RSA_PSS_SHA256, KEY_RSA_PSS_SHA384, BR_ERR_BAD_SIGNATURE},
        {KEY_RSA_PSS_SHA256, 0x0809, BR_ERR_INVALID_ALGORITHM}, /* of RSASSA-PSS keys */
        {KEY_RSA_PSS_SHA256, 0x0803, BR_ERR_INVALID_ALGORITHM},
        {KEY_RSA_PSS_SHA256, 0x0807, BR_ERR_INVALID_ALGORITHM}, /* Ed25519 */
        {KEY_RSA_PSS_SHA256, 0x08FF, BR_ERR_INVALID_ALGORITHM},
        {KEY_RSA_PSS_SHA256, KEY_ECDSA_SHA256, BR_ERR_INVALID_ALGORITHM},
        {KEY_RSA_PSS_SHA256, 0x0201, BR_ERR_INVALID_ALGORITHM}, /* SHA-1 */
        {KEY_RSA_PSS_SHA256, 0x0301, BR_ERR_INVALID_ALGORITHM}, /* SHA-224 */
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (sign_as(cases[i].scheme, cases[i].called) != cases[i].error)
            fail_msg("0x%04x as 0x%04x: %d", cases[i].scheme, cases[i].called,
                     br_ssl_engine_last_error(engine));
        close_client();
    }
}

/* As after a handshake: secret and random numbers 00 to 2f, 40 to 5f, 80 to 9f. */
static void make_state(unsigned suite, bool extended)
{
    unsigned i;

    for (i = 0; i < sizeof engine->session.master_secret; i++)
        engine->session.master_secret[i] = (uint8_t)i;
    for (i = 0; i < RANDOM; i++) {
        engine->client_random[i] = (uint8_t)(0x40 + i);
        engine->server_random[i] = (uint8_t)(0x80 + i);
    }
    engine->session.version = BR_TLS12;
    engine->session.cipher_suite = (uint16_t)suite;
    engine->session.ems = extended;
    engine->application_data = 1;
}

/* What `openssl kdf ... TLS1-PRF` makes of the same. */
static void what_is_exported(void **state)
{
    static const struct {
        unsigned suite;
        struct bytes context;
        uint8_t wanted[16];
    } cases[] = {
        {SUITE, {NULL, 0}, "\xc2\x59\x99\x79\x06\x17\x60\x01\xdf\x35\x75\x81\x05\x3a\xee\xf2"},
        {SUITE,
         {(const uint8_t *)"", 0},
         "\x89\x55\x36\x6f\x90\x1a\x19\xcd\xfd\xa6\x91\x58\x9c\xdd\xe5\x3c"},
        {SUITE,
         {(const uint8_t *)"context", 7},
         "\xd2\x31\xa1\xc6\xfc\xe0\x39\xb9\xed\x52\xf3\x94\xf5\x47\x70\xa0"},
        {BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
         {(const uint8_t *)"context", 7},
         "\xdc\x1b\x1a\x0e\xff\xad\xb9\x17\x90\x1c\x41\xa7\x76\xae\x2e\x13"},
    };
    uint8_t out[16];
    size_t i;

    (void)state;
    (void)open_client(NULL);
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_state(cases[i].suite, true);
        assert_true(
            tls_session_export(session, "EXPORTER-test", cases[i].context, out, sizeof out));
        assert_memory_equal(out, cases[i].wanted, sizeof out);
    }
    close_client();
}

/* RFC 7627 section 5.4 */
static void nothing_is_exported_without_it(void **state)
{
    uint8_t out[32];

    (void)state;
    (void)open_client(NULL);
    make_state(SUITE, false);
    assert_false(tls_session_export(session, "EXPORTER-test", bytes_of(NULL, 0), out, sizeof out));
    make_state(SUITE, true);
    assert_true(tls_session_export(session, "EXPORTER-test", bytes_of(NULL, 0), out, sizeof out));
    engine->application_data = 0; /* within a handshake */
    assert_false(tls_session_export(session, "EXPORTER-test", bytes_of(NULL, 0), out, sizeof out));
    close_client();
}

static int setup(void **state)
{
    struct buf text;

    if (samples_setup(state) != 0)
        return -1;
    text = sample_text("rsa2048.key");
    key = key_read(buf_bytes(&text), "rsa2048.key", NULL);
    buf_free(&text);
    return key ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    key_free(key);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_are_offered),
        cmocka_unit_test(a_session_is_resumed_as_what_it_was),
        cmocka_unit_test(a_new_session_is_what_the_server_says),
        cmocka_unit_test(the_extension_is_empty_and_comes_once),
        cmocka_unit_test(what_was_offered_is_taken),
        cmocka_unit_test(nothing_else_is),
        cmocka_unit_test(what_is_exported),
        cmocka_unit_test(nothing_is_exported_without_it),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
