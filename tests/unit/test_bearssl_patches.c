/* SPDX-License-Identifier: Apache-2.0 */
// One test for each of third_party/patches/bearssl that can be told from outside; each fails on the
// unpatched library.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <bearssl.h>
#include <cmocka.h>

// Appends a DER element whose contents are LEN times BYTE, and returns where it ends.
static unsigned char *put_element(unsigned char *p, unsigned char tag, size_t len, int byte)
{
    *p++ = tag;
    *p++ = 0x82;
    *p++ = (unsigned char)(len >> 8);
    *p++ = (unsigned char)len;
    memset(p, byte, len);
    return p + len;
}

// Five elements of 312 bytes: 1560 in all, which the old bound allowed and the buffer, of 1536,
// cannot hold.
static void private_key_stays_in_its_buffer(void **state)
{
    struct {
        br_skey_decoder_context decoder;
        unsigned char guard[64];
    } room;
    unsigned char inner[4096], key[4096], *p = inner;

    (void)state;
    p = put_element(p, 0x02, 1, 0);      // version
    p = put_element(p, 0x02, 512, 0x7f); // modulus
    p = put_element(p, 0x02, 1, 3);      // public exponent
    p = put_element(p, 0x02, 512, 0x7f); // private exponent
    for (int i = 0; i < 5; i++)
        p = put_element(p, 0x02, 312, 0x7f);
    size_t len = (size_t)(p - inner);
    p = put_element(key, 0x30, len, 0);
    memcpy(p - len, inner, len);

    memset(&room, 0xa5, sizeof(room));
    br_skey_decoder_init(&room.decoder);
    br_skey_decoder_push(&room.decoder, key, (size_t)(p - key));

    assert_int_equal(br_skey_decoder_last_error(&room.decoder), BR_ERR_X509_LIMIT_EXCEEDED);
    for (size_t i = 0; i < sizeof(room.guard); i++)
        assert_int_equal(room.guard[i], 0xa5);
}

// (2^2048 - 1)^2 is 2^4096 - 2^2049 + 1.
static void modulus_of_the_largest_key(void **state)
{
    unsigned char factor[256], n[512], want[512];
    br_rsa_private_key key = {
        .n_bitlen = 4096, .p = factor, .plen = sizeof(factor), .q = factor, .qlen = sizeof(factor)};

    (void)state;
    memset(factor, 0xff, sizeof(factor));
    memset(want, 0xff, 255);
    want[255] = 0xfe;
    memset(want + 256, 0, 255);
    want[511] = 1;

    assert_int_equal(br_rsa_i31_compute_modulus(n, &key), sizeof(n));
    assert_memory_equal(n, want, sizeof(n));
    assert_int_equal(br_rsa_i15_compute_modulus(n, &key), sizeof(n));
    assert_memory_equal(n, want, sizeof(n));
}

static void seeds_come_from_the_kernel(void **state)
{
    const char *name = NULL;
    br_hmac_drbg_context one, two;
    unsigned char a[32], b[32];
    br_prng_seeder seeder = br_prng_seeder_system(&name);

    (void)state;
    assert_non_null(seeder);
    assert_string_equal(name, "getentropy");
    br_hmac_drbg_init(&one, &br_sha256_vtable, NULL, 0);
    br_hmac_drbg_init(&two, &br_sha256_vtable, NULL, 0);
    assert_int_equal(seeder(&one.vtable), 1);
    assert_int_equal(seeder(&two.vtable), 1);
    br_hmac_drbg_generate(&one, a, sizeof(a));
    br_hmac_drbg_generate(&two, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
}

// A certificate whose common name is the one character U+FDF2.
static const unsigned char arabic_certificate[] = {
    0x30, 0x82, 0x01, 0x17, 0x30, 0x81, 0xbd, 0x02, 0x14, 0x61, 0x38, 0xaa, 0xcb, 0xf6, 0x62, 0x3f,
    0x0a, 0x71, 0x7e, 0x3c, 0x5c, 0xc3, 0xc1, 0x61, 0x4b, 0xbc, 0x13, 0xa5, 0xfd, 0x30, 0x0a, 0x06,
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02, 0x30, 0x0e, 0x31, 0x0c, 0x30, 0x0a, 0x06,
    0x03, 0x55, 0x04, 0x03, 0x0c, 0x03, 0xef, 0xb7, 0xb2, 0x30, 0x1e, 0x17, 0x0d, 0x32, 0x36, 0x31,
    0x31, 0x32, 0x33, 0x31, 0x38, 0x30, 0x33, 0x35, 0x37, 0x5a, 0x17, 0x0d, 0x33, 0x36, 0x31, 0x31,
    0x32, 0x30, 0x31, 0x38, 0x30, 0x33, 0x35, 0x37, 0x5a, 0x30, 0x0e, 0x31, 0x0c, 0x30, 0x0a, 0x06,
    0x03, 0x55, 0x04, 0x03, 0x0c, 0x03, 0xef, 0xb7, 0xb2, 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    0x03, 0x42, 0x00, 0x04, 0x4d, 0x8d, 0x69, 0x42, 0x88, 0xa9, 0x5a, 0x68, 0x66, 0x3e, 0xdc, 0x70,
    0xcb, 0x70, 0xea, 0x1c, 0x1b, 0xcf, 0x3d, 0x87, 0x04, 0x64, 0x8c, 0x1f, 0xe8, 0x13, 0x19, 0xab,
    0x11, 0xe2, 0xe6, 0x2e, 0x2a, 0x3c, 0x72, 0x54, 0x49, 0x43, 0xed, 0xa8, 0xf2, 0x44, 0x5f, 0x79,
    0x60, 0xa2, 0x3f, 0x0e, 0xf0, 0x02, 0x2e, 0x7d, 0xc3, 0xfa, 0x6b, 0xfa, 0xcb, 0xa6, 0x48, 0x0c,
    0x8e, 0xf9, 0x2f, 0xef, 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
    0x03, 0x49, 0x00, 0x30, 0x46, 0x02, 0x21, 0x00, 0xc6, 0xdb, 0xa4, 0xcc, 0xdb, 0x02, 0x06, 0x2c,
    0x81, 0x03, 0x63, 0x33, 0xbc, 0x90, 0x75, 0x12, 0xe8, 0x70, 0xd9, 0x7d, 0x5a, 0x59, 0x29, 0xaa,
    0xb4, 0xaa, 0x5d, 0x5f, 0xb0, 0x0a, 0x90, 0xdb, 0x02, 0x21, 0x00, 0xe2, 0x5c, 0x27, 0xf6, 0x86,
    0x49, 0x0f, 0x4f, 0x64, 0x6d, 0x48, 0x09, 0x96, 0x06, 0xae, 0x27, 0x07, 0xa1, 0xaa, 0xfb, 0x6a,
    0x29, 0x42, 0xbb, 0x42, 0x5b, 0x2e, 0x1c, 0x63, 0xa1, 0x87, 0x87,
};

static void names_in_arabic_presentation_forms(void **state)
{
    static const unsigned char common_name[] = {3, 0x55, 0x04, 0x03};
    char text[32] = "";
    br_name_element name = {.oid = common_name, .buf = text, .len = sizeof(text)};
    br_x509_minimal_context engine;
    const br_x509_class **x509 = &engine.vtable;

    (void)state;
    br_x509_minimal_init_full(&engine, NULL, 0);
    br_x509_minimal_set_name_elements(&engine, &name, 1);
    (*x509)->start_chain(x509, NULL);
    (*x509)->start_cert(x509, sizeof(arabic_certificate));
    (*x509)->append(x509, arabic_certificate, sizeof(arabic_certificate));
    (*x509)->end_cert(x509);
    (*x509)->end_chain(x509); // says that nobody is trusted, which is so

    assert_int_equal(name.status, 1);
    assert_string_equal(text, "\xef\xb7\xb2");
}

static void points_of_another_length_are_refused(void **state)
{
    static const unsigned char two[] = {2};
    const struct {
        const br_ec_impl *ec;
        int curve;
        size_t short_len;
    } cases[] = {
        {&br_ec_prime_i31, BR_EC_secp256r1, 33},
        {&br_ec_prime_i31, BR_EC_secp384r1, 65},
        {&br_ec_prime_i31, BR_EC_secp521r1, 97},
        {&br_ec_p256_m31, BR_EC_secp256r1, 33},
    };
    unsigned char point[133], before[133];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const br_ec_impl *ec = cases[i].ec;
        int curve = cases[i].curve;
        size_t len;

        memset(before, 0x5a, sizeof(before));
        memcpy(before, ec->generator(curve, &len), 33);
        memcpy(point, before, sizeof(point));
        assert_int_equal(ec->mul(point, cases[i].short_len, two, 1, curve), 0);
        assert_memory_equal(point, before, sizeof(point));
        assert_int_equal(ec->muladd(point, NULL, cases[i].short_len, two, 1, two, 1, curve), 0);
        assert_memory_equal(point, before, sizeof(point));
    }
}

// Carries the records that one side has ready to the other; says whether there were any.
static int carry(br_ssl_engine_context *from, br_ssl_engine_context *to)
{
    size_t have, room;
    unsigned char *out = br_ssl_engine_sendrec_buf(from, &have);
    unsigned char *in = br_ssl_engine_recvrec_buf(to, &room);

    if (out == NULL || in == NULL)
        return 0;
    if (have > room)
        have = room;
    memcpy(in, out, have);
    br_ssl_engine_sendrec_ack(from, have);
    br_ssl_engine_recvrec_ack(to, have);
    return 1;
}

static void close_drops_unread_data(void **state)
{
    static unsigned char client_buffer[BR_SSL_BUFSIZE_BIDI], server_buffer[BR_SSL_BUFSIZE_BIDI];
    static br_ssl_client_context client;
    static br_ssl_server_context server;
    unsigned char scalar[32], public_point[BR_EC_KBUF_PUB_MAX_SIZE], certificate[16] = {0x30};
    br_ec_private_key key = {.curve = BR_EC_secp256r1, .x = scalar, .xlen = sizeof(scalar)};
    br_ec_public_key public_key;
    br_x509_knownkey_context known;
    br_x509_certificate chain = {.data = certificate, .data_len = sizeof(certificate)};
    br_x509_minimal_context unused;
    size_t len;

    (void)state;
    memset(scalar, 0x11, sizeof(scalar));
    assert_int_not_equal(br_ec_compute_pub(br_ec_get_default(), &public_key, public_point, &key),
                         0);
    br_x509_knownkey_init_ec(&known, &public_key, BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN);
    br_ssl_client_init_full(&client, &unused, NULL, 0);
    br_ssl_engine_set_x509(&client.eng, &known.vtable);
    br_ssl_engine_set_buffer(&client.eng, client_buffer, sizeof(client_buffer), 1);
    br_ssl_server_init_full_ec(&server, &chain, 1, BR_KEYTYPE_EC, &key);
    br_ssl_engine_set_buffer(&server.eng, server_buffer, sizeof(server_buffer), 1);
    assert_int_equal(br_ssl_client_reset(&client, "localhost", 0), 1);
    assert_int_equal(br_ssl_server_reset(&server), 1);
    while (carry(&client.eng, &server.eng) || carry(&server.eng, &client.eng))
        ;

    unsigned char *data = br_ssl_engine_sendapp_buf(&server.eng, &len);
    assert_non_null(data);
    memset(data, 'x', 5);
    br_ssl_engine_sendapp_ack(&server.eng, 5);
    br_ssl_engine_flush(&server.eng, 0);
    while (carry(&server.eng, &client.eng))
        ;
    assert_non_null(br_ssl_engine_recvapp_buf(&client.eng, &len));

    br_ssl_engine_close(&client.eng);
    while (carry(&client.eng, &server.eng) || carry(&server.eng, &client.eng))
        ;
    assert_int_equal(br_ssl_engine_current_state(&client.eng), BR_SSL_CLOSED);
    assert_int_equal(br_ssl_engine_last_error(&client.eng), 0);
}

static void static_ecdh_stays_chosen(void **state)
{
    static br_ssl_client_context client;
    unsigned char scalar[32] = {1};
    br_ec_private_key key = {.curve = BR_EC_secp256r1, .x = scalar, .xlen = sizeof(scalar)};
    br_ssl_client_certificate choice = {0};
    const br_ssl_client_certificate_class **chooser;

    (void)state;
    br_ssl_client_set_single_ec(&client, NULL, 0, &key, BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN,
                                BR_KEYTYPE_EC, br_ec_get_default(),
                                br_ecdsa_sign_asn1_get_default());
    client.server_curve = BR_EC_secp256r1;
    chooser = client.client_auth_vtable;
    (*chooser)->choose(chooser, &client, (1U << 17) | (1U << (8 + br_sha256_ID)), &choice);
    assert_int_equal(choice.auth_type, BR_AUTH_ECDH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(private_key_stays_in_its_buffer),
        cmocka_unit_test(modulus_of_the_largest_key),
        cmocka_unit_test(seeds_come_from_the_kernel),
        cmocka_unit_test(names_in_arabic_presentation_forms),
        cmocka_unit_test(points_of_another_length_are_refused),
        cmocka_unit_test(close_drops_unread_data),
        cmocka_unit_test(static_ecdh_stays_chosen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
