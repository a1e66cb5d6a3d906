/* SPDX-License-Identifier: Apache-2.0 */
#include "hook_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

enum { WAIT_MS = 60000, STEP_MS = 10 };

int hook_fixture_setup(void **state)
{
    struct hook_fixture *fixture = calloc(1, sizeof *fixture);

    if (!fixture)
        return -1;
    (void)snprintf(fixture->dir, sizeof fixture->dir, "/tmp/mtls-agent-test-XXXXXX");
    if (!mkdtemp(fixture->dir) || chmod(fixture->dir, 0755) < 0)
        return -1;
    fixture->options.timeout_ms = WAIT_MS;
    fixture->hook.fd = -1;
    *state = fixture;
    return 0;
}

int hook_fixture_teardown(void **state)
{
    struct hook_fixture *fixture = *state;
    DIR *dir = opendir(fixture->dir);
    struct dirent *entry;

    hook_close(&fixture->hook);
    while (dir && (entry = readdir(dir)))
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    rmdir(fixture->dir);
    free(fixture);
    return 0;
}

void use_script(struct hook_fixture *fixture, const char *script)
{
    const char *argv[] = {"/bin/sh", "-c", script, fixture->dir, NULL};

    memcpy(fixture->argv, argv, sizeof argv);
    fixture->options.argv = (char *const *)fixture->argv;
}

void open_runner(struct hook_fixture *fixture)
{
    int log = open(in_dir(fixture, "log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), result;

    assert_true(log >= 0 && saved >= 0 && dup2(log, STDERR_FILENO) >= 0);
    result = hook_open(&fixture->hook, &fixture->options, &fixture->err);
    (void)dup2(saved, STDERR_FILENO);
    close(log);
    close(saved);
    assert_int_equal(result, 0);
}

void tell(struct hook_fixture *fixture, int64_t limit_ms)
{
    const struct hook_change change = {"installed", "main", "/etc/ecs/mtls",
                                       "00ff",      NULL,   "version=1 \xC3\xA9"};

    if (hook_start(&fixture->hook, &change, limit_ms, &fixture->err) < 0)
        fail_msg("%s", fixture->err.reason);
}

struct hook_result take(struct hook_fixture *fixture)
{
    struct pollfd ready = {.fd = fixture->hook.fd, .events = POLLIN};
    struct hook_result result;

    assert_int_equal(poll(&ready, 1, WAIT_MS), 1);
    assert_int_equal(hook_take(&fixture->hook, &result), 1);
    return result;
}

struct hook_result tell_and_take(struct hook_fixture *fixture, int64_t limit_ms)
{
    tell(fixture, limit_ms);
    return take(fixture);
}

const char *in_dir(const struct hook_fixture *fixture, const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", fixture->dir, name);
    return path;
}

const char *read_text(struct hook_fixture *fixture, const char *name)
{
    int fd = open(in_dir(fixture, name), O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, fixture->text, sizeof fixture->text - 1);

    if (fd >= 0)
        close(fd);
    fixture->text[n > 0 ? n : 0] = '\0';
    return fixture->text;
}

const char *read_log(struct hook_fixture *fixture)
{
    return read_text(fixture, "log");
}

size_t count_of(const char *text, const char *piece)
{
    size_t count = 0;

    while ((text = strstr(text, piece))) {
        text += strlen(piece);
        count++;
    }
    return count;
}

long wait_for_number(struct hook_fixture *fixture, const char *name)
{
    int64_t end = clock_ms() + WAIT_MS;

    while (!strchr(read_text(fixture, name), '\n')) {
        assert_true(clock_left(end) > 0);
        clock_sleep(STEP_MS, end);
    }
    return strtol(fixture->text, NULL, 10);
}

bool is_gone(pid_t pid)
{
    int64_t end = clock_ms() + WAIT_MS;

    while (kill(pid, 0) == 0 && clock_left(end) > 0)
        clock_sleep(STEP_MS, end);
    return kill(pid, 0) < 0 && errno == ESRCH;
}
