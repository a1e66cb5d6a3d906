/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "hook_fixture.h"

#define SECRET_NAME  "AWS_SECRET_ACCESS_KEY"
#define SECRET_VALUE "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

enum {
    LIMIT_MS = 60000,
    SHORT_MS = 2000, /* that passes; what the program has to do before takes a machine less */
    GRACE_MS = 2000  /* of the runner, after SIGTERM */
};

static void the_environment_is_the_documented_one(void **state)
{
    static const char *const argv[] = {"/usr/bin/env", NULL};
    struct hook_fixture *fixture = *state;
    const char *log;

    fixture->options.argv = (char *const *)argv;
    open_runner(fixture);
    assert_int_equal(tell_and_take(fixture, LIMIT_MS).outcome, HOOK_DONE);
    log = read_log(fixture);
    assert_int_equal(count_of(log, "hook_output"), 7);
    assert_non_null(strstr(log, "line=\"PATH=/usr/local/sbin:/usr/local/bin:"
                                "/usr/sbin:/usr/bin:/sbin:/bin\"\n"));
    assert_non_null(strstr(log, "line=\"MTLS_AGENT_DIR=/etc/ecs/mtls\"\n"));
    assert_non_null(strstr(log, "line=\"MTLS_AGENT_CHANGE_EVENT=installed\"\n"));
    assert_non_null(strstr(log, "line=\"MTLS_AGENT_CHANGE_SET=main\"\n"));
    assert_non_null(strstr(log, "line=\"MTLS_AGENT_CHANGE_FINGERPRINT=00ff\"\n"));
    assert_non_null(strstr(log, "line=\"MTLS_AGENT_CHANGE_NOT_AFTER=\"\n"));
    assert_non_null(
        strstr(log, "line=\"MTLS_AGENT_CHANGE_VERSION_ID=version=1 \\u00c3\\u00a9\"\n"));
}

/* Whether a process has a piece in memory that can be written; text that only stands in code does
 * not count. */
static bool memory_holds(pid_t pid, const char *piece)
{
    static char block[1 << 18];
    char path[64], line[512];
    unsigned long from, to, at;
    bool found = false;
    FILE *maps;
    int memory;

    (void)snprintf(path, sizeof path, "/proc/%ld/mem", (long)pid);
    memory = open(path, O_RDONLY | O_CLOEXEC);
    (void)snprintf(path, sizeof path, "/proc/%ld/maps", (long)pid);
    maps = fopen(path, "re");
    assert_true(memory >= 0 && maps);
    while (!found && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx rw", &from, &to) != 2 || !strstr(line, " rw"))
            continue;
        for (at = from; !found && at < to; at += sizeof block / 2) {
            size_t len = to - at < sizeof block ? to - at : sizeof block;
            ssize_t n = pread(memory, block, len, (off_t)at);

            found = n > 0 && memmem(block, (size_t)n, piece, strlen(piece));
        }
    }
    fclose(maps);
    close(memory);
    return found;
}

static bool environment_holds(pid_t pid, const char *piece)
{
    char path[64], text[65536];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%ld/environ", (long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    n = read(fd, text, sizeof text);
    close(fd);
    return n > 0 && memmem(text, (size_t)n, piece, strlen(piece));
}

static void the_environment_is_forgotten(void **state)
{
    struct hook_fixture *fixture = *state;

    use_script(fixture, "true");
    open_runner(fixture);
    assert_int_equal(tell_and_take(fixture, LIMIT_MS).outcome, HOOK_DONE);
    assert_true(environment_holds(getpid(), SECRET_VALUE)); /* what is looked for can be found */
    assert_true(memory_holds(getpid(), SECRET_VALUE));
    assert_false(environment_holds(fixture->hook.pid, SECRET_VALUE));
    assert_false(memory_holds(fixture->hook.pid, SECRET_VALUE));
    assert_false(memory_holds(fixture->hook.pid, SECRET_NAME));
    assert_string_equal(getenv(SECRET_NAME), SECRET_VALUE); /* the agent's own is as it was */
}

static void the_program_begins_afresh(void **state)
{
    struct hook_fixture *fixture = *state;
    int leaked = dup(STDOUT_FILENO);
    char lines[512] = "";
    const char *line;
    size_t used = 0;
    mode_t mask = umask(077);
    sigset_t set, before;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &set, &before);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_IGN); /* as some supervisors leave it */
    use_script(fixture,
               "echo begin; ls /proc/$$/fd; readlink /proc/$$/fd/0; pwd; umask\n"
               /* 32 and 33 are the C library's own: some ignore them in all that they start */
               "grep -cE '^Sig(Blk|Ign):.0{7}[01][08]0{7}$' /proc/self/status\n"
               "set -- $(cat /proc/$$/stat); echo group $(($$ - $5)) session $(($$ - $6)); exit 5");
    open_runner(fixture);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)umask(mask);
    close(leaked);
    assert_int_equal(tell_and_take(fixture, LIMIT_MS).status, 5);
    for (line = read_log(fixture); (line = strstr(line, "line=")); line++) {
        int len = (int)strcspn(line + 5, "\n");

        used += snprintf(lines + used, sizeof lines - used, "%.*s|", len, line + 5);
        assert_true(used < sizeof lines);
    }
    assert_string_equal(lines, "begin|0|1|2|/dev/null|/|0022|2|\"group 0 session 0\"|");
}

static void how_it_ended_is_told(void **state)
{
    struct hook_fixture *fixture = *state;
    struct hook_result result;

    use_script(fixture, "read n <\"$0/status\"; [ $n = kill ] && kill -9 $$; exit $n");
    open_runner(fixture);
    for (int i = 0; i < 3; i++) {
        static const char *const statuses[] = {"0\n", "3\n", "kill\n"};
        int fd = open(in_dir(fixture, "status"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_int_equal(write(fd, statuses[i], strlen(statuses[i])), strlen(statuses[i]));
        close(fd);
        result = tell_and_take(fixture, LIMIT_MS);
        assert_int_equal(result.outcome, i == 0 ? HOOK_DONE : HOOK_FAILED);
        assert_int_equal(result.status, i == 0 ? 0 : i == 1 ? 3 : 128 + SIGKILL);
        assert_string_equal(result.reason, i == 0   ? ""
                                           : i == 1 ? "/bin/sh ended with status 3"
                                                    : "/bin/sh was ended by signal 9");
    }
}

static void what_cannot_be_executed_is_told(void **state)
{
    struct hook_fixture *fixture = *state;
    char path[128];
    struct hook_result result;
    int fd;

    (void)snprintf(path, sizeof path, "%s", in_dir(fixture, "program"));
    use_script(fixture, "");
    fixture->argv[0] = path;
    open_runner(fixture);
    result = tell_and_take(fixture, LIMIT_MS);
    assert_int_equal(result.outcome, HOOK_FAILED);
    assert_non_null(strstr(result.reason, path));
    assert_non_null(strstr(result.reason, " cannot be executed: No such file or directory"));
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    close(fd);
    result = tell_and_take(fixture, LIMIT_MS);
    assert_non_null(strstr(result.reason, " cannot be executed: Permission denied"));
    assert_int_equal(chmod(path, 0755), 0); /* not the program's own status 127 */
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, "#!/bin/sh\nexit 127\n", 19), 19);
    close(fd);
    result = tell_and_take(fixture, LIMIT_MS);
    assert_non_null(strstr(result.reason, " ended with status 127"));
}

/* As an older container runtime's filter answers to faccessat2(2): musl does not go on then. */
static bool filtered;
int __real_faccessat(int at, const char *path, int mode, int flags);
int __wrap_faccessat(int at, const char *path, int mode, int flags)
{
    errno = EPERM;
    return filtered ? -1 : __real_faccessat(at, path, mode, flags);
}

static void put_script(const char *path, const char *text, mode_t mode)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void an_interpreter_is_judged_where_rights_are_not_told(void **state)
{
    struct hook_fixture *fixture = *state;
    char program[128], interpreter[128], text[160], why[HOOK_REASON_MAX];
    struct hook_result result;

    (void)snprintf(program, sizeof program, "%s", in_dir(fixture, "program"));
    (void)snprintf(interpreter, sizeof interpreter, "%s", in_dir(fixture, "interpreter"));
    (void)snprintf(text, sizeof text, "#!%s\n", interpreter);
    put_script(interpreter, "#!/bin/sh\nexit 0\n", 0777);
    put_script(program, text, 0755);
    use_script(fixture, "");
    fixture->argv[0] = program;
    filtered = true;
    open_runner(fixture);
    result = tell_and_take(fixture, LIMIT_MS);
    assert_int_equal(result.outcome, HOOK_FAILED);
    assert_non_null(strstr(result.reason, " is not run: "));
    assert_non_null(strstr(result.reason, interpreter));
    assert_int_equal(chmod(interpreter, 0755), 0);
    assert_int_equal(hook_could(program, why), 0);
    result = tell_and_take(fixture, LIMIT_MS);
    assert_int_equal(result.outcome, HOOK_DONE);
    filtered = false;
}

static void the_time_limit_ends_all_of_the_group(void **state)
{
    struct hook_fixture *fixture = *state;
    struct hook_result result;

    use_script(fixture, "trap '' TERM; sleep 300 & echo $! >\"$0/sleep\"; echo $$ >\"$0/shell\"\n"
                        "while :; do wait; done");
    open_runner(fixture);
    result = tell_and_take(fixture, SHORT_MS);
    assert_int_equal(result.outcome, HOOK_TIMEOUT);
    assert_int_equal(result.status, 128 + SIGKILL);
    assert_string_equal(result.reason, "/bin/sh did not end within 2000 ms");
    assert_in_range(result.ms, SHORT_MS + GRACE_MS, LIMIT_MS);
    assert_true(is_gone((pid_t)wait_for_number(fixture, "shell")));
    assert_true(is_gone((pid_t)wait_for_number(fixture, "sleep")));
    assert_int_equal(kill(fixture->hook.pid, 0), 0);
}

static void the_time_limit_lets_it_end_itself(void **state)
{
    struct hook_fixture *fixture = *state;
    struct hook_result result;

    fixture->options.timeout_ms = SHORT_MS; /* the smaller one counts */
    use_script(fixture, "trap 'kill $child; exit 7' TERM; sleep 300 & child=$!; wait");
    open_runner(fixture);
    result = tell_and_take(fixture, LIMIT_MS);
    assert_int_equal(result.outcome, HOOK_TIMEOUT);
    assert_int_equal(result.status, 7);
    assert_in_range(result.ms, SHORT_MS, LIMIT_MS);
}

static void the_time_limit_gives_the_rest_its_grace(void **state)
{
    struct hook_fixture *fixture = *state;

    use_script(fixture, "(trap 'sleep 0.5; echo cleaned; exit' TERM; sleep 300 & wait) &\n"
                        "(trap '' TERM; exec sleep 300) & echo $! >\"$0/deaf\"; wait");
    open_runner(fixture);
    assert_int_equal(tell_and_take(fixture, SHORT_MS).status, 128 + SIGTERM);
    assert_non_null(strstr(read_log(fixture), "line=cleaned\n"));
    assert_true(is_gone((pid_t)wait_for_number(fixture, "deaf")));
}

static void the_time_limit_ends_who_holds_no_pipe(void **state)
{
    struct hook_fixture *fixture = *state;

    use_script(fixture, "(trap '' TERM; exec sleep 300) >/dev/null 2>&1 & echo $! >\"$0/mute\"\n"
                        "wait");
    open_runner(fixture);
    assert_int_equal(tell_and_take(fixture, SHORT_MS).outcome, HOOK_TIMEOUT);
    assert_true(is_gone((pid_t)wait_for_number(fixture, "mute")));
}

static void output_is_logged_and_bounded(void **state)
{
    struct hook_fixture *fixture = *state;
    const char *log, *longest;

    use_script(fixture, "echo to stdout; echo to stderr >&2; printf 'a\\033b\\0c\\n'\n"
                        "head -c 5000 /dev/zero | tr '\\0' x; echo\n"
                        "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i + 1)); done\n"
                        "printf 'no newline'");
    open_runner(fixture);
    assert_int_equal(tell_and_take(fixture, LIMIT_MS).outcome, HOOK_DONE);
    log = read_log(fixture);
    assert_non_null(strstr(log, " info hook_output line=\"to stdout\"\n"));
    assert_non_null(strstr(log, "line=\"to stderr\"\n"));
    assert_non_null(strstr(log, "line=\"a\\u001bb?c\"\n"));
    longest = strstr(log, "line=xxx");
    assert_non_null(longest);
    assert_int_equal(strspn(longest + 5, "x"), 1024);
    assert_non_null(strstr(log, "line=\"line 95\"\n"));
    assert_null(strstr(log, "line=\"line 96\"\n"));
    assert_int_equal(count_of(log, "hook_output line="), 100);
    assert_non_null(strstr(log, " warning hook_output_dropped lines=105\n"));
}

static void a_last_line_without_its_end_is_logged(void **state)
{
    struct hook_fixture *fixture = *state;

    use_script(fixture, "printf 'no newline'");
    open_runner(fixture);
    assert_int_equal(tell_and_take(fixture, LIMIT_MS).outcome, HOOK_DONE);
    assert_non_null(strstr(read_log(fixture), "line=\"no newline\"\n"));
}

static void who_outlives_the_program_is_not_waited_for(void **state)
{
    struct hook_fixture *fixture = *state;
    struct hook_result result;
    pid_t daemon;

    use_script(fixture, "sleep 300 & echo $! >\"$0/daemon\"; echo started");
    open_runner(fixture);
    result = tell_and_take(fixture, LIMIT_MS);
    daemon = (pid_t)wait_for_number(fixture, "daemon");
    assert_int_equal(result.outcome, HOOK_DONE);
    assert_true(result.ms < LIMIT_MS);
    assert_int_equal(kill(daemon, 0), 0); /* it may go on */
    assert_non_null(strstr(read_log(fixture), "line=started\n"));
    (void)kill(daemon, SIGKILL);
    assert_true(is_gone(daemon)); /* and is reaped */
}

static void one_change_at_a_time(void **state)
{
    const struct hook_change change = {"installed", "", "", "", "", ""};
    struct hook_fixture *fixture = *state;
    struct hook_result result;

    use_script(fixture, "sleep 0.2; echo told");
    open_runner(fixture);
    tell(fixture, LIMIT_MS);
    assert_int_equal(hook_take(&fixture->hook, &result), 0);
    assert_int_equal(hook_start(&fixture->hook, &change, LIMIT_MS, &fixture->err), -1);
    assert_int_equal(take(fixture).outcome, HOOK_DONE);
    assert_int_equal(tell_and_take(fixture, LIMIT_MS).outcome, HOOK_DONE);
    assert_int_equal(count_of(read_log(fixture), "line=told\n"), 2);
}

static void facts_that_are_too_long_are_refused(void **state)
{
    struct hook_fixture *fixture = *state;
    static char dir[9000];
    const struct hook_change change = {.dir = dir};

    memset(dir, 'd', sizeof dir - 1);
    use_script(fixture, "true");
    open_runner(fixture);
    assert_int_equal(hook_start(&fixture->hook, &change, LIMIT_MS, &fixture->err), -1);
    dir[8192 - 6] = '\0'; /* the most, with the ends of six */
    assert_int_equal(hook_start(&fixture->hook, &change, LIMIT_MS, &fixture->err), 0);
    assert_int_equal(take(fixture).outcome, HOOK_DONE);
}

static void a_request_of_another_form_runs_nothing(void **state)
{
    static const size_t sizes[] = {7, 8, 8 + 7, 10000}; /* short, no fact, seven, far too many */
    static char request[10000];
    struct hook_fixture *fixture = *state;

    use_script(fixture, "echo told");
    open_runner(fixture);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_true(send(fixture->hook.fd, request, sizes[i], 0) > 0);
        assert_int_equal(take(fixture).outcome, HOOK_FAILED);
    }
    memset(request + 8, 'd', 8192 - 6); /* right, but for a byte too many */
    assert_true(send(fixture->hook.fd, request, 8 + 8192 + 1, 0) > 0);
    assert_int_equal(take(fixture).outcome, HOOK_FAILED);
    assert_string_equal(read_log(fixture), "");
    assert_int_equal(tell_and_take(fixture, LIMIT_MS).outcome, HOOK_DONE);
}

static void signals_do_not_end_the_runner(void **state)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    struct hook_fixture *fixture = *state;

    use_script(fixture, "true");
    open_runner(fixture);
    assert_int_equal(tell_and_take(fixture, LIMIT_MS).outcome, HOOK_DONE);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_int_equal(kill(fixture->hook.pid, numbers[i]), 0);
    assert_int_equal(tell_and_take(fixture, LIMIT_MS).outcome, HOOK_DONE);
}

static void a_runner_that_is_gone_is_noticed(void **state)
{
    const struct hook_change change = {.event = "installed"};
    struct hook_fixture *fixture = *state;
    struct pollfd ready;
    struct hook_result result;

    use_script(fixture, "sleep 300");
    open_runner(fixture);
    (void)kill(fixture->hook.pid, SIGKILL);
    ready = (struct pollfd){fixture->hook.fd, POLLIN, 0};
    assert_int_equal(poll(&ready, 1, LIMIT_MS), 1);
    assert_int_equal(hook_take(&fixture->hook, &result), -1);
    assert_int_equal(hook_start(&fixture->hook, &change, LIMIT_MS, &fixture->err), -1);
    assert_int_equal(fixture->err.code, ERR_SYSTEM);
}

static void closing_ends_runner_and_program(void **state)
{
    struct hook_fixture *fixture = *state;
    pid_t runner;

    use_script(fixture, "trap 'echo 15 >\"$0/signal\"; exit' TERM; echo $$ >\"$0/program\"\n"
                        "sleep 300 & wait");
    open_runner(fixture);
    runner = fixture->hook.pid;
    tell(fixture, LIMIT_MS);
    (void)wait_for_number(fixture, "program");
    hook_close(&fixture->hook);
    assert_int_equal(kill(runner, 0), -1); /* reaped already */
    assert_int_equal(wait_for_number(fixture, "signal"), 15);
}

#define TEST(function)                                                                             \
    cmocka_unit_test_setup_teardown(function, hook_fixture_setup, hook_fixture_teardown)

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(the_environment_is_the_documented_one),
        TEST(the_environment_is_forgotten),
        TEST(the_program_begins_afresh),
        TEST(how_it_ended_is_told),
        TEST(what_cannot_be_executed_is_told),
        TEST(an_interpreter_is_judged_where_rights_are_not_told),
        TEST(the_time_limit_ends_all_of_the_group),
        TEST(the_time_limit_lets_it_end_itself),
        TEST(the_time_limit_gives_the_rest_its_grace),
        TEST(the_time_limit_ends_who_holds_no_pipe),
        TEST(output_is_logged_and_bounded),
        TEST(a_last_line_without_its_end_is_logged),
        TEST(who_outlives_the_program_is_not_waited_for),
        TEST(one_change_at_a_time),
        TEST(facts_that_are_too_long_are_refused),
        TEST(a_request_of_another_form_runs_nothing),
        TEST(signals_do_not_end_the_runner),
        TEST(a_runner_that_is_gone_is_noticed),
        TEST(closing_ends_runner_and_program),
    };

    /* Again, with a secret in the environment that the kernel made for it. */
    if (argc > 0 && !getenv(SECRET_NAME)) {
        (void)setenv(SECRET_NAME, SECRET_VALUE, 1);
        (void)execv(argv[0], argv);
        return 1;
    }
    return cmocka_run_group_tests_name("hook", tests, NULL, NULL);
}
