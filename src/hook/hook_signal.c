/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/log.h"
#include "base/trust.h"
#include "hook/hook_internal.h"

#define PIDFD_SEND_SIGNAL 424 /* the same numbers on every architecture; Linux 5.3 */
#define PIDFD_OPEN        434

enum { PID_FILE_MAX = 32, PID_DIGITS_MAX = 10, NOBODY = 0, INIT = 1 };

/* A process, known also after its number is another's. */
struct target {
    pid_t pid; /* NOBODY: it is gone */
    int fd;    /* -1: the kernel has none to give */
};

/* Reads the number: NULL, or why not. */
static const char *read_number(int fd, pid_t *pid)
{
    char text[PID_FILE_MAX + 2];
    const char *number, *rest;
    struct stat status;
    size_t digits;
    int64_t value;
    ssize_t len;

    if (fstat(fd, &status) == 0 && !S_ISREG(status.st_mode))
        return "it is no regular file";
    do
        len = read(fd, text, PID_FILE_MAX + 1);
    while (len < 0 && errno == EINTR);
    if (len < 0)
        return strerror(errno);
    text[len] = '\0';
    number = text + strspn(text, " \t");
    digits = decimal_read(bytes_of_text(number), &value);
    rest = number + digits;
    rest += strspn(rest, " \t\r\n");
    if (len > PID_FILE_MAX || digits > PID_DIGITS_MAX || rest != text + len || value <= 0 ||
        value > INT_MAX)
        return "it holds no process number";
    *pid = (pid_t)value;
    return NULL;
}

/* Whether a user may signal a process himself: kill(2) compares with its real and its saved one. */
static bool may_signal(uid_t uid, pid_t pid)
{
    char path[32], text[2048];
    unsigned long real, saved;
    const char *line;
    char *end;
    ssize_t len;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0)
        return false;
    text[len] = '\0';
    line = strstr(text, "\nUid:");
    if (!line)
        return false;
    real = strtoul(line + strlen("\nUid:"), &end, 10);
    (void)strtoul(end, &end, 10); /* the effective one */
    saved = strtoul(end, NULL, 10);
    return real == uid || saved == uid;
}

/* NULL with *pid and the stranger who could have written it, or TRUST_NOBODY; or why not. */
static const char *read_file(const char *path, struct trust *trust, pid_t *pid)
{
    /* O_NONBLOCK: opening a FIFO must not hang before its kind is known. */
    const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    const int fd = trust_open(path, flags, trust);
    const char *trouble;

    *pid = NOBODY;
    if (fd < 0)
        return errno == ENOENT ? NULL : trust->why;
    trouble = read_number(fd, pid);
    close(fd);
    return trouble;
}

/* Held from before it is looked at: its number may be given to another process at any time. */
static void hold_process(struct target *target)
{
    target->fd = (int)syscall(PIDFD_OPEN, target->pid, 0U);
    if (target->fd < 0 && kill(target->pid, 0) < 0 && errno == ESRCH)
        target->pid = NOBODY;
}

/* Finds the process of a file: NULL, or why it is not signalled. */
static const char *find_process(const char *path, struct target *target, struct trust *trust)
{
    const char *trouble = read_file(path, trust, &target->pid);

    if (trouble || target->pid == NOBODY)
        return trouble;
    if (target->pid == INIT)
        return "it holds 1: the process to signal is in another PID namespace (pidMode), or it is "
               "process 1, which --on-change-signal names by its number";
    hold_process(target);
    if (target->pid == NOBODY || trust->stranger == TRUST_NOBODY ||
        may_signal(trust->stranger, target->pid))
        return NULL;
    (void)snprintf(trust->why, sizeof trust->why,
                   "it belongs to a stranger, uid %lu, who may not signal process %ld himself",
                   (unsigned long)trust->stranger, (long)target->pid);
    return trust->why;
}

/* A thread's number is as good for kill(2) as its process's. */
static bool is_own(pid_t pid, pid_t agent)
{
    char thread[64];

    (void)snprintf(thread, sizeof thread, "/proc/%ld/task/%ld", (long)agent, (long)pid);
    return pid == agent || pid == getpid() || access(thread, F_OK) == 0;
}

static int send_signal(const struct target *target, int number)
{
    if (target->fd >= 0)
        return (int)syscall(PIDFD_SEND_SIGNAL, target->fd, number, NULL, 0U);
    return kill(target->pid, number);
}

/* NULL with the process, NOBODY where it is gone; or why it is not sent. */
static const char *send_to(struct target *target, int number, pid_t agent)
{
    if (target->pid == NOBODY)
        return NULL;
    if (target->pid < 0)
        return "there is no such process number";
    if (is_own(target->pid, agent))
        return "here that is the agent itself; the process to signal is in another PID namespace "
               "(on ECS, pidMode \"task\" makes it one)";
    if (send_signal(target, number) == 0)
        return NULL;
    if (errno != ESRCH)
        return strerror(errno);
    target->pid = NOBODY;
    return NULL;
}

/* Finds the process and sends it number, 0 for a try: which one it is, NOBODY where it is gone; -1
 * with why. */
static pid_t find_and_send(const struct hook_signal *signal, int number, pid_t agent,
                           char why[HOOK_REASON_MAX])
{
    struct trust trust = {.also = TRUST_NOBODY, .one_stranger = true};
    struct target target = {.pid = signal->pid, .fd = -1};
    const char *trouble = NULL;
    char whom[256];

    (void)snprintf(whom, sizeof whom, "process %ld", (long)signal->pid);
    if (signal->pid_file) {
        (void)snprintf(whom, sizeof whom, "the process of %s", signal->pid_file);
        trouble = find_process(signal->pid_file, &target, &trust);
    }
    if (!trouble)
        trouble = send_to(&target, number, agent);
    if (target.fd >= 0)
        close(target.fd);
    if (!trouble)
        return target.pid;
    (void)snprintf(why, HOOK_REASON_MAX, "SIG%s cannot be sent to %s: %.200s", signal->name, whom,
                   trouble);
    return -1;
}

pid_t hook_signal_could(const struct hook_signal *signal, char why[HOOK_REASON_MAX])
{
    return find_and_send(signal, 0, getpid(), why);
}

void hook_signal_send(const struct hook_signal *signal, pid_t agent, struct hook_result *result)
{
    char why[HOOK_REASON_MAX];
    const pid_t pid = find_and_send(signal, signal->number, agent, why);

    if (pid < 0)
        hook_fail(result, HOOK_FAILED, "%s", why);
    else if (pid == NOBODY)
        log_event(LOG_LEVEL_WARNING, "hook_nobody", log_s("signal", signal->name),
                  log_s("pid_file", signal->pid_file),
                  log_n("pid", signal->pid_file ? INT64_MIN : signal->pid));
    else
        log_event(LOG_LEVEL_INFO, "hook_signal", log_s("signal", signal->name), log_n("pid", pid));
}
