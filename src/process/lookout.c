/* SPDX-License-Identifier: Apache-2.0 */
#include "process/lookout.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/aside.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

/* A longer while between two looks was no time for us: the process was suspended. */
enum { TICK_MS = 500, SUSPENDED_MS = 1000, GRACE_MS = 2000, SIGNAL_STATUS = 128 };

static struct {
    pthread_t thread;
    bool running;
    int signals, end; /* signalfd; eventfd */
    atomic_bool stays;
    atomic_llong limit_ms;
    int (*_Atomic fail)(const struct err *err);
} lookout = {.signals = -1, .end = -1, .fail = log_error};

void lookout_fail_by(int (*fail)(const struct err *err))
{
    atomic_store(&lookout.fail, fail);
}

int lookout_fail(const struct err *err)
{
    return atomic_load(&lookout.fail)(err);
}

_Noreturn static void give_up(void)
{
    struct err err;

    (void)err_set(&err, ERR_DEADLINE, NULL,
                  "the work could not even begin: a file system does not answer");
    _exit(lookout_fail(&err));
}

static void *look(void *unused)
{
    struct pollfd fds[] = {{lookout.end, POLLIN, 0}, {lookout.signals, POLLIN, 0}};
    int64_t before = clock_ms(), had = 0, left = TICK_MS, now;

    for (;;) {
        (void)poll(fds, sizeof fds / sizeof *fds, left < TICK_MS ? (int)left : TICK_MS);
        if (fds[0].revents)
            return unused;
        if (fds[1].revents) {
            struct signalfd_siginfo info;

            /* Nothing is logged: a log that hangs may be what is being waited for. */
            if (read(lookout.signals, &info, sizeof info) == (ssize_t)sizeof info)
                _exit(atomic_load(&lookout.stays) ? 0 : SIGNAL_STATUS + (int)info.ssi_signo);
        }
        now = clock_ms();
        had += now - before < SUSPENDED_MS ? now - before : TICK_MS;
        before = now;
        left = atomic_load(&lookout.limit_ms) - had;
        left += atomic_load(&lookout.fail) == log_error ? GRACE_MS : 0; /* else it is the answer */
        if (left <= 0)
            give_up();
    }
}

static void close_both(void)
{
    if (lookout.signals >= 0)
        close(lookout.signals);
    if (lookout.end >= 0)
        close(lookout.end);
    lookout.signals = lookout.end = -1;
}

/* A descriptor of the signals that end the process, or the one that is there with others. */
static int look_for(int descriptor, bool hangup)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (hangup)
        (void)sigaddset(&set, SIGHUP);
    return signalfd(descriptor, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* SIGUSR1 asks for a line, SIGUSR2 for a look, which comes anyway. */
void lookout_begin(int64_t limit_ms)
{
    static const int held[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
    sigset_t set;
    size_t i;

    lookout_limit(limit_ms);
    (void)sigemptyset(&set);
    for (i = 0; i < sizeof held / sizeof *held; i++)
        (void)sigaddset(&set, held[i]);
    lookout.signals = look_for(-1, false);
    lookout.end = eventfd(0, EFD_CLOEXEC);
    if (lookout.signals >= 0 && lookout.end >= 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0)
        lookout.running = aside_thread(&lookout.thread, look, NULL) == 0;
    if (!lookout.running)
        close_both();
}

void lookout_stays(bool stays)
{
    atomic_store(&lookout.stays, stays);
    if (lookout.running)
        (void)look_for(lookout.signals, !stays);
}

void lookout_limit(int64_t limit_ms)
{
    atomic_store(&lookout.limit_ms, limit_ms);
}

void lookout_end(void)
{
    const uint64_t one = 1;

    if (!lookout.running)
        return;
    lookout.running = false;
    if (write(lookout.end, &one, sizeof one) == (ssize_t)sizeof one)
        (void)pthread_join(lookout.thread, NULL);
    close_both();
}
