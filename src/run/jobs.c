/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "config/config.h"
#include "metrics/metrics.h"
#include "run/alarm.h"
#include "run/state.h"

enum { HOUR_S = 3600 };

/* Who was asked about a set just before it was installed is not asked again; whether that is all.
 */
static bool spare_rehearsed(struct service *service, int64_t now)
{
    const int64_t lately = service->due.rounds_ms / 2;
    bool all = true;
    size_t i;

    for (i = 0; i < service->config->set_count; i++) {
        const int64_t at = service->seen.sets[i].rehearsed_at;

        service->worker.watch.spared[i] = at > 0 && now - at < lately;
        all = all && service->worker.watch.spared[i];
    }
    return all;
}

static bool start(struct service *service, enum work_kind kind)
{
    service->worker.starting = !service->seen.ready;
    return worker_start(&service->worker, kind);
}

void jobs_start(struct service *service)
{
    const int64_t now = clock_ms();
    const bool idle = service->worker.busy == WORK_NONE;
    struct err err;

    manager_beat(&service->manager, service->seen.ready);
    if (on_change_check(&service->on_change, &err) < 0)
        service_fail(service, &err);
    if (now >= service->publisher.at)
        publish(&service->publisher, service);
    if (service->due.pushed && service->worker.busy != WORK_CYCLE)
        due_push(&service->due, now); /* not before a cycle that is at work has ended */
    if (service->reload.asked && idle && !on_change_busy(&service->on_change))
        service_reload(service);
    if (on_change_start(&service->on_change, &service->seen, idle))
        publish(&service->publisher, service);
    if (!idle || now < service->worker.retry_at)
        return;
    if (!service->seen.begun) { /* before AWS is asked, which may take its time */
        service->seen.begun = start(service, WORK_LOOK);
    } else if (due_cycle(&service->due, now)) {
        if (start(service, WORK_CYCLE))
            service->due.refresh = false;
    } else if (due_round(&service->due, now)) {
        if (spare_rehearsed(service, now))
            due_plan_round(&service->due, now);
        else
            (void)start(service, WORK_PROBE);
    }
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t jobs_next(const struct service *service)
{
    const struct worker *worker = &service->worker;
    const bool idle = worker->busy == WORK_NONE;
    int64_t next = worker->job.look_at;

    if (idle) {
        next = due_next(&service->due);
        if (next < worker->retry_at)
            next = worker->retry_at;
    }
    next = sooner(next, on_change_next(&service->on_change, &service->seen, idle));
    next = sooner(next, manager_next(&service->manager, service->seen.ready));
    return sooner(next, service->publisher.at);
}

/* ---- what comes of it ---- */

static void take_set(struct service *service, size_t i)
{
    struct agent_set *told = &service->worker.agent.sets[i];
    const struct outcome_info *outcome = outcome_info(told->outcome);
    const char *name = config_set_name(service->config, i);
    struct metrics *metrics = service->publisher.metrics;

    seen_take_cycle(&service->seen, i, told);
    metrics_add(metrics, METRIC_FETCHES, METRICS_LABELS(name, outcome->name), 1);
    if (told->region[0])
        metrics_add(metrics, METRIC_ANSWERS, METRICS_LABELS(name, told->region), 1);
    if (told->err.code != ERR_NONE)
        metrics_add(metrics, METRIC_FETCH_ERRORS,
                    METRICS_LABELS(name, err_info(told->err.code)->name), 1);
    if (!outcome->change)
        return;
    metrics_add(metrics, METRIC_INSTALLS, METRICS_LABELS(name, outcome->name), 1);
    told->unwanted = false;
    service->on_change.sets[i].at = 0; /* of another one than before, whom it failed to tell of */
    if (!told->rehearsed || !seen_take_rehearsal(&service->seen, i, &service->worker.watch))
        service->due.round_at = 0; /* what is new is looked at at once */
}

/* When the first wave comes that a version waits for, on clock_ms(); it may have come meanwhile. */
static int64_t wave_at(const struct service *service, int64_t now)
{
    const int64_t wall = clock_wall();
    int64_t at = INT64_MAX;
    size_t i;

    for (i = 0; i < service->config->set_count; i++)
        if (service->seen.sets[i].waits_until > 0)
            at = sooner(at, now + (service->seen.sets[i].waits_until - wall) * 1000);
    return at < service->due.floor_at ? service->due.floor_at : at;
}

static void take_cycle(struct service *service)
{
    const int64_t now = clock_ms();
    bool failed = false;
    size_t i;

    for (i = 0; i < service->config->set_count; i++) {
        take_set(service, i);
        failed = failed || !outcome_info(service->seen.sets[i].outcome)->success;
    }
    metrics_observe(service->publisher.metrics, METRIC_FETCH_DURATION, NULL,
                    now - service->worker.since);
    due_plan_cycle(&service->due, failed, now);
    service->due.cycle_at = sooner(service->due.cycle_at, wave_at(service, now));
    if (!service->reload.unanswered || service->reload.asked) /* a second SIGHUP waits */
        return;
    service->reload.unanswered = false;
    service->due.round_at = 0; /* endpoints that are new are not left to the interval of before */
    service->manager.announce = service->seen.ready;
}

static void take_watched(struct service *service, size_t i)
{
    const struct watch *watch = &service->worker.watch;
    const struct config *config = service->config;
    struct agent_set *told = &service->worker.agent.sets[i];
    const size_t before = service->seen.sets[i].accepted;

    if (watch->spared[i])
        return;
    seen_take_round(&service->seen, i, watch);
    told->unwanted = watch_refused(watch, i) && !watch->rolled_back[i];
    if (told->unwanted && service->seen.sets[i].waits_until > 0)
        service->due.refresh = true; /* it waits no more */
    if (watch->rolled_back[i]) {
        metrics_add(service->publisher.metrics, METRIC_ROLLBACKS,
                    METRICS_LABELS(config_set_name(config, i)), 1);
        service->due.round_at = clock_ms();
    } else if (watch->asked[i] && watch->accepted[i] == 0 && before > 0 &&
               told->refused.times > 0) {
        /* What no enclave accepts any more may be what they wait to see replaced: a version that
         * they refused before gets another chance at once. */
        told->refused.until = 0;
        service->due.refresh = true;
    }
}

static void take_round(struct service *service)
{
    size_t i;

    due_plan_round(&service->due, clock_ms());
    service->due.round_at =
        sooner(service->due.round_at, watch_next(&service->worker.watch, service->config));
    for (i = 0; i < service->config->set_count; i++)
        take_watched(service, i);
}

static void get_ready(struct service *service)
{
    if (service->seen.ready || !seen_valid(&service->seen, service->config->set_count, 0))
        return;
    service->seen.ready = true;
    /* else the end of a reload tells */
    service->manager.announce = !service->reload.asked && !service->reload.unanswered;
    log_event(LOG_LEVEL_INFO, "ready", log_s("dir", service->config->dir));
}

void jobs_finish(struct service *service)
{
    const enum work_kind kind = service->worker.busy;
    struct err err;
    size_t i;

    if (worker_finish(&service->worker, &err) < 0) {
        service_fail(service, &err);
        return;
    }
    for (i = 0; i < service->config->set_count; i++)
        service->seen.sets[i].state = service->worker.states[i];
    /* A first install waits for nobody; what is good, and will be for a while, may be asked about
     * a little later than by all the others. */
    if (kind == WORK_LOOK && seen_valid(&service->seen, service->config->set_count, HOUR_S))
        due_plan_first(&service->due, clock_ms());
    else if (kind == WORK_CYCLE)
        take_cycle(service);
    else if (kind == WORK_PROBE)
        take_round(service);
    get_ready(service);
    alarm_check(service->wall, &service->seen, service->config);
    publish(&service->publisher, service);
    if (service->manager.announce && !service->stop) /* what is told of is there for all to read */
        sd_notify_queue(&service->manager.notify, "READY=1");
    service->manager.announce = false;
}
