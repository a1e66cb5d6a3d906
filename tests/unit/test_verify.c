/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/err.h"
#include "chains.h"
#include "x509/cert.h"

static void good_chains(void **state)
{
    static const struct {
        const char *chain, *anchors;
    } good[] = {
        {"leaf", "root"},
        {"deep inter", "root"},
        {"deeper sub inter", "root"},
        {"p384", "root"},
        {"p521", "root"},
        {"under-p521", "root-p521"},
        {"deep", "inter"}, /* an anchor need not be a root */
        {"deep inter root", "root"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(chains_check(&chains_private, good[i].chain, good[i].anchors), VERIFY_OK);
        assert_int_equal(chains_check(&chains_strict, good[i].chain, good[i].anchors), VERIFY_OK);
    }
}

static void any_order_with_strangers(void **state)
{
    (void)state;
    assert_int_equal(chains_check(&chains_strict, "deeper inter sub", "root"), VERIFY_OK);
    assert_int_equal(
        chains_check(&chains_strict, "deeper root leaf inter ./ca sub", "other-root root"),
        VERIFY_OK);
    assert_int_equal(chains_check(&chains_strict, "deeper inter", "root"), VERIFY_NO_ISSUER);
    chains_assert_reason("CN=Test Sub");
}

static void an_unreadable_stranger(void **state)
{
    struct chains sent = chains_load("deep inter"), trusted = chains_load("root");
    struct err err = {0};
    struct anchors *anchors = anchors_new(trusted.view, 1, &err);
    const struct bytes chain[] = {sent.view[0], bytes_of("junk", 4), sent.view[1]};
    struct verify_request request = chains_private;

    (void)state;
    request.anchors = anchors;
    request.chain = chain;
    request.chain_count = 3;
    assert_int_equal(verify(&request, chains_reason), VERIFY_OK);
    request.chain_count = 2;
    assert_int_equal(verify(&request, chains_reason), VERIFY_MALFORMED);
    request.chain = chain + 1;
    assert_int_equal(verify(&request, chains_reason), VERIFY_MALFORMED);
    request.chain_count = 0;
    assert_int_equal(verify(&request, chains_reason), VERIFY_MALFORMED);
    anchors_free(anchors);
    chains_unload(&sent);
    chains_unload(&trusted);
}

static void cross_signed(void **state)
{
    (void)state;
    assert_int_equal(chains_check(&chains_strict, "deep inter cross", "other-root"), VERIFY_OK);
    assert_int_equal(chains_check(&chains_strict, "deep cross inter", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&chains_strict, "deep inter-expired inter", "root"), VERIFY_OK);
    assert_int_equal(
        chains_check(&chains_strict, "deep inter-no-ca inter-excluded cross", "root other-root"),
        VERIFY_OK);
    assert_int_equal(chains_check(&chains_strict, "deep inter", "other-root"), VERIFY_NO_ISSUER);
}

static void untrusted(void **state)
{
    (void)state;
    assert_int_equal(chains_check(&chains_private, "leaf", ""), VERIFY_NO_ISSUER);
    assert_int_equal(chains_check(&chains_private, "leaf", "other-root"), VERIFY_NO_ISSUER);
    chains_assert_reason("CN=Test Root");
    assert_int_equal(chains_check(&chains_private, "leaf root", "other-root"), VERIFY_NO_ISSUER);
    assert_int_equal(chains_check(&chains_private, "self", "root"), VERIFY_NO_ISSUER);
    chains_assert_reason("self-signed");
}

/* A CA that was made anew under its old name. */
static void a_namesake(void **state)
{
    struct verify_request request = chains_private;

    (void)state;
    request.name = "localhost";
    assert_int_equal(chains_check(&request, "./server", "./impostor-ca"), VERIFY_BAD_SIGNATURE);
    chains_assert_reason("was not signed by the key of \"CN=Enclave-CA\"");
    assert_int_equal(chains_check(&request, "./server", "./impostor-ca ./ca"), VERIFY_OK);
}

static void key_identifiers_are_hints(void **state)
{
    (void)state;
    assert_int_equal(chains_check(&chains_private, "deep inter-key-id", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&chains_private, "deep inter-bare", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&chains_strict, "deep inter-bare", "root"), VERIFY_MALFORMED);
    chains_assert_reason("subjectKeyIdentifier");
}

static void names_compare_without_case(void **state)
{
    (void)state;
    assert_int_equal(chains_check(&chains_strict, "deep inter-case", "root"), VERIFY_OK);
}

static void dates(void **state)
{
    struct verify_request request = chains_private;
    struct chains list = chains_load("leaf");
    struct cert cert;

    (void)state;
    assert_int_equal(cert_parse(&cert, list.view[0], chains_reason), 0);
    assert_int_equal(chains_check(&chains_private, "expired", "root"), VERIFY_EXPIRED);
    chains_assert_reason("expired at");
    assert_int_equal(chains_check(&chains_private, "deep inter-expired", "root"), VERIFY_EXPIRED);
    chains_assert_reason("CN=Test Intermediate");
    request.now = cert.not_after;
    assert_int_equal(chains_check(&request, "leaf", "root"), VERIFY_OK);
    request.now = cert.not_after + 1;
    assert_int_equal(chains_check(&request, "leaf", "root"), VERIFY_EXPIRED);
    request.now = cert.not_before - 1;
    assert_int_equal(chains_check(&request, "leaf", "leaf"), VERIFY_NOT_YET_VALID);
    request.now = cert.not_before;
    assert_int_equal(chains_check(&request, "leaf", "leaf"), VERIFY_OK);
    request.now = 0; /* the anchor's dates count too */
    assert_int_equal(chains_check(&request, "leaf", "root"), VERIFY_NOT_YET_VALID);
    chains_assert_reason("CN=Test Root");
    chains_unload(&list);
}

/* An expired leaf that nobody we trust has issued is, before all, that. */
static void the_most_telling_failure(void **state)
{
    struct verify_request request = chains_private;

    (void)state;
    request.name = "other.example";
    assert_int_equal(chains_check(&request, "expired", "other-root"), VERIFY_NO_ISSUER);
    assert_int_equal(chains_check(&request, "expired", "root"), VERIFY_EXPIRED);
    assert_int_equal(chains_check(&chains_private, "deep inter-expired cross", "root"),
                     VERIFY_EXPIRED);
    assert_int_equal(chains_check(&chains_private, "deep inter-no-ca", "root"), VERIFY_NOT_CA);
}

static void bounded_work(void **state)
{
    struct verify_request request = chains_private;
    static uint8_t bytes[VERIFY_BYTES_MAX];
    const struct bytes chain[] = {bytes_of(bytes, 1), bytes_of(bytes, sizeof bytes)};
    char names[1100] = "";
    size_t len = 0, i;

    (void)state;
    for (i = 0; i < 70; i++)
        len += (size_t)snprintf(names + len, sizeof names - len, "./impostor-ca ");
    request.name = "localhost";
    assert_int_equal(chains_check(&request, "./server", names), VERIFY_LIMIT);
    chains_assert_reason("too many signatures");
    assert_int_equal(
        chains_check(&chains_private, "leaf root root root root root root root root root", "root"),
        VERIFY_OK);
    assert_int_equal(chains_check(&chains_private,
                                  "leaf root root root root root root root root root root", "root"),
                     VERIFY_LIMIT);
    request.chain = chain;
    request.chain_count = 2;
    assert_int_equal(verify(&request, chains_reason), VERIFY_LIMIT);
    request.chain_count = 1;
    assert_int_equal(verify(&request, chains_reason), VERIFY_MALFORMED);
}

static void an_issuer_that_may_not(void **state)
{
    static const struct {
        const char *chain;
        enum verify_status status;
        const char *reason;
    } bad[] = {
        {"deep inter-no-ca", VERIFY_NOT_CA, "no CA"},
        {"deep inter-no-constraints", VERIFY_NOT_CA, "no CA"},
        {"deep inter-no-sign", VERIFY_CA_USAGE, "keyCertSign"},
        {"deep inter-client", VERIFY_CA_USAGE, "serverAuth"},
        {"deep inter-critical", VERIFY_CRITICAL, "critical extension that is unknown"},
        {"deep inter-critical-key-id", VERIFY_CRITICAL, "or must not be"},
        {"deep inter-critical-policy", VERIFY_CRITICAL, "critical extension"},
        {"deep inter-policy-required", VERIFY_CRITICAL, "policyConstraints"},
        {"deep inter-sha1", VERIFY_WEAK, "SHA-1"},
        {"deeper sub inter-pathlen", VERIFY_PATH_LENGTH, "pathLenConstraint"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(chains_check(&chains_private, bad[i].chain, "root"), bad[i].status);
        chains_assert_reason(bad[i].reason);
        assert_int_not_equal(chains_check(&chains_strict, bad[i].chain, "root"), VERIFY_OK);
    }
    assert_int_equal(chains_check(&chains_strict, "deep inter-pathlen", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&chains_strict, "deep inter-policy", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&chains_strict, "deep inter-policy-rules", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&chains_private, "leaf", "leaf root"), VERIFY_OK);
    assert_int_equal(chains_check(&chains_private, "deep", "inter-no-ca"),
                     VERIFY_NOT_CA); /* anchors too */
}

static void path_max(void **state)
{
    struct verify_request request = chains_strict;

    (void)state;
    request.path_max = 3;
    assert_int_equal(chains_check(&request, "deep inter", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&request, "deeper sub inter", "root"), VERIFY_LIMIT);
    request.path_max = 2;
    assert_int_equal(chains_check(&request, "leaf", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&request, "deep inter", "root"), VERIFY_LIMIT);
}

static void weak_keys_and_algorithms(void **state)
{
    static const struct {
        const char *chain, *reason;
        enum verify_status status;
    } bad[] = {
        {"rsa1024", "RSA 1024", VERIFY_WEAK_KEY},
        {"ed25519", "Ed25519", VERIFY_WEAK_KEY},
        {"p192", "EC on another curve", VERIFY_WEAK_KEY},
        {"sha1", "SHA-1", VERIFY_WEAK},
        {"pss", "RSASSA-PSS", VERIFY_WEAK},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(chains_check(&chains_private, bad[i].chain, "root root-rsa"),
                         bad[i].status);
        chains_assert_reason(bad[i].reason);
        assert_int_equal(chains_check(&chains_strict, bad[i].chain, "root root-rsa"),
                         bad[i].status);
    }
}

static void purposes_of_a_leaf(void **state)
{
    struct verify_request as_client = chains_private;

    (void)state;
    as_client.purpose = VERIFY_CLIENT;
    as_client.name = NULL;
    assert_int_equal(chains_check(&chains_private, "client", "root"), VERIFY_USAGE);
    chains_assert_reason("serverAuth");
    assert_int_equal(chains_check(&as_client, "client", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&as_client, "leaf", "root"), VERIFY_USAGE);
    chains_assert_reason("clientAuth");
    assert_int_equal(chains_check(&chains_private, "any-usage", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&chains_private, "plain", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&as_client, "plain", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&chains_private, "no-signature", "root"), VERIFY_USAGE);
    chains_assert_reason("digitalSignature");
    assert_int_equal(chains_check(&chains_private, "critical", "root"), VERIFY_CRITICAL);
}

/* What self-made PKIs do, and the public one does not. */
static void the_profiles_differ(void **state)
{
    static const char *const chains[][3] = {
        {"encipherment", "root", "digitalSignature"},
        {"plain", "root", "authorityKeyIdentifier"},
        {"serial-zero", "root", "serial number"},
        {"constrained", "root", "nameConstraints"},
        {"under-v1", "root-v1", "no CA"},
        {"deep inter-permitted-dot", "root", "malformed"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof chains / sizeof chains[0]; i++) {
        assert_int_equal(chains_check(&chains_private, chains[i][0], chains[i][1]), VERIFY_OK);
        assert_int_not_equal(chains_check(&chains_strict, chains[i][0], chains[i][1]), VERIFY_OK);
        chains_assert_reason(chains[i][2]);
    }
}

static void name_constraints(void **state)
{
    static const char *const good[] = {"permitted", "permitted-directory", "excluded-else",
                                       "email"};
    static const char *const bad[][2] = {
        {"permitted-dns", "permit"},
        {"permitted-network", "permit"}, /* and not the IPv6 address */
        {"permitted-other-directory", "permit"},
        {"excluded", "exclude"},
        {"excluded-wildcard", "exclude"},
        {"excluded-network", "exclude"},
        {"excluded-directory", "exclude"},
        {"mask", "malformed"},
        {"wildcard", "malformed"},
    };
    char chain[64];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof good / sizeof good[0]; i++) {
        (void)snprintf(chain, sizeof chain, "deep inter-%s", good[i]);
        assert_int_equal(chains_check(&chains_strict, chain, "root"), VERIFY_OK);
    }
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(chain, sizeof chain, "deep inter-%s", bad[i][0]);
        assert_int_equal(chains_check(&chains_private, chain, "root"), VERIFY_CONSTRAINTS);
        chains_assert_reason(bad[i][1]);
        assert_int_equal(chains_check(&chains_strict, chain, "root"), VERIFY_CONSTRAINTS);
    }
    /* A form that is not processed is refused where it would decide. */
    assert_int_equal(chains_check(&chains_strict, "deep-email inter", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&chains_strict, "deep-email inter-email", "root"),
                     VERIFY_CONSTRAINTS);
    chains_assert_reason("not supported");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_chains),
        cmocka_unit_test(any_order_with_strangers),
        cmocka_unit_test(an_unreadable_stranger),
        cmocka_unit_test(cross_signed),
        cmocka_unit_test(untrusted),
        cmocka_unit_test(a_namesake),
        cmocka_unit_test(key_identifiers_are_hints),
        cmocka_unit_test(names_compare_without_case),
        cmocka_unit_test(dates),
        cmocka_unit_test(the_most_telling_failure),
        cmocka_unit_test(an_issuer_that_may_not),
        cmocka_unit_test(bounded_work),
        cmocka_unit_test(path_max),
        cmocka_unit_test(weak_keys_and_algorithms),
        cmocka_unit_test(purposes_of_a_leaf),
        cmocka_unit_test(the_profiles_differ),
        cmocka_unit_test(name_constraints),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
