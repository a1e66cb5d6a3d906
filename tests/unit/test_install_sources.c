/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "install_fixture.h"

/* What install_fixture.c makes its sets of. */
#define REST  "123456789012:secret:a"
#define MADE  "arn:aws:secretsmanager:eu-west-1:" REST "-AbCdEf"
#define OTHER "arn:aws:secretsmanager:eu-west-1:123456789012:secret:b-AbCdEf"

static struct install_source asked[2]; /* as of the fork */
static size_t asked_count;

static int origin_here(struct fixture *fixture, int unused)
{
    char other[INSTALL_OTHER_MAX];
    int origin = install_origin(&fixture->target, NULL, asked, asked_count, other);

    (void)unused;
    (void)err_set(&fixture->err, ERR_NONE, NULL, "%s", other);
    return origin;
}

static enum install_origin origin_of(struct fixture *fixture, const char *secret)
{
    asked[0] = (struct install_source){secret, ""};
    asked_count = 1;
    return (enum install_origin)fixture_run(fixture, origin_here, 0);
}

static void as_far_as_they_tell(void **state)
{
    static const struct {
        const char *secret;
        enum install_origin origin;
    } rows[] = {
        {MADE, INSTALL_OF_THESE},
        {"arn:aws:secretsmanager:us-east-1:" REST "-AbCdEf", INSTALL_OF_THESE},
        {"arn:aws:secretsmanager:eu-west-1:" REST, INSTALL_OF_THESE},
        {"arn:aws:secretsmanager:eu-west-1:" REST "-GhIjKl", INSTALL_OF_THESE},
        {"a", INSTALL_OF_THESE},
        {"a-AbCdEf", INSTALL_OF_THESE},
        {"arn:aws:secretsmanager:eu-west-1:999999999999:secret:a-AbCdEf", INSTALL_OF_OTHERS},
        {"arn:aws:secretsmanager:eu-west-1:999999999999:secret:a", INSTALL_OF_OTHERS},
        {"arn:aws-cn:secretsmanager:cn-north-1:" REST "-AbCdEf", INSTALL_OF_OTHERS},
        {OTHER, INSTALL_OF_OTHERS},
        {"b", INSTALL_OF_OTHERS},
        {"a-GhIjKl", INSTALL_OF_OTHERS},
        {"aa", INSTALL_OF_OTHERS},
        {"", INSTALL_OF_OTHERS},
        {"arn:", INSTALL_OF_OTHERS},
    };
    struct fixture *fixture = *state;

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (origin_of(fixture, rows[i].secret) != rows[i].origin)
            fail_msg("%s", rows[i].secret);
        assert_string_equal(fixture->err.reason, rows[i].origin == INSTALL_OF_OTHERS ? MADE : "");
    }
}

/* What AWS appends is six letters and digits behind a hyphen, and never the whole of a name. */
static void what_is_no_suffix(void **state)
{
#define ARN "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
    static const char *const pairs[][2] = {
        {ARN "-AbCdEf", ARN "-GhIjKl"},   {ARN "a-AbCd_f", ARN "a-GhIj_l"},
        {ARN "a_AbCdEf", ARN "a_GhIjKl"}, {ARN "a-AbCdE", ARN "a-GhIjK"},
        {"a-AbCdEf", "a-GhIjKl"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        fixture->secret = pairs[i][0];
        assert_true(fixture_install(fixture, 1) >= 0);
        assert_int_equal(origin_of(fixture, pairs[i][0]), INSTALL_OF_THESE);
        assert_int_equal(origin_of(fixture, pairs[i][1]), INSTALL_OF_OTHERS);
    }
}

static void of_one_secret_more(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    asked[0] = (struct install_source){MADE, ""};
    asked[1] = (struct install_source){OTHER, ""};
    asked_count = 2;
    assert_int_equal(fixture_run(fixture, origin_here, 0), INSTALL_OF_OTHERS);
    assert_string_equal(fixture->err.reason, "1 secrets, not 2");
}

static void what_does_not_say(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(origin_of(fixture, OTHER), INSTALL_OF_UNKNOWN);
    put_file(in_target(fixture, "client.crt"), "cert 1");
    assert_int_equal(origin_of(fixture, OTHER), INSTALL_OF_UNKNOWN);
    assert_int_equal(unlink(in_target(fixture, "client.crt")), 0);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    put_file(in_target(fixture, "..data/manifest"), "mtls-agent-set 1\n");
    assert_int_equal(origin_of(fixture, OTHER), INSTALL_OF_UNKNOWN);
}

enum { SOURCES = 16, NAME = 512 };

/* A set of as many secrets as there may be, with names and ids as long as AWS's, and all anchors
 * that are kept for a while. */
static int install_the_largest(struct fixture *fixture, int again)
{
    static char secrets[SOURCES][NAME + 100], ids[SOURCES][65];
    struct install_source sources[SOURCES];
    const struct install_file file = {"client.crt", bytes_of_text("cert\n"), false};
    struct install_set set = {.files = &file,
                              .file_count = 1,
                              .sources = sources,
                              .source_count = SOURCES,
                              .fingerprint = "0000000000000000000000000000000000000000000000000000"
                                             "000000000000",
                              .not_after = INT32_MAX,
                              .overlap = fixture->overlap,
                              .overlap_count = INSTALL_OVERLAP_MAX};
    enum install_outcome outcome;
    char other[INSTALL_OTHER_MAX];

    for (int i = 0; i < SOURCES; i++) {
        char name[NAME + 1];

        memset(name, 'a' + i, NAME);
        name[NAME] = '\0';
        (void)snprintf(secrets[i], sizeof secrets[i], "%s%s-AbCdEf",
                       "arn:aws-us-gov:secretsmanager:us-gov-east-1:123456789012:secret:", name);
        memset(ids[i], 'A' + i, 64);
        memset(fixture->overlap[i].digest, '0' + i % 10, 64);
        fixture->overlap[i].until = INT64_C(253402300799); /* the last second of 9999 */
        sources[i] = (struct install_source){secrets[i], ids[i]};
    }
    if (again)
        return (int)install_origin(&fixture->target, NULL, sources, SOURCES, other);
    return install_set(&fixture->target, &set, &outcome, &fixture->err) < 0 ? -1 : (int)outcome;
}

static void the_largest_is_read_as_it_was_written(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fixture_run(fixture, install_the_largest, 0), INSTALL_DONE);
    assert_int_equal(fixture_run(fixture, install_the_largest, 0), INSTALL_UNCHANGED);
    assert_int_equal(fixture_run(fixture, install_the_largest, 1), INSTALL_OF_THESE);
    assert_int_equal(fixture_read(fixture), 0);
    assert_int_equal(fixture->facts.version_count, SOURCES);
    assert_int_equal(fixture->facts.overlap_count, INSTALL_OVERLAP_MAX);
    assert_memory_equal(fixture->facts.overlap, fixture->overlap, sizeof fixture->overlap);
    for (int i = 0; i < SOURCES; i++) {
        assert_int_equal(strspn(fixture->facts.version_ids[i], (char[]){(char)('A' + i), '\0'}),
                         64);
        assert_int_equal(strlen(fixture->facts.version_ids[i]), 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(as_far_as_they_tell, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_no_suffix, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(of_one_secret_more, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_does_not_say, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_largest_is_read_as_it_was_written, fixture_setup,
                                        fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
