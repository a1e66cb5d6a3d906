/* SPDX-License-Identifier: Apache-2.0 */
#include "hook/hook.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/err.h"
#include "base/log.h"
#include "hook/hook_internal.h"

/* For a program that has to be killed, and one that cannot be. */
enum { CLOSE_MS = 2 * HOOK_GRACE_MS + 1000 };

#define CLOSE_RANGE         436 /* the same number on every architecture; Linux 5.9, with */
#define CLOSE_RANGE_CLOEXEC 4U  /* Linux 5.11 */

static int seal_by_proc(void)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    int result = 0;

    if (!dir)
        return -1;
    while (result == 0 && (entry = readdir(dir))) {
        const int fd = (int)decimal_number(entry->d_name, INT_MAX);

        if (fd > STDERR_FILENO)
            result = fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    (void)closedir(dir);
    return result;
}

int hook_open(struct hook *hook, const struct hook_options *options, struct err *err)
{
    int ends[2];
    pid_t pid;

    *hook = (struct hook){.fd = -1};
    if (syscall(CLOSE_RANGE, STDERR_FILENO + 1U, ~0U, CLOSE_RANGE_CLOEXEC) < 0 &&
        seal_by_proc() < 0) /* there may be no /proc, or an older kernel */
        return err_set_errno(err, ERR_SYSTEM, "/proc/self/fd", "cannot mark descriptors");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_set_errno(err, ERR_SYSTEM, "hook runner", "cannot make its socket");
    log_stop(); /* of threads only the one that forks goes on in the child */
    pid = fork();
    log_start();
    if (pid == 0) {
        close(ends[0]);
        hook_runner(ends[1], options);
    }
    if (pid < 0) {
        (void)err_set_errno(err, ERR_SYSTEM, "hook runner", "cannot fork");
        close(ends[0]);
    } else {
        *hook = (struct hook){.fd = ends[0], .pid = pid};
    }
    close(ends[1]);
    return pid < 0 ? -1 : 0;
}

int hook_start(struct hook *hook, const struct hook_change *change, int64_t limit_ms,
               struct err *err)
{
    const char *facts[HOOK_FACTS] = {change->event,       change->set,       change->dir,
                                     change->fingerprint, change->not_after, change->version_id};
    char packet[sizeof limit_ms + HOOK_FACTS_SIZE];
    size_t i, size = sizeof limit_ms;

    memcpy(packet, &limit_ms, size);
    for (i = 0; i < HOOK_FACTS; i++) {
        const char *fact = facts[i] ? facts[i] : "";
        const size_t len = strlen(fact) + 1;

        if (len > sizeof packet - size)
            return err_set(err, ERR_SYSTEM, "hook runner", "%zu bytes more are too many to tell",
                           len);
        memcpy(packet + size, fact, len);
        size += len;
    }
    if (hook->busy)
        return err_set(err, ERR_SYSTEM, "hook runner", "it is still telling the change before");
    if (send(hook->fd, packet, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return err_set_errno(err, ERR_SYSTEM, "hook runner", "it cannot be asked");
    hook->busy = true;
    return 0;
}

int hook_take(struct hook *hook, struct hook_result *result)
{
    ssize_t n;

    do
        n = recv(hook->fd, result, sizeof *result, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n != (ssize_t)sizeof *result || (unsigned)result->outcome > HOOK_TIMEOUT)
        return -1;
    result->reason[sizeof result->reason - 1] = '\0';
    hook->busy = false;
    return 1;
}

void hook_close(struct hook *hook)
{
    /* No event is asked for: only that the runner's end is closed, not a result left untaken. */
    struct pollfd gone = {.fd = hook->fd};
    int ready;

    if (hook->fd < 0)
        return;
    (void)shutdown(hook->fd, SHUT_WR);
    do
        ready = poll(&gone, 1, CLOSE_MS);
    while (ready < 0 && errno == EINTR);
    if (ready <= 0)
        (void)kill(hook->pid, SIGKILL);
    while (waitpid(hook->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    close(hook->fd);
    *hook = (struct hook){.fd = -1};
}
