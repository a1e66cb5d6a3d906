/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "effort.h"
#include "identity/expect.h"
#include "identity/identity.h"
#include "identity/report.h"
#include "samples.h"

enum { DOCUMENTS = 2000, FILES_MAX = 4 };

static const char *const certs[] = {
    "client.pem",      "leaf.pem",
    "inner.pem",       "outer.pem",
    "ca.pem",          "other-ca.pem",
    "impostor-ca.pem", "server.pem",
    "self.pem",        "not-signing.pem",
    "twin.pem",        "twin-expired.pem",
    "twin-inner.pem",  "twin-inner-expired.pem",
    "twin-ca.pem",     "twin-ca-namesake.pem",
    "twin-self.pem",
};
static const char *const keys[] = {
    "leaf.key",        "twin.key", "server.key",       "self.key",
    "not-signing.key", "p384.key", "refused-p521.key", "refused-encrypted.key"};
/* What belongs together, so that many documents are good or nearly so. */
static const char *const sets[][5] = {
    {"leaf.pem", "inner.pem", "outer.pem", "leaf.key", "ca.pem"},
    {"twin.pem", "twin-inner.pem", "twin-inner-expired.pem", "twin.key", "twin-ca.pem"},
    {"twin-expired.pem", "twin.pem", "twin-inner.pem", "twin.key", "twin-ca.pem"},
    {"self.pem", "ca.pem", "leaf.pem", "self.key", "self.pem"},
    {"twin-self.pem", "twin.pem", "twin-inner.pem", "twin.key", "twin-ca-namesake.pem"},
    {"server.pem", "ca.pem", "outer.pem", "server.key", "ca.pem"},
};

#define COUNT(list) (sizeof(list) / sizeof *(list))

static struct err err;

/* The same numbers in each run. */
static uint64_t random_state;

static size_t any(size_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(random_state >> 33) % below;
}

static void put_text(struct buf *field, const char *text, size_t len)
{
    assert_int_equal(buf_append(field, text, len), 0);
}

/* A file of tests/unit/data as PEM, sometimes as people have it, or damaged. */
static void put(struct buf *field, const char *name)
{
    struct buf text = sample_text(name);
    char *at;

    if (any(25) == 0)
        put_text(field, "Bag Attributes: <none>\r\n", 24);
    if (any(60) == 0)
        text.data[any(text.len)] = (uint8_t)"A=-\n"[any(4)];
    put_text(field, (char *)text.data, text.len);
    at = memmem(field->data, field->len, "-----BEGIN CERTIFICATE", 22);
    if (at && any(60) == 0)
        memcpy(at + 11, "X509 CRL   ", 11);
    buf_free(&text);
}

static void make_field(struct bundle *bundle, enum bundle_field field, const char *usual)
{
    struct buf *text = &bundle->field[field];
    size_t i, more = any(4) == 0 ? any(FILES_MAX) : 0;

    text->tag = ARENA_DOCUMENT;
    for (i = 0; i < more; i++)
        put(text, certs[any(COUNT(certs))]);
    if (usual && any(40))
        put(text, usual);
}

/* A client's set, or a server's, or both; with what is missing, too much or another's. */
static struct bundle make_bundle(void)
{
    const char *const *set = sets[any(COUNT(sets))];
    bool server = strcmp(set[0], "server.pem") == 0 ? any(8) : any(8) == 0;
    enum bundle_field cert = server ? BUNDLE_SERVER_CERT : BUNDLE_CLIENT_CERT;
    enum bundle_field key = server ? BUNDLE_SERVER_KEY : BUNDLE_CLIENT_KEY;
    struct bundle bundle = {0};
    size_t i, start = any(3), count = 1 + any(3);

    for (i = 0; i < count; i++)
        make_field(&bundle, cert, set[any(6) ? (start + i) % 3 : any(5)]);
    bundle.field[key].tag = ARENA_KEY;
    if (any(40))
        put(&bundle.field[key], any(10) ? set[3] : keys[any(COUNT(keys))]);
    if (any(12))
        make_field(&bundle, BUNDLE_CA_CERT, any(8) ? set[4] : certs[any(COUNT(certs))]);
    if (any(20) == 0)
        make_field(&bundle, BUNDLE_SERVER_CERT, "server.pem");
    return bundle;
}

static const char *const subjects[] = {"Twin", "CN=Leaf", "CN=Somebody"};
static const char *const sans[] = {"localhost", "web.example"};
static const char *const cas[] = {
    "0000000000000000000000000000000000000000000000000000000000000000"};

struct asked {
    struct expected expected;
    struct report_request request;
};

static void ask(struct asked *asked, const struct bundle *bundle)
{
    static const int64_t moments[] = {SAMPLES_NOW, SAMPLES_NOW, SAMPLES_NOW,
                                      SAMPLES_NOW - 98 * 31557600LL / 10,
                                      SAMPLES_NOW + 100 * 31557600LL};

    asked->expected = (struct expected){
        .subject = any(10) ? NULL : subjects[any(COUNT(subjects))],
        .sans = &sans[any(COUNT(sans))],
        .san_count = any(20) == 0,
        .cas = cas,
        .ca_count = any(30) == 0,
    };
    asked->request = (struct report_request){
        .bundle = bundle,
        .expected = &asked->expected,
        .complete = true,
        .require_chain = any(2),
        .now = moments[any(COUNT(moments))],
    };
}

/* What fetch would do with it. */
static bool is_taken(const struct asked *asked)
{
    const struct identity_policy policy = {.require_chain = asked->request.require_chain,
                                           .now = asked->request.now};
    struct identity *identity = identity_new(asked->request.bundle, &policy, "", &err);
    bool taken = identity && identity_expect(identity, &asked->expected, "", &err) == 0;

    identity_free(identity);
    return taken;
}

static bool says(const struct report *report, enum report_level level, const char *text)
{
    size_t i;

    for (i = 0; i < report->finding_count; i++)
        if (report->findings[i].level == level && strstr(report->findings[i].text, text))
            return true;
    return false;
}

/* It says why, where it is refused; and has no word of a problem where it is not. */
static void a_report_says_what_the_agent_would_do(void **state)
{
    const size_t documents = DOCUMENTS / one_of(10);
    size_t taken = 0, i, k;

    (void)state;
    random_state = 16;
    for (i = 0; i < documents; i++) {
        struct bundle bundle = make_bundle();
        struct report *report;
        struct asked asked;
        bool good;

        ask(&asked, &bundle);
        good = is_taken(&asked);
        report = report_new(&asked.request, "", &err);
        assert_non_null(report);
        if (good != (report->problems == 0)) {
            for (k = 0; k < report->finding_count; k++)
                print_message("%d %s: %s\n", report->findings[k].level, report->findings[k].field,
                              report->findings[k].text);
            (void)is_taken(&asked);
            fail_msg("document %zu is %s: %s: %s", i, good ? "taken" : "refused", err.subject,
                     good ? "" : err.reason);
        }
        if (!good)
            (void)is_taken(&asked);
        if (!good && !says(report, REPORT_PROBLEM, err.reason))
            fail_msg("document %zu: why it is refused is not said: %s", i, err.reason);
        taken += good;
        report_free(report);
        bundle_free(&bundle);
    }
    assert_true(taken > documents / 10 && taken < documents * 9 / 10);
}

static struct report *report_on(const struct bundle *bundle)
{
    static const struct expected expected = {0};
    const struct report_request request = {
        .bundle = bundle, .expected = &expected, .complete = true, .now = SAMPLES_NOW};
    struct report *report = report_new(&request, "", &err);

    assert_non_null(report);
    return report;
}

/* Files into fields, by turns; NULL at the end. */
static struct report *report_of(struct bundle *bundle, const char *const (*files)[2])
{
    static const char *const names[BUNDLE_FIELDS] = {
        [BUNDLE_CLIENT_CERT] = "client_cert", [BUNDLE_CLIENT_KEY] = "client_key",
        [BUNDLE_CA_CERT] = "ca_cert",         [BUNDLE_SERVER_CERT] = "server_cert",
        [BUNDLE_SERVER_KEY] = "server_key",
    };

    for (; (*files)[0]; files++)
        for (size_t i = 0; i < BUNDLE_FIELDS; i++)
            if (strcmp((*files)[0], names[i]) == 0) {
                struct buf text = sample_text((*files)[1]);

                bundle->field[i].tag =
                    i == BUNDLE_CLIENT_KEY || i == BUNDLE_SERVER_KEY ? ARENA_KEY : ARENA_DOCUMENT;
                put_text(&bundle->field[i], (char *)text.data, text.len);
                buf_free(&text);
            }
    return report_on(bundle);
}

static void a_good_one_is_shown_as_it_was_taken(void **state)
{
    static const char *const files[][2] = {
        {"client_cert", "outer.pem"}, {"client_cert", "twin.pem"}, {"client_cert", "leaf.pem"},
        {"client_cert", "inner.pem"}, {"client_cert", "leaf.pem"}, {"client_key", "leaf.key"},
        {"ca_cert", "other-ca.pem"},  {"ca_cert", "ca.pem"},       {NULL, NULL}};
    static const int issuers[] = {6, -1, 3, 0, 3, 5, 6};
    static const bool chain[] = {true, false, true, true, true, false, true};
    struct bundle bundle = {0};
    struct report *report = report_of(&bundle, files);

    (void)state;
    assert_int_equal(report->cert_count, 7);
    assert_int_equal(report->problems, 0);
    assert_int_equal(report->verdict, ERR_NONE);
    assert_true(report->judged && report->keys[REPORT_CLIENT].fits);
    assert_int_equal(report->keys[REPORT_CLIENT].leaf, 2);
    assert_int_equal(report->keys[REPORT_CLIENT].path, REPORT_VERIFIED);
    assert_string_equal(report->keys[REPORT_CLIENT].kind, "EC P-256");
    assert_string_equal(report->keys[REPORT_SERVER].kind, "");
    assert_int_equal(report->keys[REPORT_SERVER].leaf, -1);
    for (size_t i = 0; i < 7; i++) {
        const struct report_cert *entry = &report->certs[i];

        if (entry->issuer != issuers[i] || entry->in_chain != chain[i] ||
            entry->is_leaf != (i == 2))
            fail_msg("%zu: issuer %d, %d, %d", i, entry->issuer, entry->in_chain, entry->is_leaf);
        assert_int_equal(strlen(entry->fingerprint), 64);
        assert_int_equal(entry->field, i < 5 ? BUNDLE_CLIENT_CERT : BUNDLE_CA_CERT);
    }
    assert_ptr_equal(report_leaf(report, report), &report->certs[2]);
    report_free(report);
    bundle_free(&bundle);
}

static void of_what_is_as_it_should_be_nothing_is_said(void **state)
{
    static const char *const files[][2] = {
        {"client_cert", "leaf.pem"}, {"client_cert", "inner.pem"}, {"client_cert", "outer.pem"},
        {"client_key", "leaf.key"},  {"ca_cert", "ca.pem"},        {NULL, NULL}};
    struct bundle bundle = {0};
    struct report *report = report_of(&bundle, files);

    (void)state;
    for (size_t i = 0; i < report->finding_count; i++)
        fail_msg("%s: %s", report->findings[i].field, report->findings[i].text);
    report_free(report);
    bundle_free(&bundle);
}

static void a_key_of_another_is_told(void **state)
{
    static const char *const files[][2] = {
        {"client_cert", "leaf.pem"}, {"client_cert", "inner.pem"}, {"client_cert", "outer.pem"},
        {"client_key", "twin.key"},  {"ca_cert", "ca.pem"},        {NULL, NULL}};
    struct bundle bundle = {0};
    struct report *report = report_of(&bundle, files);

    (void)state;
    assert_int_equal(report->verdict, ERR_KEY_MISMATCH);
    assert_true(says(report, REPORT_PROBLEM, "has the public key of client_key"));
    assert_int_equal(report->problems, 1);
    assert_false(report->keys[REPORT_CLIENT].fits);
    assert_int_equal(report->keys[REPORT_CLIENT].leaf, 0);
    assert_int_equal(report->keys[REPORT_CLIENT].path, REPORT_VERIFIED);
    report_free(report);
    bundle_free(&bundle);
}

static void what_is_no_certificate_is_named_by_its_place(void **state)
{
    static const char junk[] = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    static const char *const files[][2] = {
        {"client_key", "leaf.key"}, {"ca_cert", "ca.pem"}, {"ca_cert", "twin.key"}, {NULL, NULL}};
    struct bundle bundle = {0};
    struct buf leaf = sample_text("leaf.pem");
    struct report *report;

    (void)state;
    bundle.field[BUNDLE_CLIENT_CERT].tag = ARENA_DOCUMENT;
    put_text(&bundle.field[BUNDLE_CLIENT_CERT], (char *)leaf.data, leaf.len);
    put_text(&bundle.field[BUNDLE_CLIENT_CERT], junk, sizeof junk - 1);
    put_text(&bundle.field[BUNDLE_CLIENT_CERT], junk, sizeof junk - 1);
    put_text(&bundle.field[BUNDLE_CLIENT_CERT], (char *)leaf.data, leaf.len);
    bundle.field[BUNDLE_CA_CERT].tag = ARENA_DOCUMENT;
    put_text(&bundle.field[BUNDLE_CA_CERT], junk, sizeof junk - 1);
    report = report_of(&bundle, files);
    assert_true(says(report, REPORT_PROBLEM, "certificate 2 of 4: "));
    assert_true(says(report, REPORT_PROBLEM, "certificate 3 of 4: "));
    assert_true(says(report, REPORT_PROBLEM, "certificate 1 of 2: "));
    assert_true(says(report, REPORT_PROBLEM, "a private key stands in it"));
    assert_int_equal(report->cert_count, 3);
    report_free(report);
    bundle_free(&bundle);
    buf_free(&leaf);
}

static void a_problem_outweighs_a_warning_of_the_same_words(void **state)
{
    struct bundle bundle = {0};
    struct report *report = report_on(&bundle);
    const size_t before = report->problems;

    (void)state;
    report_add(report, REPORT_WARNING, BUNDLE_CA_CERT, "it is so");
    report_add(report, REPORT_PROBLEM, BUNDLE_CLIENT_CERT, "it is so");
    report_add(report, REPORT_WARNING, BUNDLE_CA_CERT, "it is so");
    assert_int_equal(report->problems, before + 1);
    assert_true(says(report, REPORT_PROBLEM, "it is so"));
    assert_false(says(report, REPORT_WARNING, "it is so"));
    report_free(report);
}

static void a_problem_is_not_cut_off_by_warnings(void **state)
{
    struct bundle bundle = {0};
    struct report *report = report_on(&bundle);
    int i;

    (void)state;
    for (i = 0; i < 2 * REPORT_FINDINGS_MAX; i++)
        report_add(report, REPORT_WARNING, BUNDLE_CA_CERT, "warning %d", i);
    for (i = 0; i < 2 * REPORT_FINDINGS_MAX; i++)
        report_add(report, REPORT_PROBLEM, BUNDLE_CLIENT_CERT, "problem %d.", i);
    assert_true(says(report, REPORT_PROBLEM, "problem 0."));
    assert_true(says(report, REPORT_PROBLEM, "problem 40."));
    assert_int_equal(report->finding_count, REPORT_FINDINGS_MAX);
    assert_true(report->problems >= 2 * REPORT_FINDINGS_MAX);
    report_free(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_one_is_shown_as_it_was_taken),
        cmocka_unit_test(of_what_is_as_it_should_be_nothing_is_said),
        cmocka_unit_test(a_key_of_another_is_told),
        cmocka_unit_test(what_is_no_certificate_is_named_by_its_place),
        cmocka_unit_test(a_problem_outweighs_a_warning_of_the_same_words),
        cmocka_unit_test(a_problem_is_not_cut_off_by_warnings),
        cmocka_unit_test(a_report_says_what_the_agent_would_do),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
