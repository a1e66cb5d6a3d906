/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "install_fixture.h"
#include "install_trace.h"

enum { CALLS_MAX = 2000 };

/* What an installer finds. */
static void nothing_there(struct fixture *fixture)
{
    (void)fixture;
}

static void set_there(struct fixture *fixture)
{
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
}

static void plain_files_there(struct fixture *fixture)
{
    put_file(in_target(fixture, "client.crt"), "cert 1\n");
    put_file(in_target(fixture, "client.key"), "key 1\n");
    put_file(in_target(fixture, "ca.crt"), "ca 1\n");
}

static void (*const beginnings[])(struct fixture *) = {nothing_there, set_there, plain_files_there};

/* The N of client.crt and client.key as an ordinary reader sees it; -1: one is missing, -2: mixed.
 */
static int plain_pair(const struct fixture *fixture)
{
    int cert = number_in(fixture, "client.crt"), key = number_in(fixture, "client.key");

    return cert == key ? cert : cert == -1 || key == -1 ? -1 : -2;
}

static void assert_recovers(struct fixture *fixture)
{
    fixture->prepare = NULL;
    fixture->target.keep_previous_ms = 0;
    assert_true(fixture_install(fixture, 2) >= 0);
    assert_installed(fixture, 2);
    assert_int_equal(count_sets(fixture), 1);
}

static void killed_at_each_call(void **state)
{
    int outcome;

    (void)state;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        bool more = true;
        int before = beginnings[i] == nothing_there ? -1 : 1;

        for (int n = 1; more && n < CALLS_MAX; n++) {
            const struct disturbance disturbance = {install_here, 2, n, 0};
            void *own;
            int pair;

            assert_int_equal(fixture_setup(&own), 0);
            beginnings[i](own);
            more = trace_disturb(own, &disturbance, &outcome);
            pair = plain_pair(own);
            if (pair != before && pair != 2)
                fail_msg("killed at call %d over %zu: %d is in place", n, i, pair);
            assert_recovers(own);
            fixture_teardown(&own);
            if (!more)
                assert_true(n > 30); /* it was truly traced */
        }
        assert_false(more);
    }
}

static bool modes_are_right(const struct fixture *fixture)
{
    return stat_of(in_target(fixture, "..data/client.crt")).st_mode == (S_IFREG | 0644) &&
           stat_of(in_target(fixture, "..data/client.key")).st_mode == (S_IFREG | 0600) &&
           stat_of(in_target(fixture, link_in(fixture, "..data"))).st_mode == (S_IFDIR | 0755);
}

static void check_failure(struct fixture *fixture, int before, int n, int outcome)
{
    int pair = plain_pair(fixture);

    if (outcome >= 0 ? pair != 2 : outcome == -1 ? pair != before : pair != before && pair != 2)
        fail_msg("call %d failed, outcome %d: %d is in place (%s)", n, outcome, pair,
                 fixture->err.reason);
    if (outcome >= 0 && !modes_are_right(fixture))
        fail_msg("call %d failed, outcome %d: the modes are others", n, outcome);
    if (outcome == -1)
        assert_true(fixture->err.code == ERR_INSTALL_FAILED ||
                    fixture->err.code == ERR_TARGET_INVALID ||
                    fixture->err.code == ERR_MEMORY_FULL || fixture->err.code == ERR_DEADLINE);
}

static void failing_at_each_call(void **state)
{
    static const int errors[] = {EIO, ENOSPC};
    int outcome;

    (void)state;
#ifndef __x86_64__
    print_message("skipped: calls are made to fail on x86_64 only\n");
    skip();
#endif
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        bool more = true;
        int before = beginnings[i] == nothing_there ? -1 : 1, refused = 0;

        for (int n = 1; more && n < CALLS_MAX; n++) {
            const struct disturbance disturbance = {install_here, 2, n, errors[n % 2]};
            void *own;

            assert_int_equal(fixture_setup(&own), 0);
            beginnings[i](own);
            more = trace_disturb(own, &disturbance, &outcome);
            check_failure(own, before, n, outcome);
            refused += outcome == -1;
            assert_recovers(own);
            fixture_teardown(&own);
        }
        assert_false(more);
        assert_true(refused > 20); /* fsync, fchmod, rename…: most of them must count */
    }
}

static void all_is_synced_before_it_is_shown(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        void *own;

        assert_int_equal(fixture_setup(&own), 0);
        beginnings[i](own);
        assert_int_equal(trace_durability(own, install_here, 2, "..data"),
                         beginnings[i] == plain_files_there ? 2 : 1);
        fixture_teardown(&own);
    }
}

static void two_agents_at_once(void **state)
{
    struct fixture *fixture = *state;

    for (int round = 0; round < 20; round++) {
        int first = fixture_start(fixture, 10 + round), second = fixture_start(fixture, 50 + round);
        int pair;

        assert_int_equal(fixture_wait(first), INSTALL_DONE);
        assert_int_equal(fixture_wait(second), INSTALL_DONE);
        pair = plain_pair(fixture);
        assert_true(pair == 10 + round || pair == 50 + round);
        assert_installed(fixture, pair);
    }
}

static void two_agents_that_make_the_directory(void **state)
{
    struct fixture *fixture = *state;
    char path[128];

    for (int round = 0; round < 60; round++) {
        int first, second;

        (void)snprintf(path, sizeof path, "%s/%d/a/b", fixture->dir, round);
        fixture->target.dir = path;
        first = fixture_start(fixture, 1);
        second = fixture_start(fixture, 1);
        assert_int_equal(fixture_wait(first) + fixture_wait(second),
                         INSTALL_DONE + INSTALL_UNCHANGED);
    }
}

/* As an older version does. It has its turn for a moment, and no longer: anybody could do that. */
static void flock_of_the_directory_delays_and_that_is_all(void **state)
{
    struct fixture *fixture = *state;
    int fd = open(fixture->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(flock(fd, LOCK_SH), 0);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_true(was_logged(fixture, "lock_ignored"));
    assert_installed(fixture, 1);
    close(fd);
    forget_log(fixture);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    assert_false(was_logged(fixture, "lock_ignored"));
}

static void lock_is_waited_for_until_the_deadline(void **state)
{
    struct fixture *fixture = *state;
    int pid, fd;

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    fd = fixture_take_lock(fixture);
    fixture->target.deadline = clock_ms() + 1000;
    assert_int_equal(fixture_install(fixture, 2), -1);
    assert_int_equal(fixture->err.code, ERR_DEADLINE);
    assert_non_null(strstr(fixture->err.reason, "another agent"));
    assert_true(clock_ms() >= fixture->target.deadline);
    assert_installed(fixture, 1);

    fixture->target.deadline = clock_ms() + 60000;
    pid = fixture_start(fixture, 2);
    clock_sleep(200, INT64_MAX);
    assert_int_equal(number_in(fixture, "client.key"), 1);
    close(fd);
    assert_int_equal(fixture_wait(pid), INSTALL_DONE);
    assert_installed(fixture, 2);
}

enum { READ_MIXED = 1, READ_NOTHING = 2 };

/* Opens the one name until the target holds "stop": it must be there at each moment. */
static pid_t start_reader(const struct fixture *fixture)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    for (int reads = 0; reads < 100 || access(in_target(fixture, "stop"), F_OK) < 0; reads++)
        if (number_in(fixture, "client.key") < 0)
            _exit(READ_NOTHING);
    _exit(0);
}

/* In one process: a rotation a fork would be too slow to hurt. */
static void rotate_often(struct fixture *fixture)
{
    for (int number = 3; number < 500; number++)
        if (install_here(fixture, number) != INSTALL_DONE)
            _exit(99);
}

static void read_while_rotated(struct fixture *fixture)
{
    while (access(in_target(fixture, "stop"), F_OK) < 0)
        if (read_here(fixture) < 0 || strcmp(fixture->field[BUNDLE_CLIENT_CERT] + 5,
                                             fixture->field[BUNDLE_CLIENT_KEY] + 4) != 0)
            _exit(READ_MIXED);
}

/* Old sets go at once here, under the reader's hands. */
static void own_reader_gets_whole_sets(void **state)
{
    struct fixture *fixture = *state;
    int reader;

    fixture->target.keep_previous_ms = 0;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    fixture->prepare = read_while_rotated;
    reader = fixture_start_read(fixture);
    clock_sleep(50, INT64_MAX);
    fixture->prepare = rotate_often;
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    put_file(in_target(fixture, "stop"), "");
    assert_int_equal(fixture_wait(reader), 0);
}

static void readers_during_adoption_miss_nothing(void **state)
{
    (void)state;
    for (int round = 0; round < 30; round++) {
        struct fixture *fixture;
        void *own;
        pid_t reader;

        assert_int_equal(fixture_setup(&own), 0);
        fixture = own;
        plain_files_there(fixture);
        reader = start_reader(fixture);
        assert_int_equal(fixture_install(fixture, 2), INSTALL_ADOPTED);
        clock_sleep(20, INT64_MAX);
        put_file(in_target(fixture, "stop"), "");
        assert_int_equal(fixture_wait(reader), 0);
        fixture_teardown(&own);
    }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_each_call),
        cmocka_unit_test(failing_at_each_call),
        cmocka_unit_test(all_is_synced_before_it_is_shown),
        ROW(two_agents_at_once),
        ROW(two_agents_that_make_the_directory),
        ROW(lock_is_waited_for_until_the_deadline),
        ROW(flock_of_the_directory_delays_and_that_is_all),
        ROW(own_reader_gets_whole_sets),
        cmocka_unit_test(readers_during_adoption_miss_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
