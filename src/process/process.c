/* SPDX-License-Identifier: Apache-2.0 */
#include "process/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/random.h"
#include "config/config.h"

/* Of the processor's time in JOB_GRACE_MS: who has had less is not at work, but waits. */
enum { WORKING_MS = 20, PUNCTUAL_MS = 500 };

void process_disown(void)
{
    enum { LOOKED_AT = 1024 };
    struct pollfd fds[LOOKED_AT];
    struct rlimit limit;
    struct stat status;
    nfds_t i, count = LOOKED_AT;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < count)
        count = (nfds_t)limit.rlim_cur; /* poll(2) takes no more */
    for (i = 0; i < count; i++)
        fds[i] = (struct pollfd){.fd = i > STDERR_FILENO ? (int)i : -1};
    if (poll(fds, count, 0) < 0)
        return;
    for (i = STDERR_FILENO + 1; i < count; i++)
        if (!(fds[i].revents & POLLNVAL) && fstat(fds[i].fd, &status) == 0 &&
            S_ISSOCK(status.st_mode))
            (void)close(fds[i].fd);
}

static int harden(struct err *err)
{
    const struct rlimit none = {0, 0};

    (void)umask(S_IWGRP | S_IWOTH); /* each file and directory is made with its own mode */
    if (setrlimit(RLIMIT_CORE, &none) < 0)
        return err_set_errno(err, ERR_SYSTEM, "RLIMIT_CORE", "cannot forbid core dumps");
    if (prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) < 0)
        return err_set_errno(err, ERR_SYSTEM, "PR_SET_DUMPABLE", "cannot forbid tracing");
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR) /* too long a file is an error like any other */
        return err_set_errno(err, ERR_SYSTEM, "signals", "cannot ignore them");
    return 0;
}

static int open_signals(struct err *err)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
    sigset_t set;
    size_t i;
    int fd;

    (void)sigemptyset(&set);
    for (i = 0; i < sizeof numbers / sizeof *numbers; i++)
        (void)sigaddset(&set, numbers[i]);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_set_errno(err, ERR_SYSTEM, "signals", "cannot block them");
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return err_set_errno(err, ERR_SYSTEM, "signals", "cannot wait for them");
    return fd;
}

int process_begin(struct process *process, const struct config *config, struct err *err)
{
    const struct arena_options options = {.lock_preferred = config->memory_lock_preferred};
    struct arena_stats stats;

    if (harden(err) < 0 || random_check(err) < 0 || arena_open(&options, err) < 0)
        return -1;
    /* Where locking was refused, and the configuration lets that pass, the log says so. */
    arena_stats(&stats);
    if (strcmp(stats.backing, "unlocked") == 0)
        log_event(LOG_LEVEL_WARNING, "memory_unlocked", log_s("backing", stats.backing));
    process->signals = open_signals(err);
    return process->signals < 0 ? -1 : environment_take(&process->environment, err);
}

void process_look(struct process_facts *facts)
{
    struct rlimit core = {0};

    (void)getrlimit(RLIMIT_CORE, &core);
    facts->core = core.rlim_cur > 0;
    facts->dumpable = prctl(PR_GET_DUMPABLE, 0L, 0L, 0L, 0L) != 0;
    facts->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0L, 0L, 0L, 0L) > 0;
    facts->seccomp = prctl(PR_GET_SECCOMP, 0L, 0L, 0L, 0L) > 0;
}

static void on_arena_stack(void *argument)
{
    struct job *job = argument;
    const uint64_t one = 1;

    job->status = job->function(job->argument);
    while (write(job->done, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

int job_open(struct job *job, struct err *err)
{
    job->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return job->done < 0 ? err_set_errno(err, ERR_SYSTEM, "eventfd", "cannot make it") : 0;
}

int job_start(struct job *job, struct err *err)
{
    job->look_at = job->deadline;
    job->late_ms = 0;
    return arena_thread_start(on_arena_stack, job, err);
}

bool job_may_go_on(struct job *job)
{
    const int64_t now = clock_processor(), had = now - job->processor_ms;
    const bool late = job->look_at > job->deadline;
    const int64_t missed = clock_ms() - job->look_at;

    job->processor_ms = now;
    if (missed > PUNCTUAL_MS) {
        job->look_at += missed + JOB_GRACE_MS;
        return true;
    }
    job->late_ms += late ? had : 0;
    if (late && (had < WORKING_MS || job->late_ms >= JOB_GRACE_MS / 2))
        return false;
    job->look_at += JOB_GRACE_MS;
    return true;
}

int job_finish(struct job *job, struct err *err)
{
    uint64_t count;

    while (read(job->done, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    return arena_thread_join(err);
}
