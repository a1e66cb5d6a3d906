/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "install_fixture.h"

enum { CALLS_MAX = 2000, NOT_PERMITTED = 77 };

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

static void stop_for_tracer(struct fixture *fixture)
{
    (void)fixture;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(NOT_PERMITTED);
    raise(SIGSTOP);
}

/* Lets a traced process run to its next entry into the kernel, or exit from it. */
static bool run_to_next_stop(pid_t pid, int *status)
{
    if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0)
        return false;
    return waitpid(pid, status, 0) == pid && WIFSTOPPED(*status);
}

/* Replaces the result of the system call that a traced process is about to enter. */
static bool fail_call(pid_t pid, int error, int *status)
{
#ifdef __x86_64__
    return ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.orig_rax), -1L) == 0 &&
           run_to_next_stop(pid, status) &&
           ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rax), (long)-error) == 0;
#else
    (void)pid, (void)error, (void)status;
    return false;
#endif
}

/* Begins to install set 2 in a process that waits to be let run. */
static pid_t start_traced(struct fixture *fixture)
{
    pid_t pid;
    int status;

    fixture->prepare = stop_for_tracer;
    pid = fixture_start(fixture, 2);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_PERMITTED) {
        print_message("skipped: ptrace(2) is not permitted here\n");
        skip();
    }
    assert_true(WIFSTOPPED(status));
    assert_int_equal(
        ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)),
        0);
    return pid;
}

/*
 * Installs set 2 in a process that is killed as it enters its n-th system call, or that call fails
 * with an error. False where it did not come so far. *outcome is as fixture_wait()'s.
 */
static bool install_disturbed(struct fixture *fixture, int n, int error, int *outcome)
{
    pid_t pid = start_traced(fixture);
    int status;

    for (int stops = 0; stops < 2 * n - 1; stops++) /* entry and exit of each */
        if (!run_to_next_stop(pid, &status))
            goto ended;
    if (error == 0) {
        kill(pid, SIGKILL);
    } else if (!fail_call(pid, error, &status)) {
        goto ended;
    } else {
        ptrace(PTRACE_DETACH, pid, NULL, NULL);
    }
    *outcome = fixture_wait(pid);
    return true;
ended:
    *outcome = WIFEXITED(status) ? WEXITSTATUS(status) : -2;
    return false;
}

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
            void *own;
            int pair;

            assert_int_equal(fixture_setup(&own), 0);
            beginnings[i](own);
            more = install_disturbed(own, n, 0, &outcome);
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

static void check_failure(struct fixture *fixture, int before, int n, int outcome)
{
    int pair = plain_pair(fixture);

    if (outcome >= 0 ? pair != 2 : outcome == -1 ? pair != before : pair != before && pair != 2)
        fail_msg("call %d failed, outcome %d: %d is in place (%s)", n, outcome, pair,
                 fixture->err.reason);
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
            void *own;

            assert_int_equal(fixture_setup(&own), 0);
            beginnings[i](own);
            more = install_disturbed(own, n, errors[n % 2], &outcome);
            check_failure(own, before, n, outcome);
            refused += outcome == -1;
            assert_recovers(own);
            fixture_teardown(&own);
        }
        assert_false(more);
        assert_true(refused > 20); /* fsync, fchmod, rename…: most of them must count */
    }
}

/* What a traced process has changed and not yet synced, by descriptor. */
struct durability {
    bool dirty[64];
    int swaps;       /* renames to "..data" */
    int unsynced_at; /* the directory of a swap that is not durable yet; -1: none */
};

/* Whether a path in the traced process is "..data". */
static bool is_data_link(pid_t pid, uint64_t path)
{
    long word = ptrace(PTRACE_PEEKDATA, pid, (void *)(uintptr_t)path, NULL);

    return memcmp(&word, "..data", 7) == 0;
}

static void watch_call(struct durability *seen, pid_t pid, const struct __ptrace_syscall_info *call)
{
    const uint64_t *args = call->entry.args;
    unsigned fd = args[0] < 64 ? (unsigned)args[0] : 0;

    switch (call->entry.nr) {
    case SYS_write:
    case SYS_fchmod:
    case SYS_fchown:
    case SYS_mkdirat: seen->dirty[fd] = true; break;
    case SYS_fsync:
        seen->dirty[fd] = false;
        if ((int)fd == seen->unsynced_at)
            seen->unsynced_at = -1;
        break;
    case SYS_close: assert_false(seen->dirty[fd]); break;
    case SYS_unlinkat: /* of an old set: the new one must be durable by then */
        assert_true(seen->unsynced_at == -1);
        break;
    case SYS_renameat:
        if (!is_data_link(pid, args[3]))
            break;
        for (int i = 0; i < 64; i++)
            assert_false(seen->dirty[i]);
        seen->swaps++;
        seen->unsynced_at = (int)args[2];
        break;
    default: break;
    }
}

static void all_is_synced_before_it_is_shown(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        struct durability seen = {.unsynced_at = -1};
        struct __ptrace_syscall_info call;
        int status;
        void *own;
        pid_t pid;

        assert_int_equal(fixture_setup(&own), 0);
        beginnings[i](own);
        pid = start_traced(own);
        while (run_to_next_stop(pid, &status))
            if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof call, &call) > 0 &&
                call.op == PTRACE_SYSCALL_INFO_ENTRY)
                watch_call(&seen, pid, &call);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0xff);
        assert_int_equal(seen.unsynced_at, -1);
        assert_int_equal(seen.swaps, beginnings[i] == plain_files_there ? 2 : 1);
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

static void lock_is_waited_for_until_the_deadline(void **state)
{
    struct fixture *fixture = *state;
    int fd = open(fixture->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int64_t begin = clock_ms();
    int pid;

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    fixture->target.deadline = begin + 300;
    assert_int_equal(fixture_install(fixture, 2), -1);
    assert_int_equal(fixture->err.code, ERR_DEADLINE);
    assert_non_null(strstr(fixture->err.reason, "another agent"));
    assert_true(clock_ms() >= begin + 300 && clock_ms() < begin + 5000);
    assert_installed(fixture, 1);

    fixture->target.deadline = clock_ms() + 20000;
    pid = fixture_start(fixture, 2);
    clock_sleep(200, INT64_MAX);
    assert_int_equal(number_in(fixture, "client.key"), 1);
    assert_int_equal(flock(fd, LOCK_UN), 0);
    assert_int_equal(fixture_wait(pid), INSTALL_DONE);
    assert_installed(fixture, 2);
    close(fd);
}

enum { READ_MIXED = 1, READ_NOTHING = 2 };

/* Reads pairs until the target holds "stop"; its exit status tells what it saw. */
static pid_t start_reader(const struct fixture *fixture, int (*read_pair)(const struct fixture *),
                          int missing_is)
{
    pid_t pid = fork();
    int pair, whole = 0;

    if (pid != 0)
        return pid;
    while (access(in_target(fixture, "stop"), F_OK) < 0) {
        pair = read_pair(fixture);
        if (pair == -2)
            _exit(READ_MIXED);
        if (pair == -1 && missing_is)
            _exit(missing_is);
        whole += pair > 0;
    }
    _exit(whole > 100 ? 0 : READ_NOTHING);
}

/* In one process: a rotation a fork would be too slow to hurt. */
static void rotate_often(struct fixture *fixture)
{
    for (int number = 3; number < 500; number++)
        if (install_here(fixture, number) != INSTALL_DONE)
            _exit(99);
}

static void readers_during_rotations_see_no_mixed_pair(void **state)
{
    struct fixture *fixture = *state;
    pid_t pinned, again;

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    pinned = start_reader(fixture, pinned_pair, 0);
    again = start_reader(fixture, pinned_pair, 0);
    fixture->prepare = rotate_often;
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    put_file(in_target(fixture, "stop"), "");
    assert_int_equal(fixture_wait(pinned), 0);
    assert_int_equal(fixture_wait(again), 0);
    assert_installed(fixture, 2);
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

/* Opens the one name again and again: it must be there at each moment. */
static int key_alone(const struct fixture *fixture)
{
    return number_in(fixture, "client.key");
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
        reader = start_reader(fixture, key_alone, READ_NOTHING);
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
        ROW(readers_during_rotations_see_no_mixed_pair),
        ROW(own_reader_gets_whole_sets),
        cmocka_unit_test(readers_during_adoption_miss_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
