/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
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
#include "install/install_run_lock.h"
#include "install_fixture.h"

static int hold_here(struct fixture *fixture, int waiting)
{
    int fd, directory, result;

    fixture->err = (struct err){0};
    result = install_run_lock(&fixture->target, &fd, &directory, &fixture->err);
    assert_true((fd >= 0) == (result == 0) && (directory >= 0) == (result == 0));
    while (waiting && result == 0)
        pause();
    if (result == 0 && (close(fd) < 0 || close(directory) < 0))
        return -1;
    return result;
}

/* Holds the target until its process ends. */
static int hold_and_wait_here(struct fixture *fixture, int unused)
{
    (void)unused;
    return hold_here(fixture, 1);
}

static int take_lock(struct fixture *fixture)
{
    return fixture_run(fixture, hold_here, 0);
}

static int held_here(struct fixture *fixture, int unused)
{
    (void)unused;
    return (int)install_run_lock_holder(&fixture->target);
}

static int held(struct fixture *fixture)
{
    return fixture_run(fixture, held_here, 0);
}

static void await(struct fixture *fixture, enum install_lock_holder wanted)
{
    const int64_t end = clock_ms() + 60000;

    while (install_run_lock_holder(&fixture->target) != wanted) {
        if (clock_left(end) == 0)
            fail_msg("never came to %d", (int)wanted);
        clock_sleep(1, end);
    }
}

static void assert_refused(struct fixture *fixture, const char *why)
{
    assert_int_equal(take_lock(fixture), -1);
    assert_int_equal(fixture->err.code, ERR_TARGET_INVALID);
    if (!strstr(fixture->err.reason, why))
        fail_msg("\"%s\" does not say \"%s\"", fixture->err.reason, why);
    assert_int_equal(held(fixture), INSTALL_LOCK_UNKNOWN);
}

static void second_one_is_refused_until_the_first_has_died(void **state)
{
    struct fixture *fixture = *state;
    int first = fixture_begin(fixture, hold_and_wait_here, 0);

    await(fixture, INSTALL_LOCK_HELD);
    assert_int_equal(take_lock(fixture), -1);
    assert_int_equal(fixture->err.code, ERR_ALREADY_RUNNING);
    assert_string_equal(fixture->err.subject, fixture->dir);
    assert_int_equal(held(fixture), INSTALL_LOCK_HELD);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE); /* a fetch goes on beside it */
    assert_installed(fixture, 1);

    assert_int_equal(kill(first, SIGKILL), 0);
    assert_int_equal(fixture_wait(first), -2);
    assert_int_equal(held(fixture), INSTALL_LOCK_FREE);
    assert_int_equal(take_lock(fixture), 0);
    assert_installed(fixture, 1);
}

static void strict_umask(struct fixture *fixture)
{
    (void)fixture;
    umask(geteuid() == 0 ? 0777 : 0077);
}

/* Locks in the target, as where there is no other place. */
static void lock_in_target(struct fixture *fixture)
{
    static char path[128];

    (void)snprintf(path, sizeof path, "%s%s%s", fixture->dir, *fixture->target.sub ? "/" : "",
                   fixture->target.sub);
    fixture->target.lock_dir = path;
}

static void target_is_made_and_the_file_for_the_agent_alone(void **state)
{
    struct fixture *fixture = *state;

    fixture->target.sub = "new";
    lock_in_target(fixture);
    fixture->prepare = strict_umask;
    assert_int_equal(take_lock(fixture), 0);
    assert_int_equal(stat_of(in_target(fixture, "new")).st_mode, S_IFDIR | 0755);
    assert_int_equal(stat_of(in_target(fixture, "new/..run")).st_mode, S_IFREG | 0600);
    fixture->prepare = NULL;
    assert_int_equal(chmod(in_target(fixture, "new/..run"), 0666), 0);
    assert_int_equal(take_lock(fixture), 0);
    assert_int_equal(stat_of(in_target(fixture, "new/..run")).st_mode, S_IFREG | 0600);
}

static void nothing_in_the_target_is_locked_where_there_is_a_lock_dir(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(take_lock(fixture), 0);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_false(is_there(in_target(fixture, "..run")));
    assert_false(is_there(in_target(fixture, "..lock")));
}

static void who_looks_makes_nothing(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(held(fixture), INSTALL_LOCK_FREE);
    assert_false(is_there(in_target(fixture, "..run")));
    fixture->target.sub = "missing";
    assert_int_equal(held(fixture), INSTALL_LOCK_FREE);
    assert_false(is_there(in_target(fixture, "missing")));
}

/* What the root of a container can do that has a read-only mount: open it, and lock it for reading.
 */
static void stranger_in_the_target_stops_nobody(void **state)
{
    static const char *const names[] = {".", "..run", "..lock"};
    struct flock shared = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    struct fixture *fixture = *state;
    int fds[3], first;

    for (size_t i = 1; i < 3; i++) {
        put_file(in_target(fixture, names[i]), "");
        assert_int_equal(chmod(in_target(fixture, names[i]), 0600), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        fds[i] = open(in_target(fixture, names[i]), O_RDONLY | O_CLOEXEC);
        assert_true(fds[i] >= 0);
        assert_int_equal(flock(fds[i], LOCK_SH), 0);
        if (i > 0)
            assert_int_equal(fcntl(fds[i], F_OFD_SETLK, &shared), 0);
    }
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_true(was_logged(fixture, "lock_ignored"));
    assert_int_equal(held(fixture), INSTALL_LOCK_FREE);
    first = fixture_begin(fixture, hold_and_wait_here, 0);
    await(fixture, INSTALL_LOCK_HELD);
    assert_int_equal(kill(first, SIGKILL), 0);
    assert_int_equal(fixture_wait(first), -2);
    assert_int_equal(held(fixture), INSTALL_LOCK_FREE);
    for (size_t i = 0; i < 3; i++)
        close(fds[i]);
}

static void other_things_than_its_file_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const char *run = in_target(fixture, "..run");

    lock_in_target(fixture);
    assert_int_equal(symlink("elsewhere", run), 0);
    assert_refused(fixture, "..run is no");
    assert_false(is_there(in_target(fixture, "elsewhere")));
    run = in_target(fixture, "..run");
    assert_int_equal(unlink(run), 0);
    assert_int_equal(mkdir(run, 0700), 0);
    assert_refused(fixture, "..run is no");
    run = in_target(fixture, "..run");
    assert_int_equal(rmdir(run), 0);
    assert_int_equal(mkfifo(run, 0600), 0);
    assert_refused(fixture, "..run is no");
}

static void strangers_thing_at_its_name_is_replaced(void **state)
{
    struct fixture *fixture = *state;

    need_root();
    lock_in_target(fixture);
    put_file(in_target(fixture, "..run"), "");
    assert_int_equal(chown(in_target(fixture, "..run"), STRANGER, STRANGER), 0);
    assert_int_equal(held(fixture), INSTALL_LOCK_UNKNOWN);
    assert_int_equal(take_lock(fixture), 0);
    assert_int_equal(stat_of(in_target(fixture, "..run")).st_uid, 0);
    assert_int_equal(unlink(in_target(fixture, "..run")), 0);
    assert_int_equal(mkdir(in_target(fixture, "..run"), 0700), 0);
    assert_int_equal(mkdir(in_target(fixture, "..run/x"), 0700), 0);
    assert_int_equal(chown(in_target(fixture, "..run"), STRANGER, STRANGER), 0);
    assert_int_equal(take_lock(fixture), 0);
    assert_int_equal(stat_of(in_target(fixture, "..run")).st_mode, S_IFREG | 0600);
}

static void file_of_another_name_keeps_its_mode(void **state)
{
    struct fixture *fixture = *state;

    lock_in_target(fixture);
    put_file(in_target(fixture, "precious"), "");
    assert_int_equal(link(in_target(fixture, "precious"), in_target(fixture, "..run")), 0);
    assert_int_equal(take_lock(fixture), 0);
    assert_int_equal(stat_of(in_target(fixture, "precious")).st_mode & 07777, 0644);
    assert_int_equal(stat_of(in_target(fixture, "precious")).st_nlink, 1);
}

static void who_may_not_open_it_cannot_tell(void **state)
{
    struct fixture *fixture = *state;

    need_root();
    lock_in_target(fixture);
    assert_int_equal(take_lock(fixture), 0);
    fixture->prepare = become_stranger;
    assert_int_equal(held(fixture), INSTALL_LOCK_UNKNOWN);
    assert_int_equal(take_lock(fixture), -1);
}

/* Somebody removes the directory of locks: who waits does not take a lock that nobody else sees. */
static void lock_that_was_removed_is_made_anew(void **state)
{
    struct fixture *fixture = *state;
    char moved[128];
    int first;

    first = fixture_begin(fixture, hold_and_wait_here, 0);
    await(fixture, INSTALL_LOCK_HELD);
    (void)snprintf(moved, sizeof moved, "%s.moved", fixture->locks);
    assert_int_equal(rename(fixture->locks, moved), 0);
    assert_int_equal(held(fixture), INSTALL_LOCK_FREE);
    assert_int_equal(take_lock(fixture), 0);
    assert_true(is_there(fixture->locks));
    assert_int_equal(kill(first, SIGKILL), 0);
    assert_int_equal(fixture_wait(first), -2);
}

static void lock_dir_that_others_may_write_to_is_refused(void **state)
{
    struct fixture *fixture = *state;

    for (mode_t mode = 01777; mode; mode = mode == 01777 ? 0775 : 0) {
        assert_int_equal(chmod(fixture->locks, mode), 0);
        assert_int_equal(take_lock(fixture), -1);
        assert_int_equal(fixture->err.code, ERR_TARGET_INVALID);
        assert_string_equal(fixture->err.subject, fixture->locks);
    }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(second_one_is_refused_until_the_first_has_died),
        ROW(target_is_made_and_the_file_for_the_agent_alone),
        ROW(who_looks_makes_nothing),
        ROW(nothing_in_the_target_is_locked_where_there_is_a_lock_dir),
        ROW(stranger_in_the_target_stops_nobody),
        ROW(other_things_than_its_file_are_refused),
        ROW(file_of_another_name_keeps_its_mode),
        ROW(strangers_thing_at_its_name_is_replaced),
        ROW(lock_that_was_removed_is_made_anew),
        ROW(lock_dir_that_others_may_write_to_is_refused),
        ROW(who_may_not_open_it_cannot_tell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
