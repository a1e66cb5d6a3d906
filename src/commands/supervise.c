/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/environment.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "commands/commands.h"
#include "config/config.h"

/* How long after the deadline the work may go on before the process ends without it. */
enum { GRACE_MS = 2000, SIGNAL_STATUS = 128 };

struct supervised {
    int (*function)(const struct work *work);
    struct work work;
    struct environment environment;
    int status;
    int done; /* eventfd: written when the work is over */
};

static int report(const struct err *err)
{
    log_error(err);
    return err_info(err->code)->exit_status;
}

static void finished(const struct work *work, int status)
{
    struct arena_stats stats;
    int64_t started = work->deadline - work->config->deadline_ms;

    arena_stats(&stats);
    log_event(LOG_LEVEL_INFO, "finished", log_n("exit_status", status),
              log_n("ms", clock_ms() - started), log_n("locked_bytes", (int64_t)stats.locked),
              log_n("peak_bytes", (int64_t)stats.peak), log_s("backing", stats.backing));
}

/*
 * Ends the process at once, with the work in whatever state: the set on disk is whole at every
 * moment. The arena is left to the kernel, since wiping it under a thread that uses it could end in
 * a crash instead of this status.
 */
_Noreturn static void leave(const struct supervised *supervised, int status)
{
    finished(&supervised->work, status);
    _exit(status);
}

static int harden(struct err *err)
{
    const struct rlimit none = {0, 0};

    (void)umask(S_IRWXG | S_IRWXO); /* modes are set where they are meant to be wider */
    if (setrlimit(RLIMIT_CORE, &none) < 0)
        return err_set_errno(err, ERR_SYSTEM, "RLIMIT_CORE", "cannot forbid core dumps");
    if (prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) < 0)
        return err_set_errno(err, ERR_SYSTEM, "PR_SET_DUMPABLE", "cannot forbid tracing");
    return 0;
}

/*
 * Signals are blocked in every thread and read from a descriptor; a closed pipe is an error of
 * write(2).
 */
static int open_signals(struct err *err)
{
    sigset_t set;
    int fd;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_set_errno(err, ERR_SYSTEM, "signals", "cannot block them");
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, ERR_SYSTEM, "signals", "cannot wait for them");
    return fd;
}

static void on_arena_stack(void *argument)
{
    struct supervised *supervised = argument;
    const uint64_t one = 1;

    supervised->status = supervised->function(&supervised->work);
    while (write(supervised->done, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

static void wait_for(const struct supervised *supervised, int signals)
{
    struct pollfd fds[] = {{supervised->done, POLLIN, 0}, {signals, POLLIN, 0}};
    int64_t end = supervised->work.deadline + GRACE_MS;
    struct signalfd_siginfo info;
    struct err err;
    int ready;

    do
        ready = poll(fds, 2, (int)clock_left(end));
    while (ready < 0 && errno == EINTR);
    if (fds[0].revents)
        return;
    if (fds[1].revents && read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
        log_event(LOG_LEVEL_WARNING, "signal", log_n("signal", info.ssi_signo));
        leave(supervised, SIGNAL_STATUS + (int)info.ssi_signo);
    }
    (void)err_set(&err, ERR_DEADLINE, NULL, "the work did not end in time");
    leave(supervised, report(&err));
}

static int supervise(struct supervised *supervised, struct err *err)
{
    int signals = open_signals(err);

    supervised->work.environment = &supervised->environment;
    supervised->done = eventfd(0, EFD_CLOEXEC);
    if (signals < 0 || environment_take(&supervised->environment, err) < 0)
        return -1;
    if (supervised->done < 0)
        return err_set_errno(err, ERR_SYSTEM, "eventfd", "cannot make it");
    if (arena_thread_start(on_arena_stack, supervised, err) < 0)
        return -1;
    wait_for(supervised, signals);
    return arena_thread_join(err);
}

int command_supervise(const struct config *config, int (*work)(const struct work *work))
{
    struct arena_options options = {.lock_preferred = config->memory_lock_preferred};
    struct supervised supervised = {
        .function = work,
        .work = {.config = config, .deadline = clock_ms() + config->deadline_ms},
    };
    struct err err;

    if (harden(&err) < 0 || arena_open(&options, &err) < 0)
        return report(&err);
    if (supervise(&supervised, &err) < 0)
        supervised.status = report(&err);
    finished(&supervised.work, supervised.status);
    arena_wipe();
    return supervised.status;
}
