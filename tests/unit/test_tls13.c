/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <bearssl.h>
#include <cmocka.h>

#include "tls13/impl.h"
#include "x509/rsa_pss.h"

/*
 * The trace of RFC 8448 section 3: what the server sent is played to the client, whose messages
 * before that are the trace's, and all that follows must be the trace's, byte for byte.
 */
static const char client_hello[] =
    "010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113031302"
    "010000910000000b0009000006736572766572ff01000100000a00140012001d001700180019010001010102010301"
    "04"
    "002300000033002600240"
    "01d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d00200"
    "01e"
    "040305030603020308040805080604010501060102010402050206020202002d00020101001c00024001";
static const char scalar[] = "49af42ba7f7994852d713ef2784bcbcaa7911de26adc5642cb634540e7ea5005";
static const char server_hello[] =
    "160303005a020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100"
    "002e00330024001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b000203"
    "04";
static const char server_flight[] = "17030302a2d1ff334a56f5bff6594a07cc87b580233f500f45e489e7f33af3"
                                    "5edf7869fcf40aa40aa2b8ea73f848a7ca"
                                    "07612ef9f945cb960b4068905123ea78b111b429ba9191cd05d2a389280f52"
                                    "6134aadc7fc78c4b729df828b5ecf7b13b"
                                    "d9aefb0e57f271585b8ea9bb355c7c79020716cfb9b1183ef3ab20e37d57a6"
                                    "b9d7477609aee6e122a4cf51427325250c"
                                    "7d0e509289444c9b3a648f1d71035d2ed65b0e3cdd0cbae8bf2d0b227812cb"
                                    "b360987255cc744110c453baa4fcd61092"
                                    "8d809810e4b7ed1a8fd991f06aa6248204797e36a6a73b70a2559c09ead686"
                                    "945ba246ab66e5edd8044b4c6de3fcf2a8"
                                    "9441ac66272fd8fb330ef8190579b3684596c960bd596eea520a56a8d650f5"
                                    "63aad27409960dca63d3e688611ea5e22f"
                                    "4415cf9538d51a200c27034272968a264ed6540c84838d89f72c24461aad6d"
                                    "26f59ecaba9acbbb317b66d902f4f292a3"
                                    "6ac1b639c637ce343117b659622245317b49eeda0c6258f100d7d961ffb138"
                                    "647e92ea330faeea6dfa31c7a84dc3bd7e"
                                    "1b7a6c7178af36879018e3f252107f243d243dc7339d5684c8b0378bf30244"
                                    "da8c87c843f5e56eb4c5e8280a2b48052c"
                                    "f93b16499a66db7cca71e4599426f7d461e66f99882bd89fc50800becca62d"
                                    "6c74116dbd2972fda1fa80f85df881edbe"
                                    "5a37668936b335583b599186dc5c6918a396fa48a181d6b6fa4f9d62d513af"
                                    "bb992f2b992f67f8afe67f76913fa388cb"
                                    "5630c8ca01e0c65d11c66a1e2ac4c85977b7c7a6999bbf10dc35ae69f55156"
                                    "14636c0b9b68c19ed2e31c0b3b66763038"
                                    "ebba42f3b38edc0399f3a9f23faa63978c317fc9fa66a73f60f0504de93b5b"
                                    "845e275592c12335ee340bbc4fddd50278"
                                    "4016e4b3be7ef04dda49f4b440a30cb5d2af939828fd4ae3794e44f94df5a6"
                                    "31ede42c1719bfdabf0253fe5175be898e"
                                    "750edc53370d2b";
static const char client_finished[] = "170303003575ec4dc238cce60b298044a71e219c56cc77b0517fe9b93c7a"
                                      "4bfc44d87f38f80338ac98fc46deb384bd1c"
                                      "aeacab6867d726c40546";
static const char client_data[] = "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f"
                                  "2b9819a8a5b46b395bd54a9a20441e2b"
                                  "62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";
static const char modulus[] = "b4bb498f8279303d980836399b36c6988c0c68de55e1bdb826d3901a2461eafd"
                              "2de49a91d015abbc9a95137ace6c1af19eaa6af98c7ced43120998e187a80ee0"
                              "ccb0524b1b018c3e0b63264d449a6d38e22a5fda4308467480";

static struct {
    br_ssl_client_context context;
    unsigned char buffer[BR_SSL_BUFSIZE_BIDI];
    struct tls13 tls;
    const tls13_owner_class *owner;
    const br_x509_class *x509;
    uint8_t ticket[TLS13_TICKET_MAX];
    uint8_t leaf[1024]; /* as it came */
    size_t leaf_len;
    br_x509_pkey key;
} client;

static size_t unhex(const char *text, uint8_t *out)
{
    size_t i;

    for (i = 0; text[2 * i]; i++)
        out[i] = (uint8_t)strtoul((const char[]){text[2 * i], text[2 * i + 1], '\0'}, NULL, 16);
    return i;
}

static void assert_hex(const uint8_t *data, const char *text)
{
    uint8_t expected[1024];
    size_t len = unhex(text, expected);

    assert_memory_equal(data, expected, len);
}

/* ---- the server's certificate, taken as it comes */

static void start_chain(const br_x509_class **class, const char *name)
{
    (void)class;
    (void)name;
}

static void start_cert(const br_x509_class **class, uint32_t len)
{
    (void)class;
    assert_true(len <= sizeof client.leaf);
}

static void append(const br_x509_class **class, const unsigned char *data, size_t len)
{
    (void)class;
    memcpy(client.leaf + client.leaf_len, data, len);
    client.leaf_len += len;
}

static void end_cert(const br_x509_class **class)
{
    (void)class;
}

static unsigned end_chain(const br_x509_class **class)
{
    static uint8_t exponent[] = {1, 0, 1};
    uint8_t begin[128];
    uint8_t *found = memmem(client.leaf, client.leaf_len, begin, unhex(modulus, begin));

    (void)class;
    assert_non_null(found);
    client.key.key_type = BR_KEYTYPE_RSA;
    client.key.key.rsa = (br_rsa_public_key){found, 128, exponent, sizeof exponent};
    return 0;
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *class, unsigned *usages)
{
    (void)class;
    (void)usages;
    return &client.key;
}

static const br_x509_class x509_class = {sizeof client, start_chain, start_cert, append,
                                         end_cert,      end_chain,   get_pkey};

static unsigned choose(const tls13_owner_class **owner, const uint8_t *schemes, size_t len,
                       const br_x509_certificate **chain, size_t *count)
{
    (void)owner;
    (void)schemes;
    (void)len;
    (void)chain;
    (void)count;
    return 0;
}

static size_t sign(const tls13_owner_class **owner, unsigned scheme, const uint8_t *hash,
                   size_t len, uint8_t signature[TLS13_SIGNATURE_MAX])
{
    (void)owner;
    (void)scheme;
    (void)hash;
    (void)len;
    (void)signature;
    return 0;
}

static const tls13_owner_class owner_class = {choose, sign};

/* ---- the engine, driven by hand */

/* The record that the engine has to send, whole. */
static size_t sent(uint8_t *out)
{
    size_t len;
    unsigned char *data = br_ssl_engine_sendrec_buf(&client.context.eng, &len);

    if (!data)
        return 0;
    memcpy(out, data, len);
    br_ssl_engine_sendrec_ack(&client.context.eng, len);
    return len;
}

/* Gives it bytes, so many at once. */
static void receive(const uint8_t *data, size_t len, size_t most)
{
    br_ssl_engine_context *engine = &client.context.eng;
    unsigned char *room;
    size_t n;

    while (len > 0 && (room = br_ssl_engine_recvrec_buf(engine, &n))) {
        n = n < most ? n : most;
        n = n < len ? n : len;
        memcpy(room, data, n);
        br_ssl_engine_recvrec_ack(engine, n);
        data += n;
        len -= n;
    }
}

static void receive_hex(const char *text, size_t most)
{
    uint8_t data[1024];

    receive(data, unhex(text, data), most);
}

static int begin(void **state)
{
    static const uint16_t suites[] = {BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256};
    br_ssl_engine_context *engine = &client.context.eng;

    (void)state;
    memset(&client, 0, sizeof client);
    br_ssl_client_zero(&client.context);
    br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_suites(engine, suites, 1);
    br_ssl_engine_set_hash(engine, br_sha256_ID, &br_sha256_vtable);
    br_ssl_engine_set_hash(engine, br_sha384_ID, &br_sha384_vtable);
    br_ssl_engine_set_prf_sha256(engine, &br_tls12_sha256_prf);
    br_ssl_engine_set_default_rsavrfy(engine);
    br_ssl_engine_set_default_ecdsa(engine);
    br_ssl_engine_set_default_aes_gcm(engine);
    br_ssl_engine_set_default_chapol(engine);
    br_ssl_engine_set_rsapss(engine, rsa_pss_verify);
    client.owner = &owner_class;
    client.x509 = &x509_class;
    br_ssl_engine_set_x509(engine, &client.x509);
    br_ssl_engine_set_buffer(engine, client.buffer, sizeof client.buffer, 1);
    tls13_attach(&client.tls, engine, &client.owner, false);
    tls13_collect(&client.tls, client.ticket);
    br_ssl_engine_inject_entropy(engine, "entropy", 7);
    return br_ssl_client_reset(&client.context, "server", 0) ? 0 : -1;
}

/* As if the trace's ClientHello had been ours. */
static void pretend_to_have_sent(void)
{
    uint8_t hello[256], out[1024];
    size_t len = unhex(client_hello, hello);

    assert_int_equal(len, 196);
    assert_true(sent(out) > 0);
    br_multihash_init(&client.context.eng.mhash);
    br_multihash_update(&client.context.eng.mhash, hello, len);
    client.tls.session_id_len = 0;
    (void)unhex(scalar, client.tls.scalar);
}

static void rfc_8448_simple_handshake(void **state)
{
    static const size_t pieces[] = {1, 2, 7, 100, 1024};
    uint8_t out[1024], secret[TLS13_HASH_MAX];
    unsigned char *room;
    size_t i, p, len;

    for (p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        assert_int_equal(begin(state), 0);
        pretend_to_have_sent();
        receive_hex(server_hello, pieces[p]);
        assert_true(tls13_chosen(&client.tls));
        assert_hex(client.tls.secret,
                   "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac");
        assert_hex(client.tls.ours,
                   "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21");
        assert_hex(client.tls.theirs,
                   "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38");
        assert_int_equal(sent(out), 6); /* ChangeCipherSpec, which the trace does without */
        receive_hex(server_flight, pieces[p]);
        assert_int_equal(br_ssl_engine_last_error(&client.context.eng), BR_ERR_OK);
        assert_hex(client.tls.theirs,
                   "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643");
        assert_hex(client.tls.exporter,
                   "fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50");
        assert_int_equal(sent(out), 58);
        assert_hex(out, client_finished);
        assert_hex(client.tls.ours,
                   "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5");
        assert_hex(client.tls.resumption,
                   "7df235f2031d2a051287d02b0241b0bfdaf86cc856231f2d5aba46c434ec196c");
        schedule_ticket(&client.tls, (const uint8_t[]){0, 0}, 2, secret);
        assert_hex(secret, "4ecd0eb6ec3b4d87f5d6028f922ca4c5851a277fd41311c9e62d2c9492e1c4f3");

        room = br_ssl_engine_sendapp_buf(&client.context.eng, &len);
        assert_true(room && len >= 50);
        for (i = 0; i < 50; i++)
            room[i] = (unsigned char)i;
        br_ssl_engine_sendapp_ack(&client.context.eng, 50);
        br_ssl_engine_flush(&client.context.eng, 0);
        assert_int_equal(sent(out), 72);
        assert_hex(out, client_data);
    }
}

/* Nothing of the secrets of the handshake is left where it has ended. */
static void secrets_end_with_their_successors(void **state)
{
    static const char *const gone[] = {
        "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac", /* handshake */
        "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21", /* traffic */
        "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
        "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919", /* master */
        "dbfaa693d1762c5b666af5d950258d01",                                 /* their keys */
        "3fce516009c21727d0f2e4e86ee403bc",
        "b80ad01015fb2f0bd65ff7d4da5d6bf83f84821d1f87fdc7d3c75b5a7b42d9c4", /* Finished keys */
        "008d3b66f816ea559f96b537e885c31fc068bf492c652f01f288a1d8cdc19fc8",
        "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d", /* ECDHE */
    };
    uint8_t out[1024], secret[64];
    size_t i, j, len;

    (void)state;
    pretend_to_have_sent();
    receive_hex(server_hello, 1024);
    (void)sent(out);
    receive_hex(server_flight, 1024);
    assert_int_equal(sent(out), 58);
    for (i = 0; i < sizeof gone / sizeof *gone; i++) {
        len = unhex(gone[i], secret);
        assert_null(memmem(&client, sizeof client, secret, len));
    }
    (void)unhex(scalar, secret);
    for (j = 0; j < sizeof client.tls.scalar; j++)
        assert_int_equal(client.tls.scalar[j], 0);
}

/* Every byte of the server's flight counts. */
static void a_flipped_bit_ends_it(void **state)
{
    uint8_t hello[256], flight[1024], out[1024];
    size_t i, hello_len = unhex(server_hello, hello), len = unhex(server_flight, flight);

    for (i = 5; i < len; i += 13) {
        assert_int_equal(begin(state), 0);
        pretend_to_have_sent();
        receive(hello, hello_len, 1024);
        (void)sent(out);
        flight[i] ^= 4;
        receive(flight, len, 1024);
        flight[i] ^= 4;
        assert_int_equal(br_ssl_engine_last_error(&client.context.eng), BR_ERR_BAD_MAC);
    }
    for (i = 5; i < hello_len; i++) {
        assert_int_equal(begin(state), 0);
        pretend_to_have_sent();
        hello[i] ^= 4;
        receive(hello, hello_len, 1024);
        hello[i] ^= 4;
        (void)sent(out);
        receive(flight, len, 1024);
        assert_false(client.tls.proven);
    }
}

static void a_view_does_not_pass_its_end(void **state)
{
    static const uint8_t data[] = {0, 3, 1, 2};
    struct view view = {data, sizeof data, false}, part;

    (void)state;
    part = view_vector(&view, 2);
    assert_true(part.bad && view.bad && part.len == 0);
    assert_int_equal(view_number(&view, 1), 0);
    view = (struct view){data, sizeof data, false};
    assert_int_equal(view_number(&view, 3), 0x000301);
    assert_int_equal(view_number(&view, 2), 0);
    assert_true(view.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(rfc_8448_simple_handshake, begin),
        cmocka_unit_test_setup(secrets_end_with_their_successors, begin),
        cmocka_unit_test_setup(a_flipped_bit_ends_it, begin),
        cmocka_unit_test(a_view_does_not_pass_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
