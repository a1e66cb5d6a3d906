/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/amazon_roots.h"
#include "aws/aws.h"
#include "aws/roots.h"
#include "base/err.h"
#include "base/hash.h"
#include "config/config.h"
#include "samples.h"
#include "x509/cert.h"
#include "x509/verify.h"

/* https://www.amazontrust.com/repository/: SHA-256 of each root's public key. */
static const char *const key_hashes[AMAZON_ROOTS] = {
    "fbe3018031f9586bcbf41727e417b7d1c45c2f47f93be372a17b96b50757d5a2",
    "7f4296fc5b6a4e3b35d3c369623e364ab1af381d8fa7121533c9d6c633ea2461",
    "36abc32656acfc645c61b71613c4bf21c787f5cabbee48348d58597803d7abc9",
    "f7ecded5c66047d28ed6466b543c40e0743abe81d109254dcf845d4c2c7853c5",
    "2b071c59a0a0ae76b0eadb2bad23bad4580b69c3601b630c2eaf0613afa83f92",
};

static char path[] = "/tmp/mtls-agent-roots-XXXXXX";

static const struct config config;

static struct anchors *load(struct err *err)
{
    *err = (struct err){0};
    return roots_load(&(struct aws){.config = &config}, err);
}

/*
 * Makes AWS_CA_BUNDLE name a file of these samples' text, one behind the other, and of more text.
 */
static void set_bundle(const char *const samples[], size_t count, const char *more)
{
    FILE *file = fopen(path, "w");
    size_t i;

    assert_non_null(file);
    for (i = 0; i < count; i++) {
        struct buf text = sample_text(samples[i]);

        assert_int_equal(fwrite(text.data, 1, text.len, file), text.len);
        buf_free(&text);
    }
    assert_true(fputs(more, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(setenv("AWS_CA_BUNDLE", path, 1), 0);
}

static void the_built_in_five(void **state)
{
    struct err err;
    struct anchors *anchors;
    size_t i;

    (void)state;
    (void)unsetenv("AWS_CA_BUNDLE");
    anchors = load(&err);
    assert_int_equal(roots_profile(&(struct aws){.config = &config}), VERIFY_STRICT);
    assert_int_equal(anchors_count(anchors), AMAZON_ROOTS);
    for (i = 0; i < AMAZON_ROOTS; i++) {
        const struct cert *root = anchors_at(anchors, i);
        uint8_t hash[HASH_SIZE];
        char hex[HASH_HEX_SIZE];

        hash_sha256(hash, root->spki);
        hash_hex(hex, hash);
        assert_string_equal(hex, key_hashes[i]);
        assert_true(cert_signed_by(root, root));
        assert_true(root->is_ca && root->not_after > SAMPLES_NOW);
    }
    anchors_free(anchors);
}

static void a_bundle_of_the_users(void **state)
{
    static const char *const samples[] = {"ca.pem", "client.key", "other-ca.pem"};
    struct err err;
    struct anchors *anchors;
    char text[32];

    (void)state;
    set_bundle(samples, 3, "# that is all\n");
    anchors = load(&err);
    assert_int_equal(roots_profile(&(struct aws){.config = &config}), VERIFY_PRIVATE);
    assert_int_equal(anchors_count(anchors), 2);
    cert_subject_text(anchors_at(anchors, 1)->subject, text, sizeof text);
    assert_string_equal(text, "CN=Other-CA");
    anchors_free(anchors);
}

static void assert_refused(const char *why)
{
    struct err err;

    assert_null(load(&err));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_string_equal(err.subject, path);
    if (strstr(err.reason, why) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", why, err.reason);
}

static void bundles_that_are_none(void **state)
{
    static const char *const key[] = {"client.key"}, *const ca[] = {"ca.pem"};

    (void)state;
    set_bundle(NULL, 0, "");
    assert_refused("no PEM certificate");
    set_bundle(key, 1, "");
    assert_refused("no PEM certificate");
    set_bundle(ca, 1, "-----BEGIN CERTIFICATE-----\nMIIB\n");
    assert_refused("damaged");
    set_bundle(ca, 1, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
    assert_refused("trust anchor 2");
    assert_int_equal(unlink(path), 0);
    assert_refused("cannot be read");
}

static int setup(void **state)
{
    int fd = mkstemp(path);

    return fd < 0 || close(fd) < 0 ? -1 : samples_setup(state);
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_built_in_five),
        cmocka_unit_test(a_bundle_of_the_users),
        cmocka_unit_test(bundles_that_are_none),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
