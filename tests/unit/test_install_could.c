/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "install_fixture.h"

static int could_here(struct fixture *fixture, int unused)
{
    (void)unused;
    fixture->err = (struct err){0};
    return install_could(&fixture->target, &fixture->err);
}

/* Whether a set could be installed; to find that out has left no trace. */
static int could(struct fixture *fixture)
{
    const struct stat before = stat_of(fixture->dir);
    int result = fixture_run(fixture, could_here, 0);
    const struct stat now = stat_of(fixture->dir);

    assert_memory_equal(&before.st_mtim, &now.st_mtim, sizeof now.st_mtim);
    assert_int_equal(count_of_prefix(fixture, "..tmp-"), 0);
    return result;
}

static void assert_could_not(struct fixture *fixture, enum err_code code, const char *why)
{
    assert_int_equal(could(fixture), -1);
    assert_int_equal(fixture->err.code, code);
    if (!strstr(fixture->err.reason, why))
        fail_msg("\"%s\" does not say \"%s\"", fixture->err.reason, why);
}

static void where_all_is_well(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(could(fixture), 0);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(could(fixture), 0);
    assert_installed(fixture, 1);
}

static void of_what_is_missing_the_directory_above(void **state)
{
    struct fixture *fixture = *state;
    char path[128];

    (void)snprintf(path, sizeof path, "%s/not/yet", fixture->dir);
    fixture->target.dir = path;
    assert_int_equal(could(fixture), 0);
    assert_false(is_there(in_target(fixture, "not")));
    assert_int_equal(chmod(fixture->dir, 0777), 0);
    assert_could_not(fixture, ERR_TARGET_INVALID, "mode 0777");
}

static void where_others_may_rename(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(chmod(fixture->dir, 0777), 0);
    assert_could_not(fixture, ERR_TARGET_INVALID, "mode 0777");
    fixture->target.others_accepted = true;
    assert_int_equal(could(fixture), 0);
}

static void where_a_stranger_may_rename(void **state)
{
    struct fixture *fixture = *state;

    need_root();
    give_to_stranger(fixture);
    assert_could_not(fixture, ERR_TARGET_INVALID, "belongs to uid 4321");
    fixture->target.owner_set = true;
    fixture->target.owner = fixture->target.group = STRANGER;
    assert_int_equal(could(fixture), 0);
}

static void where_no_file_can_be_made(void **state)
{
    struct fixture *fixture = *state;

    need_root();
    fixture->prepare = become_stranger;
    assert_could_not(fixture, ERR_INSTALL_FAILED, "a file cannot be made there");
}

static void where_no_file_can_be_given_away(void **state)
{
    struct fixture *fixture = *state;

    need_root();
    fixture->target.owner_set = true;
    fixture->target.owner = fixture->target.group = 1234;
    assert_int_equal(could(fixture), 0);
    give_to_stranger(fixture);
    fixture->target.others_accepted = true;
    fixture->prepare = become_stranger;
    assert_could_not(fixture, ERR_INSTALL_FAILED, "a file cannot be given to uid 1234");
}

static void small_files_only(struct fixture *fixture)
{
    (void)fixture;
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR ||
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){4096, 4096}) < 0)
        _exit(99);
}

static void where_no_set_has_room(void **state)
{
    struct fixture *fixture = *state;

    fixture->prepare = small_files_only;
    assert_could_not(fixture, ERR_INSTALL_FAILED, "64 KiB cannot be written there");
}

static void where_the_target_is_none(void **state)
{
    struct fixture *fixture = *state;

    put_file(in_target(fixture, "file"), "theirs");
    fixture->target.sub = "file";
    assert_could_not(fixture, ERR_TARGET_INVALID, "file");
    fixture->target.sub = "";
    fixture->target.dir = "relative";
    assert_could_not(fixture, ERR_TARGET_INVALID, "not absolute");
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(where_all_is_well),         ROW(of_what_is_missing_the_directory_above),
        ROW(where_others_may_rename),   ROW(where_a_stranger_may_rename),
        ROW(where_no_file_can_be_made), ROW(where_no_file_can_be_given_away),
        ROW(where_no_set_has_room),     ROW(where_the_target_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
