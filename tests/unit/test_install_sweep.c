/* SPDX-License-Identifier: Apache-2.0 */
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

#define OLD_SET   "..set-0123456789abcdef"
#define TEMPORARY "..tmp-0123456789abcdef"

static int sweep_here(struct fixture *fixture, int unused)
{
    (void)unused;
    install_sweep(&fixture->target);
    return 0;
}

static void sweep(struct fixture *fixture)
{
    assert_int_equal(fixture_run(fixture, sweep_here, 0), 0);
}

/* What killed runs leave: a set, a file that never got its name, a link to nothing of ours. */
static void leave_things(struct fixture *fixture)
{
    assert_int_equal(mkdir(in_target(fixture, OLD_SET), 0755), 0);
    put_file(in_target(fixture, OLD_SET "/client.key"), "key 9\n");
    assert_int_equal(mkdir(in_target(fixture, OLD_SET "/empty"), 0755), 0);
    put_file(in_target(fixture, TEMPORARY), "key 9\n");
    assert_int_equal(symlink("..data/server.crt", in_target(fixture, "server.crt")), 0);
}

static bool are_left(struct fixture *fixture)
{
    const bool left = is_there(in_target(fixture, OLD_SET));

    assert_int_equal(is_there(in_target(fixture, TEMPORARY)), left);
    assert_int_equal(is_there(in_target(fixture, "server.crt")), left);
    return left;
}

static void what_killed_runs_left_goes(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    leave_things(fixture);
    put_file(in_target(fixture, "..tmp-notes"), "theirs 77\n");
    sweep(fixture);
    assert_false(are_left(fixture));
    assert_int_equal(unlink(in_target(fixture, "..tmp-notes")), 0); /* which is not ours */
    assert_installed(fixture, 2);
    assert_int_equal(count_sets(fixture), 2); /* the one before has its time */
    assert_false(was_logged(fixture, "sweep_failed"));
    age_swap(fixture, 3601);
    sweep(fixture);
    assert_int_equal(count_sets(fixture), 1);
    assert_installed(fixture, 2);
}

static void who_is_at_work_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    int fd;

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    leave_things(fixture);
    fd = fixture_take_lock(fixture);
    sweep(fixture); /* at once */
    assert_true(are_left(fixture));
    close(fd);
    sweep(fixture);
    assert_false(are_left(fixture));
}

static void where_it_cannot_be_told_nothing_goes(void **state)
{
    struct fixture *fixture = *state;

    leave_things(fixture);
    assert_int_equal(symlink("elsewhere", in_target(fixture, "..data")), 0);
    sweep(fixture);
    assert_true(are_left(fixture));
    assert_int_equal(unlink(in_target(fixture, "..data")), 0);
    sweep(fixture);
    assert_false(are_left(fixture));
    fixture->target.sub = "missing";
    sweep(fixture);
    assert_false(is_there(in_target(fixture, "missing")));
}

/* What lies beside a key does not keep it. */
static void a_key_goes_whatever_lies_beside_it(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    leave_things(fixture);
    put_file(in_target(fixture, OLD_SET "/empty/notes.txt"), "theirs");
    sweep(fixture);
    assert_false(is_there(in_target(fixture, OLD_SET "/client.key")));
    assert_true(is_there(in_target(fixture, OLD_SET "/empty/notes.txt")));
    assert_true(was_logged(fixture, "sweep_failed"));
    assert_true(was_logged(fixture, "Directory not empty"));
    assert_false(is_there(in_target(fixture, TEMPORARY)));
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(what_killed_runs_left_goes),
        ROW(who_is_at_work_is_left_alone),
        ROW(where_it_cannot_be_told_nothing_goes),
        ROW(a_key_goes_whatever_lies_beside_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
