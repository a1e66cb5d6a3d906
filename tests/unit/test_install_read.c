/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "install_fixture.h"

static void one_set_is_read(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fixture_install(fixture, 7), INSTALL_DONE);
    assert_int_equal(fixture_read(fixture), 0);
    assert_string_equal(fixture->field[BUNDLE_CLIENT_CERT], "cert 7\n");
    assert_string_equal(fixture->field[BUNDLE_CLIENT_KEY], "key 7\n");
    assert_string_equal(fixture->field[BUNDLE_CA_CERT], "ca 7\n");
    assert_string_equal(fixture->field[BUNDLE_SERVER_CERT], "");
    assert_int_equal(fixture->facts.version_count, 1);
    assert_string_equal(fixture->facts.version_ids[0], "version-7");
    assert_int_equal(fixture->facts.not_after, fixture->not_after);
    assert_int_equal(strlen(fixture->facts.fingerprint), 64);
    assert_int_equal(fixture->facts.fingerprint[63], '7');
}

static int version_here(struct fixture *fixture, int number)
{
    char id[32], version[65];
    struct install_source source = {"arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf",
                                    id};

    (void)snprintf(id, sizeof id, "version-%d", number);
    if (!install_facts(&fixture->target, &fixture->facts) ||
        install_version(version, &source, 1) < 0 || strlen(version) != 64)
        return -1;
    return strcmp(version, fixture->facts.version) == 0;
}

static void set_and_version_are_told(void **state)
{
    struct fixture *fixture = *state;
    char version[65];

    assert_int_equal(fixture_install(fixture, 7), INSTALL_DONE);
    assert_int_equal(fixture_run(fixture, version_here, 7), 1);
    assert_int_equal(fixture_run(fixture, version_here, 8), 0);
    assert_string_equal(fixture->facts.set, link_in(fixture, "..data"));
    (void)snprintf(version, sizeof version, "%s", fixture->facts.version);

    fixture->file_count = 4; /* another set of the same version */
    assert_int_equal(fixture_install(fixture, 7), INSTALL_HEALED);
    assert_int_equal(fixture_read(fixture), 0);
    assert_string_equal(fixture->facts.version, version);
    assert_string_equal(fixture->facts.set, link_in(fixture, "..data"));

    assert_int_equal(unlink(in_target(fixture, "..data/manifest")), 0);
    assert_int_equal(fixture_read(fixture), 0);
    assert_string_equal(fixture->facts.version, "");
    assert_string_equal(fixture->facts.set, link_in(fixture, "..data"));
}

static void plain_files_are_read_where_there_is_no_set(void **state)
{
    struct fixture *fixture = *state;

    fixture_put_plain(fixture, 50);
    fixture->facts.version_count = 9;
    assert_int_equal(fixture_read(fixture), 0);
    assert_string_equal(fixture->field[BUNDLE_CLIENT_CERT], "cert 50\n");
    assert_string_equal(fixture->field[BUNDLE_CA_CERT], "");
    assert_int_equal(fixture->facts.version_count, 0);
    assert_string_equal(fixture->facts.fingerprint, "");
    assert_string_equal(fixture->facts.set, "");
}

static void nothing_to_read(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fixture_read(fixture), -1);
    assert_int_equal(fixture->err.code, ERR_NO_IDENTITY);
    fixture->target.sub = "missing";
    assert_int_equal(fixture_read(fixture), -1);
    assert_int_equal(fixture->err.code, ERR_NO_IDENTITY);
    assert_false(is_there(in_target(fixture, "missing")));
    fixture->target.sub = "";
    assert_int_equal(symlink("..set-0123456789abcdef", in_target(fixture, "..data")), 0);
    assert_int_equal(fixture_read(fixture), -1);
    assert_int_equal(fixture->err.code, ERR_NO_IDENTITY);
}

static void what_must_not_be_read(void **state)
{
    struct fixture *fixture = *state;
    int fd;

    assert_int_equal(mkfifo(in_target(fixture, "client.key"), 0600), 0);
    assert_int_equal(fixture_read(fixture), -1);
    assert_int_equal(fixture->err.code, ERR_TARGET_INVALID);
    assert_non_null(strstr(fixture->err.reason, "client.key"));
    unlink(in_target(fixture, "client.key"));

    fd = open(in_target(fixture, "client.key"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 256 * 1024 + 1), 0);
    assert_int_equal(fixture_read(fixture), -1);
    assert_int_equal(fixture->err.code, ERR_TARGET_INVALID);
    assert_int_equal(ftruncate(fd, 256 * 1024), 0);
    assert_int_equal(fixture_read(fixture), 0);
    close(fd);

    fixture->target.sub = "client.key";
    assert_int_equal(fixture_read(fixture), -1);
    assert_int_equal(fixture->err.code, ERR_TARGET_INVALID);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(one_set_is_read),
        ROW(set_and_version_are_told),
        ROW(plain_files_are_read_where_there_is_no_set),
        ROW(nothing_to_read),
        ROW(what_must_not_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
