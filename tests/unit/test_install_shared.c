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
#include <sys/statfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "install/install_run_lock.h"
#include "install_fixture.h"

/*
 * A target as NFS shows it: flock(2) binds the own host only, and so here nobody; a file without a
 * name cannot be made; the server gives what root makes to another user, and refuses to give it to
 * any other. The linker puts these in the place of libc's.
 */
enum { NFS_MAGIC = 0x6969, SQUASHED = 65534 };

static struct {
    bool on;
    dev_t device;
    ino_t outside[2]; /* the directories above the target, which are the host's */
} squash;

int __real_openat(int at, const char *path, int flags, ...);
int __real_fstat(int fd, struct stat *status);
int __real_fstatat(int at, const char *path, struct stat *status, int flags);

int __wrap_flock(int fd, int how);
int __wrap_flock(int fd, int how)
{
    (void)fd, (void)how;
    return 0;
}

int __wrap_fstatfs(int fd, struct statfs *status);
int __wrap_fstatfs(int fd, struct statfs *status)
{
    (void)fd;
    *status = (struct statfs){.f_type = NFS_MAGIC};
    return 0;
}

int __wrap_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return __real_openat(at, path, flags, mode);
}

static int show(int result, struct stat *status)
{
    if (result == 0 && squash.on && status->st_dev == squash.device &&
        status->st_ino != squash.outside[0] && status->st_ino != squash.outside[1])
        status->st_uid = status->st_gid = SQUASHED;
    return result;
}

int __wrap_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status)
{
    return show(__real_fstat(fd, status), status);
}

int __wrap_fstatat(int at, const char *path, struct stat *status, int flags);
int __wrap_fstatat(int at, const char *path, struct stat *status, int flags)
{
    return show(__real_fstatat(at, path, status, flags), status);
}

int __wrap_fchown(int fd, uid_t owner, gid_t group);
int __wrap_fchown(int fd, uid_t owner, gid_t group)
{
    (void)fd;
    if ((owner == (uid_t)-1 || owner == SQUASHED) && (group == (gid_t)-1 || group == SQUASHED))
        return 0;
    errno = EPERM;
    return -1;
}

static int setup(void **state)
{
    int result = fixture_setup(state);

    if (result == 0)
        ((struct fixture *)*state)->target.lock_dir = NULL; /* in the target, as it is on NFS */
    return result;
}

static int teardown(void **state)
{
    squash.on = false;
    return fixture_teardown(state);
}

static void begin_squash(const struct fixture *fixture)
{
    char above[80];
    struct stat status;

    need_root();
    (void)snprintf(above, sizeof above, "%.*s", (int)(strrchr(fixture->base, '/') - fixture->base),
                   fixture->base);
    status = stat_of(above);
    squash.outside[0] = status.st_ino;
    status = stat_of(fixture->base);
    squash.outside[1] = status.st_ino;
    squash.device = status.st_dev;
    squash.on = true;
}

static void hosts_take_turns(void **state)
{
    struct fixture *fixture = *state;

    fixture->target.keep_previous_ms = 0;
    for (int round = 0; round < 33; round++) {
        int first = fixture_start(fixture, 10 + round), second = fixture_start(fixture, 60 + round);
        int pair;

        assert_true(fixture_wait(first) >= 0);
        assert_true(fixture_wait(second) >= 0);
        pair = pinned_pair(fixture);
        assert_true(pair == 10 + round || pair == 60 + round);
        assert_installed(fixture, pair);
    }
    assert_true(is_there(in_target(fixture, "..lock")));
}

static void assert_settled(struct fixture *fixture, int number)
{
    assert_int_equal(fixture_install(fixture, number), INSTALL_UNCHANGED);
    assert_int_equal(pinned_pair(fixture), number);
    assert_int_equal(count_of_prefix(fixture, "..tmp-"), 0);
}

static void squashed_owner_is_the_agents_own(void **state)
{
    struct fixture *fixture = *state;

    begin_squash(fixture);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_true(was_logged(fixture, "owner_mapped"));
    assert_settled(fixture, 1);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    assert_settled(fixture, 2);
}

static void squashed_owner_is_named(void **state)
{
    struct fixture *fixture = *state;

    begin_squash(fixture);
    fixture->target.owner_set = true;
    fixture->target.owner = fixture->target.group = SQUASHED;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_settled(fixture, 1);
    fixture->target.owner = fixture->target.group = 1000;
    assert_int_equal(fixture_install(fixture, 1), -1);
    assert_int_equal(fixture->err.code, ERR_INSTALL_FAILED);
    assert_non_null(strstr(fixture->err.reason, "gives what the agent makes to 65534:65534"));
    assert_int_equal(pinned_pair(fixture), 1);
}

static int note_here(struct fixture *fixture, int unused)
{
    const struct install_state_change change = {.told = "..set-0123456789abcdef"};

    (void)unused;
    if (install_state_update(&fixture->target, &change, &fixture->err) < 0)
        return -1;
    return install_state_read(&fixture->target, &fixture->memory, &fixture->err);
}

static void squashed_note_is_believed(void **state)
{
    struct fixture *fixture = *state;

    begin_squash(fixture);
    assert_int_equal(fixture_run(fixture, note_here, 0), 0);
    assert_string_equal(fixture->memory.told, "..set-0123456789abcdef");
    assert_false(was_logged(fixture, "state_ignored"));
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(hosts_take_turns),
        ROW(squashed_owner_is_the_agents_own),
        ROW(squashed_owner_is_named),
        ROW(squashed_note_is_believed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
