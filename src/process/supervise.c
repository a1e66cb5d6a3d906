/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "config/config.h"
#include "hook/hook.h"
#include "process/confine.h"
#include "process/lookout.h"
#include "process/process.h"
#include "process/supervise.h"

enum { SIGNAL_STATUS = 128 };

struct supervised {
    int (*function)(const struct work *work);
    struct work work;
    struct process process;
    struct job job;
    unsigned needs;
};

static void finished(const struct work *work, int status)
{
    struct arena_stats stats;
    int64_t started = work->deadline - work->config->deadline_ms;

    confine_log_refusals();
    arena_stats(&stats);
    log_event(LOG_LEVEL_INFO, "finished", log_n("exit_status", status),
              log_n("ms", clock_ms() - started), log_n("locked_bytes", (int64_t)stats.locked),
              log_n("peak_bytes", (int64_t)stats.peak), log_s("backing", stats.backing));
}

/*
 * Ends the process at once, with the work in whatever state. The arena is left to the kernel, since
 * wiping it under a thread that uses it could end in a crash instead of this status.
 */
_Noreturn static void leave(const struct supervised *supervised, int status)
{
    finished(&supervised->work, status);
    _exit(status);
}

static int run(void *argument)
{
    const struct supervised *supervised = argument;

    if (supervised->needs & NEED_NETWORK)
        confine_job(supervised->work.config, !confine_standing());
    return supervised->function(&supervised->work);
}

/* Ends the process for a signal that asks for it; as PID 1 it may have inherited children. */
static void take_signal(const struct supervised *supervised)
{
    struct signalfd_siginfo info;

    while (read(supervised->process.signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGUSR1 || info.ssi_signo == SIGUSR2)
            continue;
        if (info.ssi_signo == SIGCHLD) {
            while (waitpid(-1, NULL, WNOHANG) > 0)
                continue;
            continue;
        }
        log_event(LOG_LEVEL_WARNING, "signal", log_n("signal", info.ssi_signo));
        leave(supervised, SIGNAL_STATUS + (int)info.ssi_signo);
    }
}

static void wait_for(struct supervised *supervised)
{
    struct pollfd fds[] = {{supervised->job.done, POLLIN, 0},
                           {supervised->process.signals, POLLIN, 0}};
    struct err err;
    int ready;

    do {
        ready = poll(fds, 2, (int)clock_left(supervised->job.look_at));
        if (ready < 0 && errno != EINTR)
            break;
        if (ready > 0 && fds[0].revents)
            return;
        if (ready > 0)
            take_signal(supervised);
    } while (ready != 0 || job_may_go_on(&supervised->job));
    (void)err_set(&err, ERR_DEADLINE, NULL, "the work did not end in time");
    leave(supervised, lookout_fail(&err));
}

static int supervised_run(struct supervised *supervised, struct err *err)
{
    const struct config *config = supervised->work.config;
    struct job *job = &supervised->job;

    if (process_begin(&supervised->process, config, err) < 0 || job_open(job, err) < 0)
        return -1;
    confine(config,
            &(const struct confine_options){
                supervised->needs, supervised->work.hook ? supervised->work.hook->pid : 0, -1});
    if (job_start(job, err) < 0)
        return -1;
    wait_for(supervised);
    return job_finish(job, err);
}

int supervise(const struct config *config, unsigned needs, int (*work)(const struct work *work),
              struct hook *hook)
{
    struct supervised supervised = {
        .needs = needs,
        .function = work,
        .work = {.config = config, .hook = hook, .deadline = clock_ms() + config->deadline_ms},
    };
    struct err err;

    supervised.work.environment = &supervised.process.environment;
    supervised.job = (struct job){
        .function = run, .argument = &supervised, .deadline = supervised.work.deadline, .done = -1};
    if (supervised_run(&supervised, &err) < 0)
        supervised.job.status = lookout_fail(&err);
    finished(&supervised.work, supervised.job.status);
    arena_wipe();
    return supervised.job.status;
}
