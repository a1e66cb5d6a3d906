/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "host/hook_internal.h"

enum { PID_FILE_MAX = 32, PID_DIGITS_MAX = 10, NOBODY = 0 };

struct pid_file {
    char text[PID_FILE_MAX + 2];
    ssize_t len;
    struct stat status;
};

/* NULL, or why it cannot be read. */
static const char *read_file(int fd, struct pid_file *file)
{
    if (fstat(fd, &file->status) < 0)
        return strerror(errno);
    if (!S_ISREG(file->status.st_mode))
        return "it is no regular file";
    do
        file->len = read(fd, file->text, PID_FILE_MAX + 1);
    while (file->len < 0 && errno == EINTR);
    if (file->len < 0)
        return strerror(errno);
    file->text[file->len] = '\0';
    return NULL;
}

static const char *parse(const struct pid_file *file, pid_t *pid)
{
    const char *number = file->text + strspn(file->text, " \t");
    const size_t digits = strspn(number, "0123456789");
    const char *rest = number + digits;
    long long value;

    if (file->len > PID_FILE_MAX || digits == 0 || digits > PID_DIGITS_MAX)
        return "it holds no process number";
    value = strtoll(number, NULL, 10);
    rest += strspn(rest, " \t\r\n");
    if (rest != file->text + file->len || value <= 0 || value > INT_MAX)
        return "it holds no process number";
    *pid = (pid_t)value;
    return NULL;
}

/* Who can write to the file aims the agent's signal. */
static bool is_trusted(const struct stat *file, pid_t pid)
{
    char directory[32];
    struct stat process;

    if (file->st_mode & S_IWOTH)
        return false;
    if (file->st_uid == 0 || file->st_uid == geteuid())
        return true;
    (void)snprintf(directory, sizeof directory, "/proc/%ld", (long)pid);
    return stat(directory, &process) == 0 && process.st_uid == file->st_uid;
}

static bool runs(pid_t pid)
{
    return kill(pid, 0) == 0 || errno != ESRCH;
}

/* NULL with *pid, which may be NOBODY; or why the file is not good. */
static const char *read_pid(const char *path, pid_t *pid)
{
    /* O_NONBLOCK: opening a FIFO must not hang before its kind is known. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct pid_file file;
    const char *trouble;

    *pid = NOBODY;
    if (fd < 0)
        return errno == ENOENT ? NULL : strerror(errno);
    trouble = read_file(fd, &file);
    close(fd);
    if (!trouble)
        trouble = parse(&file, pid);
    if (trouble)
        return trouble;
    if (!runs(*pid))
        *pid = NOBODY;
    else if (!is_trusted(&file.status, *pid))
        return "it belongs to a stranger, or all may write to it";
    return NULL;
}

/* A thread's number is as good for kill(2) as its process's. */
static bool is_own(pid_t pid, pid_t agent)
{
    char thread[64];

    (void)snprintf(thread, sizeof thread, "/proc/%ld/task/%ld", (long)agent, (long)pid);
    return pid == agent || pid == getpid() || access(thread, F_OK) == 0;
}

/* NULL with *pid, NOBODY where it is gone; or why it is not sent. */
static const char *send_to(pid_t *pid, int number, pid_t agent)
{
    if (*pid == NOBODY)
        return NULL;
    if (*pid < 0)
        return "there is no such process number";
    if (is_own(*pid, agent))
        return "here that is the agent itself; the process to be told is in another PID namespace "
               "(on ECS, pidMode \"task\" makes it one)";
    if (kill(*pid, number) == 0)
        return NULL;
    if (errno != ESRCH)
        return strerror(errno);
    *pid = NOBODY;
    return NULL;
}

void hook_signal_send(const struct hook_signal *signal, pid_t agent, struct hook_result *result)
{
    const char *trouble = NULL;
    pid_t pid = signal->pid;
    char whom[256];

    (void)snprintf(whom, sizeof whom, "process %ld", (long)pid);
    if (signal->pid_file) {
        (void)snprintf(whom, sizeof whom, "the process of %s", signal->pid_file);
        trouble = read_pid(signal->pid_file, &pid);
    }
    if (!trouble)
        trouble = send_to(&pid, signal->number, agent);
    if (trouble)
        hook_fail(result, HOOK_FAILED, "SIG%s cannot be sent to %s: %s", signal->name, whom,
                  trouble);
    else if (pid == NOBODY)
        log_event(LOG_LEVEL_WARNING, "hook_nobody", log_s("signal", signal->name),
                  log_s("pid_file", signal->pid_file),
                  log_n("pid", signal->pid_file ? INT64_MIN : signal->pid));
    else
        log_event(LOG_LEVEL_INFO, "hook_signal", log_s("signal", signal->name), log_n("pid", pid));
}
