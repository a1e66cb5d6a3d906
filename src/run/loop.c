/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/target.h"
#include "base/arena.h"
#include "base/clock.h"
#include "config/config.h"
#include "install/install_run_lock.h"
#include "metrics/metrics.h"
#include "process/confine.h"
#include "run/alarm.h"
#include "run/change_hook.h"
#include "run/service.h"
#include "run/state.h"

enum { STOP_MS = 900 }; /* for a write in hand, and for who is being told */

/* ---- signals ---- */

/* As PID 1 the agent inherits whatever its container leaves behind. */
static void reap(void)
{
    pid_t pid;

    do
        pid = waitpid(-1, NULL, WNOHANG);
    while (pid > 0 || (pid < 0 && errno == EINTR));
}

static void take_signals(struct service *service)
{
    struct signalfd_siginfo info;

    while (read(service->process.signals, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGCHLD: reap(); break;
        case SIGHUP:
            service->reload.asked = true;
            sd_notify_reloading(&service->manager.notify);
            break;
        case SIGUSR1: publish_log(service); break;
        case SIGUSR2: service->due.pushed = true; break;
        default:
            log_event(LOG_LEVEL_INFO, "signal", log_n("signal", info.ssi_signo));
            service->stop = true;
        }
    }
}

void service_fail(struct service *service, const struct err *err)
{
    service->stop = true;
    service->status = log_error(err);
}

/* ---- the loop ---- */

static void take_answer(struct service *service)
{
    struct err err;
    const int taken = on_change_take(&service->on_change, &err);

    if (taken < 0)
        service_fail(service, &err);
    else if (taken > 0)
        publish(&service->publisher, service);
}

/* What wakes main: signals, clocks, the end of a job, news of the hook. */
static void wait_for_news(struct service *service)
{
    struct pollfd fds[] = {
        {service->process.signals, POLLIN, 0},
        {service->worker.job.done, POLLIN, 0},
        {service->on_change.hook.fd, POLLIN, 0},
        {service->wall, POLLIN, 0},
        {service->timer, POLLIN, 0},
        {sd_notify_waits(&service->manager.notify) ? service->manager.notify.fd : -1, POLLOUT, 0},
    };
    uint64_t count;

    if (poll(fds, sizeof fds / sizeof *fds, -1) < 0)
        return;
    metrics_add(service->publisher.metrics, METRIC_WAKEUPS, NULL, 1);
    if (fds[4].revents)
        (void)!read(service->timer, &count, sizeof count);
    if (fds[0].revents)
        take_signals(service);
    if (fds[1].revents)
        jobs_finish(service);
    if (fds[2].revents)
        take_answer(service);
    if (fds[3].revents) {
        if (alarm_rang(service->wall)) {
            metrics_add(service->publisher.metrics, METRIC_CLOCK_JUMPS, NULL, 1);
            service->due.refresh = true; /* what was not valid may be, and the other way round */
        }
        alarm_check(service->wall, &service->seen, service->config);
    }
}

/* A job that does not end takes the process with it: its supervisor starts another one. */
static void check_job(struct service *service)
{
    struct err err;

    if (service->worker.busy == WORK_NONE || clock_left(service->worker.job.look_at) > 0 ||
        job_may_go_on(&service->worker.job))
        return;
    (void)err_set(&err, ERR_DEADLINE, NULL, "the work did not end in time");
    service_fail(service, &err);
}

/* Waits a moment for what must not be cut off: an installation, and who is being told of one. */
static void wind_up(struct service *service)
{
    const int64_t end = clock_ms() + STOP_MS;

    while (service->status == 0 && clock_left(end) > 0 &&
           (atomic_load(&service->worker.agent.writing) || on_change_busy(&service->on_change))) {
        struct pollfd fds[] = {{service->worker.job.done, POLLIN, 0},
                               {service->on_change.hook.fd, POLLIN, 0}};

        (void)poll(fds, 2, 20);
        if (fds[0].revents)
            jobs_finish(service);
        if (fds[1].revents)
            take_answer(service);
    }
}

static void run(struct service *service)
{
    while (!service->stop) {
        jobs_start(service);
        if (service->stop)
            break;
        alarm_set(service->timer, jobs_next(service), 0);
        wait_for_news(service);
        check_job(service);
    }
    sd_notify_queue(&service->manager.notify, "STOPPING=1");
    if (service->status == 0)
        wind_up(service);
    publish(&service->publisher, service);
}

/* ---- begin and end ---- */

static int open_clocks(struct service *service, struct err *err)
{
    service->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    service->wall = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (service->timer < 0 || service->wall < 0)
        return err_set_errno(err, ERR_SYSTEM, "timerfd", "cannot make it");
    return 0;
}

/* Before there is a thread or a secret: who is to be told, and the service manager. */
static int open_others(struct service *service, struct err *err)
{
    sd_notify_open(&service->manager.notify);
    service->publisher.metrics = service->on_change.metrics = metrics_new();
    if (!service->publisher.metrics)
        return err_set(err, ERR_MEMORY_FULL, NULL, "no memory for the metrics");
    return change_hook_open(&service->on_change.hook, service->config, err);
}

static int begin_service(struct service *service, unsigned needs, struct err *err)
{
    const struct install_target target =
        agent_target(service->config, "", clock_ms() + service->config->deadline_ms);

    if (open_others(service, err) < 0 ||
        process_begin(&service->process, service->config, err) < 0 ||
        job_open(&service->worker.job, err) < 0 || open_clocks(service, err) < 0 ||
        service_size(service, err) < 0)
        return -1;
    service->worker.agent.environment = &service->process.environment;
    status_path(service->config, service->publisher.path);
    log_observe(measure_event, service);
    if (install_run_lock(&target, &service->worker.lock, &service->worker.target, err) < 0)
        return -1;
    status_tidy(service->config);
    confine(service->config, &(const struct confine_options){needs, service->on_change.hook.pid,
                                                             service->manager.notify.fd});
    aside_start(&service->publisher.output);
    aside_start(&service->publisher.files);
    aside_start(&service->on_change.notes);
    aside_start(&service->reload.reader);
    return 0;
}

/* The runner goes first, and with it what it is still waiting for. Where a job still runs, the
 * arena is left to the kernel: wiping it under that thread could end in a crash instead. */
static void end(struct service *service)
{
    if (service->on_change.hook.pid > 0)
        hook_close(&service->on_change.hook);
    if (service->worker.busy == WORK_NONE)
        arena_wipe();
}

int service_run(const struct config *config, unsigned needs)
{
    struct service *service = calloc(1, sizeof *service);
    struct err err;

    if (!service) {
        (void)err_set(&err, ERR_MEMORY_FULL, "memory", "no room to work in");
        return log_error(&err);
    }
    service->config = service->worker.agent.config = config;
    service->worker.agent.stays = true;
    service->started_at = clock_wall();
    service->publisher.at = clock_ms() + PUBLISH_MS;
    service->publisher.output = service->publisher.files = (struct aside)ASIDE;
    service->reload.reader = (struct aside)ASIDE;
    on_change_open(&service->on_change);
    if (begin_service(service, needs, &err) < 0) {
        service_fail(service, &err);
    } else {
        struct arena_stats stats;

        arena_stats(&stats);
        log_event(LOG_LEVEL_INFO, "started", log_s("version", MTLS_AGENT_VERSION),
                  log_n("interval_ms", service->config->interval_ms),
                  log_n("probe_interval_ms", service->config->probe_interval_ms),
                  log_n("endpoints", (int64_t)service->config->endpoint_count),
                  log_s("on_change", service->on_change.hook.pid > 0 ? "told" : "nobody"),
                  log_s("status_file", service->publisher.path), log_s("backing", stats.backing));
        run(service);
    }
    log_event(LOG_LEVEL_INFO, "stopped", log_n("exit_status", service->status));
    end(service);
    _exit(service->status); /* not by way of main, which frees what a job may still use */
}
