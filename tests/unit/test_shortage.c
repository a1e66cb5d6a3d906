/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is short: each allocation from the Nth on fails, for each N, and every time that is
 * what is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "identity/expect.h"
#include "identity/identity.h"
#include "identity/report.h"
#include "install/ca_overlap.h"
#include "install/installed.h"
#include "install_fixture.h"
#include "samples.h"
#include "shortage.h"
#include "x509/verify.h"

#define ARN "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf"

enum { MOST = 10000 };

/* What is tried: 0, or -1 with err. It leaves nothing behind. */
typedef int work(void *given, struct err *err);

static void assert_only_memory_is_short(work *attempt, void *given, size_t least)
{
    struct err err;
    int result;

    for (allocations.from = 1; allocations.from < MOST; allocations.from++) {
        err = (struct err){.code = ERR_NONE};
        allocations.count = 0;
        allocations.starved = false;
        allocations.armed = true;
        result = attempt(given, &err);
        allocations.armed = false;
        if (!allocations.starved)
            break;
        if (result == 0 || err.code != ERR_MEMORY_FULL)
            fail_msg("from allocation %zu on: %d, %s: %s", allocations.from, result,
                     err_info(err.code)->name, err.reason);
    }
    if (result < 0)
        fail_msg("with enough memory: %s: %s", err_info(err.code)->name, err.reason);
    assert_true(allocations.from > least && allocations.from < MOST);
}

/* ---- documents and identities --------------------------------------------------------------- */

static struct buf document_of(const char *const files[])
{
    struct buf document = {.tag = ARENA_DOCUMENT};

    for (; *files; files++) {
        struct buf text = sample_text(*files);

        assert_int_equal(buf_append(&document, text.data, text.len), 0);
        buf_free(&text);
    }
    return document;
}

static int add(void *given, struct err *err)
{
    const struct buf *document = given;
    struct bundle bundle = {0};
    int result = bundle_add(&bundle, buf_bytes(document), "a", err);

    bundle_free(&bundle);
    return result;
}

static void a_document_of_json(void **state)
{
    struct buf document = sample_document("client_cert", "leaf.pem", "client_key", "leaf.key",
                                          "ca_cert", "ca.pem", NULL);

    (void)state;
    assert_only_memory_is_short(add, &document, 6);
    buf_free(&document);
}

static void a_document_of_pem(void **state)
{
    static const char *const files[] = {"leaf.pem", "inner.pem", "leaf.key", "ca.pem", NULL};
    struct buf document = document_of(files);

    (void)state;
    assert_only_memory_is_short(add, &document, 10);
    buf_free(&document);
}

static struct bundle bundle_of(const char *first, const char *second, const char *third)
{
    const char *const files[] = {first, second, third, NULL};
    struct buf document = document_of(files);
    struct bundle bundle = {0};
    struct err err;

    assert_int_equal(bundle_add(&bundle, buf_bytes(&document), "a", &err), 0);
    buf_free(&document);
    return bundle;
}

static int make_identity(void *given, struct err *err)
{
    const struct identity_policy policy = {.now = SAMPLES_NOW, .require_chain = true};
    struct identity *identity = identity_new(given, &policy, "a", err);

    identity_free(identity);
    return identity ? 0 : -1;
}

static int make_report(void *given, struct err *err)
{
    const struct expected expected = {0};
    const struct report_request request = {
        .bundle = given, .expected = &expected, .complete = true, .now = SAMPLES_NOW};
    struct report *report = report_new(&request, "a", err);
    bool good = report && report->problems == 0;

    report_free(report);
    return good ? 0 : -1;
}

static void an_identity_and_a_report_of_it(void **state)
{
    struct bundle bundle = bundle_of("client.pem", "client.key", "ca.pem");

    (void)state;
    assert_only_memory_is_short(make_identity, &bundle, 10);
    assert_only_memory_is_short(make_report, &bundle, 20);
    bundle_free(&bundle);
}

/* ---- what is installed ---------------------------------------------------------------------- */

static struct identity *identity_of(const char *cert, const char *key, const char *ca)
{
    const struct identity_policy policy = {.now = SAMPLES_NOW};
    struct bundle bundle = bundle_of(cert, key, ca);
    struct err err;
    struct identity *identity = identity_new(&bundle, &policy, "a", &err);

    assert_non_null(identity);
    bundle_free(&bundle);
    return identity;
}

static const struct install_source source = {ARN, "11111111-2222-3333-4444-555555555555"};

static int install(struct fixture *fixture, const struct identity *identity, struct err *err)
{
    const struct installing what = {
        .identity = identity, .sources = &source, .source_count = 1, .combined = true};
    enum install_outcome outcome;

    return install_identity(&fixture->target, &what, &outcome, err);
}

static void install_first(struct fixture *fixture)
{
    struct identity *identity = identity_of("client.pem", "client.key", "ca.pem");
    struct err err;

    if (install(fixture, identity, &err) < 0)
        fail_msg("%s", err.reason);
    identity_free(identity);
}

static int read_installed(void *given, struct err *err)
{
    struct fixture *fixture = given;
    struct identity *identity = installed_identity(&fixture->target, err);

    identity_free(identity);
    return identity ? 0 : -1;
}

static void an_installed_identity(void **state)
{
    install_first(*state);
    assert_only_memory_is_short(read_installed, *state, 20);
}

static void assert_in_place(struct fixture *fixture, const struct identity *identity)
{
    struct installed facts;

    assert_true(install_facts(&fixture->target, &facts));
    assert_string_equal(facts.fingerprint, identity->fingerprint);
}

/* Either the set is in place, or memory is short and the one before stays. */
static void a_set_to_be_installed(void **state)
{
    struct identity *first = identity_of("client.pem", "client.key", "ca.pem");
    struct identity *next = identity_of("twin.pem", "twin.key", "twin-ca.pem");
    struct err err;
    int result = -1;

    install_first(*state);
    for (allocations.from = 1; result < 0 && allocations.from < MOST; allocations.from++) {
        allocations.count = 0;
        allocations.armed = true;
        result = install(*state, next, &err);
        allocations.armed = false;
        if (result < 0 && err.code != ERR_MEMORY_FULL)
            fail_msg("from allocation %zu on: %s: %s", allocations.from, err_info(err.code)->name,
                     err.reason);
        assert_in_place(*state, result < 0 ? first : next);
    }
    assert_true(result == 0 && allocations.from > 3);
    identity_free(first);
    identity_free(next);
}

/* A CA that the installed set trusts and the next one does not: kept, and never lost for shortage.
 */
static int keep_anchors(void *given, struct err *err)
{
    static const struct expected expected = {0};
    struct fixture *fixture = given;
    struct identity *next = identity_of("twin.pem", "twin.key", "twin-ca.pem");
    const struct ca_overlap_request request = {
        .target = &fixture->target,
        .sources = &source,
        .source_count = 1,
        .expected = &expected,
        .length_ms = 3600000,
    };
    struct ca_overlap overlap;
    int result;

    allocations.armed = true;
    result = ca_overlap_apply(&request, next, &overlap, err);
    allocations.armed = false;
    if (result == 0 && (overlap.count != 1 || anchors_count(next->anchors) != 2))
        fail_msg("from allocation %zu on, %zu CAs are kept", allocations.from, overlap.count);
    identity_free(next);
    return result;
}

static int keep_anchors_unarmed(void *given, struct err *err)
{
    allocations.armed = false;
    return keep_anchors(given, err);
}

static void anchors_that_are_kept(void **state)
{
    install_first(*state);
    assert_only_memory_is_short(keep_anchors_unarmed, *state, 4);
}

/* It cannot tell, and is no proof that the set is another secret's. */
static int ask_origin(void *given, struct err *err)
{
    struct fixture *fixture = given;
    char other[INSTALL_OTHER_MAX];

    if (install_origin(&fixture->target, NULL, &source, 1, other) == INSTALL_OF_THESE)
        return 0;
    assert_string_equal(other, "");
    err->code = errno == ENOMEM ? ERR_MEMORY_FULL : ERR_NONE;
    return -1;
}

static void where_a_set_is_from(void **state)
{
    install_first(*state);
    assert_only_memory_is_short(ask_origin, *state, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_of_json),
        cmocka_unit_test(a_document_of_pem),
        cmocka_unit_test(an_identity_and_a_report_of_it),
        cmocka_unit_test_setup_teardown(an_installed_identity, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_set_to_be_installed, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(anchors_that_are_kept, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(where_a_set_is_from, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
