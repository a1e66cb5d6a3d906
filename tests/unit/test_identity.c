/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "identity/identity.h"
#include "samples.h"
#include "x509/cert.h"
#include "x509/key.h"
#include "x509/pem.h"
#include "x509/verify.h"

static struct bundle bundle;
static struct identity *identity;
static struct identity_policy policy;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    policy = (struct identity_policy){.now = SAMPLES_NOW};
    memset(&err, 0, sizeof err);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    identity_free(identity);
    identity = NULL;
    bundle_free(&bundle);
    return 0;
}

/* Puts files into a field, one behind the other; NULL: none. */
static void put(enum bundle_field field, const char *first, const char *second)
{
    const char *files[] = {first, second};
    int i;

    for (i = 0; i < 2 && files[i]; i++) {
        struct buf text = sample_text(files[i]);

        assert_int_equal(buf_append(&bundle.field[field], text.data, text.len), 0);
        buf_free(&text);
    }
}

static void put_client(const char *cert, const char *key, const char *ca)
{
    put(BUNDLE_CLIENT_CERT, cert, NULL);
    put(BUNDLE_CLIENT_KEY, key, NULL);
    put(BUNDLE_CA_CERT, ca, NULL);
}

static void assert_good(void)
{
    identity = identity_new(&bundle, &policy, "my-secret", &err);
    if (!identity)
        fail_msg("%s: %s", err.subject, err.reason);
}

static void assert_refused(enum err_code code, const char *subject, const char *reason)
{
    assert_null(identity_new(&bundle, &policy, "my-secret", &err));
    if (err.code != code || strcmp(err.subject, subject) != 0 || !strstr(err.reason, reason))
        fail_msg("%d %s: %s", err.code, err.subject, err.reason);
    bundle_free(&bundle);
}

/* Whether an installed file holds what the files hold. */
static void assert_file(enum bundle_field field, const char *const files[])
{
    struct buf text = {.tag = ARENA_DOCUMENT};

    for (; *files; files++) {
        struct buf part = sample_text(*files);

        assert_int_equal(buf_append(&text, part.data, part.len), 0);
        buf_free(&part);
    }
    assert_int_equal(identity->file[field].len, text.len);
    assert_memory_equal(identity->file[field].data, text.data, text.len);
    buf_free(&text);
}

#define FILES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* A v1 leaf of RSA-4096 with a PKCS#8 key under a self-signed CA, as openssl's commands make them.
 */
static void the_documented_identity_is_good(void **state)
{
    struct buf der = sample_der("client.pem");
    char reason[CERT_REASON_MAX], hex[HASH_HEX_SIZE];
    uint8_t digest[HASH_SIZE];
    struct cert leaf;

    (void)state;
    put_client("client.pem", "client.key", "ca.pem");
    assert_good();
    assert_int_equal(cert_parse(&leaf, buf_bytes(&der), reason), 0);
    assert_int_equal(leaf.version, 1);
    assert_int_equal(identity->not_before, leaf.not_before);
    assert_int_equal(identity->not_after, leaf.not_after);
    hash_sha256(digest, buf_bytes(&der));
    hash_hex(hex, digest);
    assert_string_equal(identity->fingerprint, hex);
    assert_string_equal(identity->subject, "CN=ECS-Client");
    assert_string_equal(identity->key_text, "RSA 4096");
    assert_false(identity->chain_not_in_ca);
    assert_int_equal(identity->client.chain_count, 1);
    assert_true(bytes_equal(identity->client.chain[0], buf_bytes(&der)));
    assert_int_equal(key_type(identity->client.key), KEY_RSA);
    assert_int_equal(identity->server.chain_count, 0);
    assert_int_equal(anchors_count(identity->anchors), 1);
    assert_file(BUNDLE_CLIENT_CERT, FILES("client.pem"));
    assert_file(BUNDLE_CLIENT_KEY, FILES("client.key"));
    assert_file(BUNDLE_CA_CERT, FILES("ca.pem"));
    assert_int_equal(identity->file[BUNDLE_SERVER_CERT].len, 0);
    buf_free(&der);
}

/* Text around blocks, CRLF, other forms of a key, a certificate twice: none of it is installed. */
static void files_are_canonical(void **state)
{
    struct buf text = sample_text("ca.pem");
    size_t i;

    (void)state;
    assert_int_equal(buf_append_text(&bundle.field[BUNDLE_CA_CERT], "Subject: CN=x\r\n"), 0);
    for (i = 0; i + 1 < text.len; i++) {
        if (text.data[i] == '\n')
            assert_int_equal(buf_append(&bundle.field[BUNDLE_CA_CERT], "\r", 1), 0);
        assert_int_equal(buf_append(&bundle.field[BUNDLE_CA_CERT], text.data + i, 1), 0);
    }
    buf_free(&text);
    put(BUNDLE_CA_CERT, "other-ca.pem", "ca.pem");
    put(BUNDLE_CLIENT_CERT, "leaf.pem", "leaf.pem");
    put(BUNDLE_CLIENT_KEY, "leaf.sec1", NULL);
    assert_good();
    assert_file(BUNDLE_CLIENT_CERT, FILES("leaf.pem"));
    assert_file(BUNDLE_CLIENT_KEY, FILES("leaf.key"));
    assert_file(BUNDLE_CA_CERT, FILES("ca.pem", "other-ca.pem"));
}

static void the_leaf_comes_first_and_its_issuers_follow(void **state)
{
    (void)state;
    put(BUNDLE_CLIENT_CERT, "other-ca.pem", "ca.pem");
    put(BUNDLE_CLIENT_CERT, "outer.pem", "leaf.pem");
    put_client("inner.pem", "leaf.key", "ca.pem");
    assert_good();
    assert_file(BUNDLE_CLIENT_CERT,
                FILES("leaf.pem", "inner.pem", "outer.pem", "ca.pem", "other-ca.pem"));
    assert_string_equal(identity->subject, "CN=Leaf");
    assert_string_equal(identity->key_text, "EC P-256");
    assert_false(identity->chain_not_in_ca);
}

static void an_intermediate_may_stand_in_ca_cert(void **state)
{
    (void)state;
    put_client("leaf.pem", "leaf.key", "ca.pem");
    put(BUNDLE_CA_CERT, "inner.pem", "outer.pem");
    assert_good();
    assert_false(identity->chain_not_in_ca);
}

static void another_ca_is_a_matter_of_policy(void **state)
{
    (void)state;
    put_client("client.pem", "client.key", "other-ca.pem");
    assert_good();
    assert_true(identity->chain_not_in_ca);
    policy.require_chain = true;
    assert_refused(ERR_CHAIN_NOT_IN_CA, "client_cert of my-secret", "");
    put_client("leaf.pem", "leaf.key", "ca.pem"); /* no intermediates */
    assert_refused(ERR_CHAIN_NOT_IN_CA, "client_cert of my-secret", "");
    put_client("client.pem", "client.key", "ca.pem");
    identity_free(identity);
    assert_good();
}

/* It is another CA, of which the policy holds. */
static void a_ca_of_that_name_must_have_signed(void **state)
{
    static const char *const clients[][3] = {
        {"client.pem", "client.key", "impostor-ca.pem"}, /* without key identifiers */
        {"twin.pem", "twin.key", "twin-ca-namesake.pem"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        put_client(clients[i][0], clients[i][1], clients[i][2]);
        if (i == 1)
            put(BUNDLE_CLIENT_CERT, "twin-inner.pem", NULL);
        assert_good();
        assert_true(identity->chain_not_in_ca);
        identity_free(identity);
        identity = NULL;
        policy.require_chain = true;
        assert_refused(ERR_CHAIN_NOT_IN_CA, "client_cert of my-secret",
                       "was not signed by the key");
        policy.require_chain = false;
    }
    put_client("client.pem", "client.key", "impostor-ca.pem");
    put(BUNDLE_CA_CERT, "ca.pem", NULL); /* a CA whose key was changed: both are trusted */
    assert_good();
    assert_false(identity->chain_not_in_ca);
}

/* The key identifiers say that the CA that is here signed it. */
static void a_damaged_signature_is_no_other_ca(void **state)
{
    struct buf der = sample_der("twin.pem");

    (void)state;
    der.data[der.len - 1] ^= 1;
    assert_int_equal(pem_append(&bundle.field[BUNDLE_CLIENT_CERT], "CERTIFICATE", buf_bytes(&der)),
                     0);
    buf_free(&der);
    put_client("twin-inner.pem", "twin.key", "twin-ca.pem");
    assert_refused(ERR_CHAIN_INVALID, "client_cert of my-secret", "was not signed by the key");
}

/* The one that verify() took; in the order of the document where it took none. */
static void an_expired_twin_of_an_intermediate_stands_aside(void **state)
{
    static const char *const anchors[] = {"twin-ca.pem", "other-ca.pem"};
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        put(BUNDLE_CLIENT_CERT, "twin.pem", "twin-inner-expired.pem");
        put_client("twin-inner.pem", "twin.key", anchors[i]);
        assert_good();
        assert_int_equal(identity->chain_not_in_ca, i == 1);
        assert_file(BUNDLE_CLIENT_CERT,
                    FILES("twin.pem", "twin-inner.pem", "twin-inner-expired.pem"));
        identity_free(identity);
        identity = NULL;
        bundle_free(&bundle);
    }
}

static void of_two_leaves_of_a_key_the_good_one_is_taken(void **state)
{
    (void)state;
    put(BUNDLE_CLIENT_CERT, "twin-expired.pem", "twin.pem");
    put_client("twin-inner.pem", "twin.key", "twin-ca.pem");
    assert_good();
    assert_file(BUNDLE_CLIENT_CERT, FILES("twin.pem", "twin-inner.pem", "twin-expired.pem"));
    bundle_free(&bundle);
    put_client("twin-expired.pem", "twin.key", "twin-ca.pem");
    assert_refused(ERR_CERTIFICATE_EXPIRED, "client_cert of my-secret", "\"CN=Twin\" expired");
}

static void of_a_ca_and_a_leaf_of_a_key_the_leaf_is_taken(void **state)
{
    (void)state;
    put(BUNDLE_CLIENT_CERT, "twin-self.pem", "twin.pem");
    put_client("twin-inner.pem", "twin.key", "twin-ca.pem");
    assert_good();
    assert_string_equal(identity->subject, "CN=Twin");
    assert_file(BUNDLE_CLIENT_CERT, FILES("twin.pem", "twin-inner.pem", "twin-self.pem"));
    bundle_free(&bundle);
    put(BUNDLE_CLIENT_CERT, "twin-self.pem", "twin-expired.pem");
    put_client("twin-inner.pem", "twin.key", "twin-ca.pem");
    assert_refused(ERR_CERTIFICATE_EXPIRED, "client_cert of my-secret", "\"CN=Twin\" expired");
    put_client("twin-self.pem", "twin.key", "twin-ca.pem"); /* nothing else */
    identity_free(identity);
    assert_good();
}

static void a_self_signed_leaf_is_good(void **state)
{
    (void)state;
    put_client("self.pem", "self.key", "ca.pem");
    assert_good();
    assert_true(identity->chain_not_in_ca);
}

static void key_and_leaf_belong_together(void **state)
{
    (void)state;
    put_client("leaf.pem", "p256.key", "ca.pem");
    assert_refused(ERR_KEY_MISMATCH, "client_cert of my-secret", "client_key (EC P-256)");
    put_client("ca.pem", "client.key", "ca.pem");
    assert_refused(ERR_KEY_MISMATCH, "client_cert of my-secret", "client_key (RSA 4096)");
}

static void dates_are_checked(void **state)
{
    int64_t not_before, not_after;

    (void)state;
    put_client("client.pem", "client.key", "other-ca.pem");
    assert_good();
    not_before = identity->not_before;
    not_after = identity->not_after;
    policy.now = not_after + 1;
    assert_refused(ERR_CERTIFICATE_EXPIRED, "client_cert of my-secret", "expired at 2");
    policy.now = not_before - 1;
    put_client("client.pem", "client.key", "other-ca.pem");
    assert_refused(ERR_CERTIFICATE_NOT_YET_VALID, "client_cert of my-secret", "valid from 20");
    policy.now = not_before;
    put_client("client.pem", "client.key", "other-ca.pem");
    identity_free(identity);
    assert_good();
    policy.now = not_after;
    identity_free(identity);
    assert_good();
}

static void purposes_are_checked(void **state)
{
    (void)state;
    put_client("server.pem", "server.key", "ca.pem");
    assert_refused(ERR_CERTIFICATE_INVALID, "client_cert of my-secret", "clientAuth");
    put_client("not-signing.pem", "not-signing.key", "ca.pem");
    assert_refused(ERR_CERTIFICATE_INVALID, "client_cert of my-secret", "keyUsage");
    put(BUNDLE_SERVER_CERT, "leaf.pem", NULL);
    put(BUNDLE_SERVER_KEY, "leaf.key", NULL);
    assert_refused(ERR_CERTIFICATE_INVALID, "server_cert of my-secret", "serverAuth");
}

static void a_server_needs_no_client(void **state)
{
    (void)state;
    put(BUNDLE_SERVER_CERT, "server.pem", NULL);
    put(BUNDLE_SERVER_KEY, "server.key", NULL);
    assert_good();
    assert_int_equal(identity->client.chain_count, 0);
    assert_int_equal(identity->server.chain_count, 1);
    assert_null(identity->anchors);
    assert_string_equal(identity->subject, "CN=localhost");
    assert_file(BUNDLE_SERVER_CERT, FILES("server.pem"));
    assert_file(BUNDLE_SERVER_KEY, FILES("server.key"));
    put(BUNDLE_CA_CERT, "other-ca.pem", NULL);
    policy.require_chain = true;
    identity_free(identity);
    assert_good();
    assert_file(BUNDLE_CA_CERT, FILES("other-ca.pem"));
}

static void a_set_may_be_both(void **state)
{
    (void)state;
    put_client("client.pem", "client.key", "ca.pem");
    put(BUNDLE_SERVER_CERT, "server.pem", NULL);
    put(BUNDLE_SERVER_KEY, "server.key", NULL);
    assert_good();
    assert_string_equal(identity->subject, "CN=ECS-Client");
    assert_int_equal(identity->client.chain_count, 1);
    assert_int_equal(identity->server.chain_count, 1);
    assert_file(BUNDLE_SERVER_KEY, FILES("server.key"));
}

static void missing_fields_are_named(void **state)
{
    (void)state;
    assert_refused(ERR_FIELD_MISSING, "my-secret", "ca_cert is missing (looked for ca_cert, ");
    put(BUNDLE_CLIENT_CERT, "client.pem", NULL);
    put(BUNDLE_CA_CERT, "ca.pem", NULL);
    assert_refused(ERR_FIELD_MISSING, "my-secret", "client_key is missing (looked for client_key");
    assert_null(strstr(err.reason, "client_cert is"));
    put(BUNDLE_CA_CERT, "ca.pem", NULL);
    assert_refused(ERR_FIELD_MISSING, "my-secret", "tls.crt); client_key is missing");
    put_client("client.pem", "client.key", NULL);
    assert_refused(ERR_FIELD_MISSING, "my-secret", "ca_cert is missing");
    put_client("client.pem", "client.key", "ca.pem");
    put(BUNDLE_SERVER_CERT, "server.pem", NULL);
    assert_refused(ERR_FIELD_MISSING, "my-secret", "server_key is missing");
}

static void fields_hold_what_their_names_say(void **state)
{
    int i;

    (void)state;
    put_client("client.key", "client.pem", "ca.pem"); /* swapped */
    assert_refused(ERR_PEM_INVALID, "client_key of my-secret",
                   "no PEM block PRIVATE KEY, but CERTIFICATE");
    put_client("client.pem", "client.key", "client.key");
    assert_refused(ERR_PEM_INVALID, "ca_cert of my-secret", "a private key stands in it");
    put_client("client.pem", "client.key", "refused-public.pem");
    assert_refused(ERR_PEM_INVALID, "ca_cert of my-secret", "no PEM block CERTIFICATE");
    put_client("client.pem", "refused-ed25519.key", "ca.pem");
    assert_refused(ERR_KEY_UNSUPPORTED, "client_key of my-secret", "Ed25519");
    put_client("client.pem", "refused-encrypted.key", "ca.pem");
    assert_refused(ERR_KEY_ENCRYPTED, "client_key of my-secret", "password");
    put_client("client.pem", "client.key", "ca.pem");
    bundle.field[BUNDLE_CA_CERT].len -= 10;
    assert_refused(ERR_PEM_INVALID, "ca_cert of my-secret", "CERTIFICATE is damaged");
    put_client("client.pem", "client.key", "ca.pem");
    for (i = 0; i < IDENTITY_CHAIN_MAX; i++)
        put(BUNDLE_CLIENT_CERT, "inner.pem", NULL);
    assert_refused(ERR_CERTIFICATE_INVALID, "client_cert of my-secret", "more than 10");
}

static void a_damaged_certificate_is_named_by_its_place(void **state)
{
    static const char bad[] = "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n";

    (void)state;
    put_client("client.pem", "client.key", "ca.pem");
    assert_int_equal(buf_append_text(&bundle.field[BUNDLE_CA_CERT], bad), 0);
    assert_refused(ERR_CERTIFICATE_INVALID, "ca_cert of my-secret", "certificate 2 of 2");
}

static void errors_name_the_secret_of_the_field(void **state)
{
    (void)state;
    put_client("client.pem", "refused-ed25519.key", "ca.pem");
    (void)snprintf(bundle.source[BUNDLE_CLIENT_KEY], sizeof bundle.source[0], "key-secret");
    assert_refused(ERR_KEY_UNSUPPORTED, "client_key of key-secret", "Ed25519");
}

static void nothing_is_left_in_the_arena(void **state)
{
    static const char *const clients[][3] = {
        {"client.pem", "client.key", "ca.pem"},
        {"client.pem", "client.key", "impostor-ca.pem"},
        {"leaf.pem", "p256.key", "ca.pem"},
        {"client.pem", "client.key", "client.key"},
        {"client.key", "client.key", "ca.pem"},
        {"server.pem", "server.key", "ca.pem"},
        {"client.pem", "refused-pss.key", "ca.pem"},
    };
    struct arena_stats before, after;
    size_t i;

    (void)state;
    arena_stats(&before);
    for (i = 0; i < sizeof clients / sizeof clients[0]; i++) {
        put_client(clients[i][0], clients[i][1], clients[i][2]);
        identity_free(identity_new(&bundle, &policy, "my-secret", &err));
        bundle_free(&bundle);
    }
    arena_stats(&after);
    assert_int_equal(before.in_use, after.in_use);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(the_documented_identity_is_good),
        test(files_are_canonical),
        test(the_leaf_comes_first_and_its_issuers_follow),
        test(an_intermediate_may_stand_in_ca_cert),
        test(another_ca_is_a_matter_of_policy),
        test(a_ca_of_that_name_must_have_signed),
        test(a_damaged_signature_is_no_other_ca),
        test(an_expired_twin_of_an_intermediate_stands_aside),
        test(of_two_leaves_of_a_key_the_good_one_is_taken),
        test(of_a_ca_and_a_leaf_of_a_key_the_leaf_is_taken),
        test(a_self_signed_leaf_is_good),
        test(key_and_leaf_belong_together),
        test(dates_are_checked),
        test(purposes_are_checked),
        test(a_server_needs_no_client),
        test(a_set_may_be_both),
        test(missing_fields_are_named),
        test(fields_hold_what_their_names_say),
        test(a_damaged_certificate_is_named_by_its_place),
        test(errors_name_the_secret_of_the_field),
        test(nothing_is_left_in_the_arena),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
