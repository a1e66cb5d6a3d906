/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/target.h"
#include "base/arena.h"
#include "base/clock.h"
#include "config/config.h"
#include "enclave/history.h"
#include "install/install_hold.h"
#include "metrics/metrics.h"
#include "process/confine.h"
#include "run/service.h"
#include "run/state.h"
#include "run/status.h"
#include "run/tell.h"

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
            service->reload = true;
            sd_notify_reloading(&service->notify);
            break;
        case SIGUSR1: publish_log(service); break;
        case SIGUSR2: service->pushed = true; break;
        default:
            log_event(LOG_LEVEL_INFO, "signal", log_n("signal", info.ssi_signo));
            service->stop = true;
        }
    }
}

struct install_target service_target(const struct service *service, size_t set, int64_t deadline)
{
    return agent_target(service->config, service->config->sets[set].sub, deadline);
}

enum err_code service_attestation(const struct service *service, size_t endpoint)
{
    return history_attestation(&service->histories[endpoint], clock_wall(),
                               2 * service->config->attest_interval_ms / 1000 + 60);
}

const char *service_set_name(const struct service *service, size_t set)
{
    const char *sub = service->config->sets[set].sub;

    return *sub ? sub : service->config->dir;
}

void service_fail(struct service *service, const struct err *err)
{
    service->stop = true;
    service->status = log_error(err);
}

/* ---- the loop ---- */

/* What wakes main: signals, clocks, the end of a job, news of the hook. */
static void wait_for_news(struct service *service)
{
    struct pollfd fds[] = {
        {service->process.signals, POLLIN, 0},
        {service->job.done, POLLIN, 0},
        {service->hook.fd, POLLIN, 0},
        {service->wall, POLLIN, 0},
        {service->timer, POLLIN, 0},
        {sd_notify_waits(&service->notify) ? service->notify.fd : -1, POLLOUT, 0},
    };
    uint64_t count;

    if (poll(fds, sizeof fds / sizeof *fds, -1) < 0)
        return;
    metrics_add(service->metrics, METRIC_WAKEUPS, NULL, 1);
    if (fds[4].revents)
        (void)!read(service->timer, &count, sizeof count);
    if (fds[0].revents)
        take_signals(service);
    if (fds[1].revents)
        duties_finish(service);
    if (fds[2].revents)
        telling_take(service);
    if (fds[3].revents)
        alarm_take(service);
}

/* A job that does not end takes the process with it: its supervisor starts another one. */
static void check_job(struct service *service)
{
    struct err err;

    if (service->busy == DUTY_NONE || clock_left(service->job.look_at) > 0 ||
        job_may_go_on(&service->job))
        return;
    (void)err_set(&err, ERR_DEADLINE, NULL, "the work did not end in time");
    service_fail(service, &err);
}

/* Waits a moment for what must not be cut off: an installation, and who is being told of one. */
static void wind_up(struct service *service)
{
    const int64_t end = clock_ms() + STOP_MS;

    while (clock_left(end) > 0 && (atomic_load(&service->agent.writing) ||
                                   (service->hook.pid > 0 && service->telling < CONFIG_SETS_MAX))) {
        struct pollfd fds[] = {{service->job.done, POLLIN, 0}, {service->hook.fd, POLLIN, 0}};

        (void)poll(fds, 2, 20);
        if (fds[0].revents)
            duties_finish(service);
        if (fds[1].revents)
            telling_take(service);
    }
}

static void run(struct service *service)
{
    while (!service->stop) {
        duties_start(service);
        if (service->stop)
            break;
        alarm_set(service->timer, duties_next(service), 0);
        wait_for_news(service);
        check_job(service);
    }
    sd_notify_tell(&service->notify, "STOPPING=1");
    if (service->status == 0)
        wind_up(service);
    publish(service);
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
    sd_notify_open(&service->notify);
    service->metrics = metrics_new();
    if (!service->metrics)
        return err_set(err, ERR_MEMORY_FULL, NULL, "no memory for the metrics");
    return tell_open(&service->hook, service->config, err);
}

static int begin(struct service *service, unsigned needs, struct err *err)
{
    const struct install_target target =
        agent_target(service->config, "", clock_ms() + service->config->deadline_ms);

    if (open_others(service, err) < 0 ||
        process_begin(&service->process, service->config, err) < 0 ||
        job_open(&service->job, err) < 0 || open_clocks(service, err) < 0 ||
        service_size(service, err) < 0)
        return -1;
    service->agent.environment = &service->process.environment;
    status_path(service->config, service->status_path);
    log_observe(publish_event, service);
    if (install_hold(&target, &service->lock, &service->target, err) < 0)
        return -1;
    status_tidy(service->config);
    confine(service->config,
            &(const struct confine_options){needs, service->hook.pid, service->notify.fd});
    aside_start(&service->output);
    aside_start(&service->files);
    aside_start(&service->notes);
    aside_start(&service->reader);
    return 0;
}

/* The runner goes first, and with it what it is still waiting for. Where a job still runs, the
 * arena is left to the kernel: wiping it under that thread could end in a crash instead. */
static void end(struct service *service)
{
    if (service->hook.pid > 0)
        hook_close(&service->hook);
    if (service->busy == DUTY_NONE)
        arena_wipe();
}

static void say_hello(const struct service *service)
{
    struct arena_stats stats;

    arena_stats(&stats);
    log_event(LOG_LEVEL_INFO, "started", log_s("version", MTLS_AGENT_VERSION),
              log_n("interval_ms", service->config->interval_ms),
              log_n("probe_interval_ms", service->config->probe_interval_ms),
              log_n("endpoints", (int64_t)service->config->endpoint_count),
              log_s("on_change", service->hook.pid > 0 ? "told" : "nobody"),
              log_s("status_file", service->status_path), log_s("backing", stats.backing));
}

int service_run(const struct config *config, unsigned needs)
{
    struct service *service = calloc(1, sizeof *service);
    struct err err;

    if (!service) {
        (void)err_set(&err, ERR_MEMORY_FULL, "memory", "no room to work in");
        return log_error(&err);
    }
    service->config = service->agent.config = config;
    service->agent.stays = true;
    service->started_at = clock_wall();
    service->publish_at = clock_ms() + PUBLISH_MS;
    service->telling = CONFIG_SETS_MAX;
    service->telling_claim = -1;
    service->hook.fd = -1;
    service->output = service->files = service->notes = service->reader = (struct aside)ASIDE;
    if (begin(service, needs, &err) < 0) {
        service_fail(service, &err);
    } else {
        say_hello(service);
        run(service);
    }
    log_event(LOG_LEVEL_INFO, "stopped", log_n("exit_status", service->status));
    end(service);
    _exit(service->status); /* not by way of main, which frees what a job may still use */
}
