/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hook_fixture.h"

enum { LIMIT_MS = 60000, TOLD = 42, STRANGER = 12345, OTHER_STRANGER = 12346 };

/* A process that ends with TOLD when it gets SIGUSR1. uid 0: as it is. */
static pid_t start_process(uid_t uid)
{
    sigset_t set, before;
    int number, ready[2];
    pid_t pid;
    char byte;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR1);
    (void)sigaddset(&set, SIGUSR2);
    (void)sigprocmask(SIG_BLOCK, &set, &before);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        close(ready[0]);
        if (uid != 0 && setuid(uid) < 0)
            _exit(1);
        close(ready[1]);
        (void)alarm(60);
        (void)sigwait(&set, &number);
        _exit(number == SIGUSR1 ? TOLD : 0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

/* Whether it has been told; it is gone afterwards. Of two signals it takes SIGUSR1 first. */
static bool was_told(pid_t pid)
{
    int status;

    assert_int_equal(kill(pid, SIGUSR2), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) == TOLD;
}

static void write_file(const struct hook_fixture *fixture, const char *text, size_t len)
{
    int fd = open(in_dir(fixture, "pid"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
}

static void write_pid(const struct hook_fixture *fixture, pid_t pid)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%ld\n", (long)pid);
    write_file(fixture, text, strlen(text));
}

/* A runner that sends SIGUSR1 to one: of a file in the directory where pid is 0. */
static void open_for(struct hook_fixture *fixture, pid_t pid)
{
    static struct hook_signal to;
    static char path[128];

    (void)snprintf(path, sizeof path, "%s", in_dir(fixture, "pid"));
    to = (struct hook_signal){SIGUSR1, "USR1", pid, pid ? NULL : path};
    fixture->options.signals = &to;
    fixture->options.signal_count = 1;
    open_runner(fixture);
}

static void assert_refused(struct hook_fixture *fixture, const char *why)
{
    struct hook_result result = tell_and_take(fixture, LIMIT_MS);

    if (result.outcome != HOOK_FAILED || !strstr(result.reason, why))
        fail_msg("\"%s\", not \"%s\"", result.reason, why);
    assert_int_equal(strncmp(result.reason, "SIGUSR1 cannot be sent to ", 26), 0);
    assert_null(strstr(read_log(fixture), "hook_signal"));
}

static void a_process_is_told_by_its_number(void **state)
{
    struct hook_fixture *fixture = *state;
    pid_t pid = start_process(0);
    char line[64];

    open_for(fixture, pid);
    assert_int_equal(tell_and_take(fixture, LIMIT_MS).outcome, HOOK_DONE);
    assert_true(was_told(pid));
    (void)snprintf(line, sizeof line, " info hook_signal signal=USR1 pid=%ld\n", (long)pid);
    assert_non_null(strstr(read_log(fixture), line));
    assert_int_equal(tell_and_take(fixture, LIMIT_MS).outcome, HOOK_DONE); /* gone: nobody */
    (void)snprintf(line, sizeof line, " warning hook_nobody signal=USR1 pid=%ld\n", (long)pid);
    assert_non_null(strstr(read_log(fixture), line));
}

static void a_process_is_told_by_its_file(void **state)
{
    static const char *const forms[][2] = {{"", ""}, {"", "\n"}, {" \t", " \r\n\n"}, {"00", "\n"}};
    struct hook_fixture *fixture = *state;
    char text[64];

    open_for(fixture, 0);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        pid_t pid = start_process(0);

        (void)snprintf(text, sizeof text, "%s%ld%s", forms[i][0], (long)pid, forms[i][1]);
        write_file(fixture, text, strlen(text));
        assert_int_equal(tell_and_take(fixture, LIMIT_MS).outcome, HOOK_DONE);
        assert_true(was_told(pid));
    }
}

static void a_link_to_the_file_is_not_followed(void **state)
{
    struct hook_fixture *fixture = *state;
    pid_t pid = start_process(0);
    char target[128];

    write_pid(fixture, pid);
    (void)snprintf(target, sizeof target, "%s", in_dir(fixture, "target"));
    assert_int_equal(rename(in_dir(fixture, "pid"), target), 0);
    assert_int_equal(symlink(target, in_dir(fixture, "pid")), 0);
    open_for(fixture, 0);
    assert_refused(fixture, "is a symbolic link");
    assert_false(was_told(pid));
}

static void where_nobody_runs_nobody_is_told(void **state)
{
    struct hook_fixture *fixture = *state;
    pid_t pid = start_process(0);

    open_for(fixture, 0);
    assert_int_equal(tell_and_take(fixture, LIMIT_MS).outcome, HOOK_DONE); /* no file */
    assert_int_equal(count_of(read_log(fixture), " warning hook_nobody signal=USR1 pid_file=/"), 1);
    write_pid(fixture, pid);
    assert_false(was_told(pid));
    assert_int_equal(tell_and_take(fixture, LIMIT_MS).outcome, HOOK_DONE); /* a stale one */
    assert_int_equal(count_of(read_log(fixture), "hook_nobody"), 2);
    assert_int_equal(count_of(read_log(fixture), "hook_signal"), 0);
}

static void a_hostile_file_is_refused(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } files[] = {
        {"", 0},
        {"\n", 1},
        {"nginx\n", 6},
        {"0\n", 2},
        {"-1\n", 3},
        {"+1\n", 3},
        {"1 2\n", 4},
        {"\n1\n", 3},
        {"0x1\n", 4},
        {"1\0002\n", 4},
        {"2147483648\n", 11},
        {"4294967297\n", 11},
        {"18446744073709551617\n", 21},
        {"1                                \n", 34},
    };
    struct hook_fixture *fixture = *state;

    open_for(fixture, 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        write_file(fixture, files[i].text, files[i].len);
        assert_refused(fixture, "it holds no process number");
    }
}

static void what_is_no_file_is_refused(void **state)
{
    struct hook_fixture *fixture = *state;

    open_for(fixture, 0);
    assert_int_equal(mkfifo(in_dir(fixture, "pid"), 0644), 0);
    assert_refused(fixture, "it is no regular file");
    assert_int_equal(unlink(in_dir(fixture, "pid")), 0);
    assert_int_equal(mkdir(in_dir(fixture, "pid"), 0755), 0);
    assert_refused(fixture, "it is no regular file");
    assert_int_equal(rmdir(in_dir(fixture, "pid")), 0);
}

static void a_file_that_others_may_write_to_is_refused(void **state)
{
    static const mode_t modes[] = {0666, 0664, 0646};
    struct hook_fixture *fixture = *state;
    pid_t pid = start_process(0);

    open_for(fixture, 0);
    write_pid(fixture, pid);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(chmod(in_dir(fixture, "pid"), modes[i]), 0);
        assert_refused(fixture, "others may write to it");
    }
    assert_int_equal(chmod(in_dir(fixture, "pid"), 0644), 0);
    assert_int_equal(chmod(fixture->dir, 0777), 0); /* another can be put in its place */
    assert_refused(fixture, "others may write to it");
    assert_int_equal(chmod(fixture->dir, 0755), 0);
    assert_false(was_told(pid));
}

static void a_strangers_way_aims_at_his_own_process_only(void **state)
{
    struct hook_fixture *fixture = *state;
    pid_t ours;

    if (geteuid() != 0) {
        print_message("skipped: needs root, to give a file away\n");
        skip();
    }
    ours = start_process(0);
    open_for(fixture, 0);
    write_pid(fixture, ours); /* root's own file, in a directory of his */
    assert_int_equal(chown(fixture->dir, STRANGER, STRANGER), 0);
    assert_refused(fixture, "it belongs to a stranger");
    assert_int_equal(chown(in_dir(fixture, "pid"), OTHER_STRANGER, OTHER_STRANGER), 0);
    assert_refused(fixture, "belongs to user 12346, a stranger");
    assert_int_equal(chown(fixture->dir, 0, 0), 0);
    assert_false(was_told(ours));
}

static void the_first_process_of_all_is_not_signalled_by_a_file(void **state)
{
    struct hook_fixture *fixture = *state;

    open_for(fixture, 0);
    write_pid(fixture, 1);
    assert_refused(fixture, "it holds 1");
}

static void a_strangers_file_aims_at_his_own_process_only(void **state)
{
    struct hook_fixture *fixture = *state;
    pid_t ours, his, anothers;

    if (geteuid() != 0) {
        print_message("skipped: needs root, to give a file away\n");
        skip();
    }
    ours = start_process(0);
    his = start_process(STRANGER);
    anothers = start_process(OTHER_STRANGER);
    open_for(fixture, 0);
    write_pid(fixture, ours);
    assert_int_equal(chown(in_dir(fixture, "pid"), STRANGER, STRANGER), 0);
    assert_refused(fixture, "it belongs to a stranger");
    write_pid(fixture, anothers);
    assert_refused(fixture, "it belongs to a stranger");
    write_pid(fixture, his);
    assert_int_equal(tell_and_take(fixture, LIMIT_MS).outcome, HOOK_DONE);
    assert_true(was_told(his));
    assert_false(was_told(ours));
    assert_false(was_told(anothers));
}

static void *hold_thread(void *number)
{
    *(pid_t *)number = gettid();
    (void)poll(NULL, 0, 100);
    while (*(volatile pid_t *)number != 0)
        (void)poll(NULL, 0, 10);
    return NULL;
}

static void the_agent_itself_is_never_signalled(void **state)
{
    struct hook_fixture *fixture = *state;
    volatile pid_t number = 0;
    pthread_t thread;

    open_for(fixture, 0);
    write_pid(fixture, getpid());
    assert_refused(fixture, "PID namespace");
    write_pid(fixture, fixture->hook.pid);
    assert_refused(fixture, "PID namespace");
    assert_int_equal(pthread_create(&thread, NULL, hold_thread, (void *)&number), 0);
    while (number == 0)
        (void)poll(NULL, 0, 1);
    write_pid(fixture, number);
    assert_refused(fixture, "PID namespace");
    number = 0;
    (void)pthread_join(thread, NULL);
}

static void a_signal_that_is_not_permitted_fails(void **state)
{
    struct hook_fixture *fixture = *state;
    uid_t uid = geteuid();
    pid_t pid;

    if (uid != 0) {
        print_message("skipped: needs root, to give it up\n");
        skip();
    }
    pid = start_process(0);
    assert_int_equal(chown(fixture->dir, STRANGER, STRANGER), 0);
    assert_int_equal(setresuid(STRANGER, STRANGER, 0), 0);
    open_for(fixture, pid);
    assert_int_equal(setresuid(0, 0, 0), 0);
    assert_refused(fixture, "Operation not permitted");
    assert_false(was_told(pid));
}

static void a_failed_program_keeps_no_signal_back(void **state)
{
    struct hook_fixture *fixture = *state;
    pid_t pid = start_process(0);
    struct hook_result result;

    use_script(fixture, "kill -0 $(cat \"$0/pid\") && exit 9"); /* it comes first */
    write_pid(fixture, pid);
    open_for(fixture, 0);
    result = tell_and_take(fixture, LIMIT_MS);
    assert_int_equal(result.outcome, HOOK_FAILED);
    assert_string_equal(result.reason, "/bin/sh ended with status 9");
    assert_true(was_told(pid));
}

#define TEST(function)                                                                             \
    cmocka_unit_test_setup_teardown(function, hook_fixture_setup, hook_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_process_is_told_by_its_number),
        TEST(a_process_is_told_by_its_file),
        TEST(a_link_to_the_file_is_not_followed),
        TEST(where_nobody_runs_nobody_is_told),
        TEST(a_hostile_file_is_refused),
        TEST(what_is_no_file_is_refused),
        TEST(a_file_that_others_may_write_to_is_refused),
        TEST(a_strangers_way_aims_at_his_own_process_only),
        TEST(the_first_process_of_all_is_not_signalled_by_a_file),
        TEST(a_strangers_file_aims_at_his_own_process_only),
        TEST(the_agent_itself_is_never_signalled),
        TEST(a_signal_that_is_not_permitted_fails),
        TEST(a_failed_program_keeps_no_signal_back),
    };

    return cmocka_run_group_tests_name("hook signal", tests, NULL, NULL);
}
