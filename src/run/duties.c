/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/random.h"
#include "config/config.h"
#include "enclave/history.h"
#include "metrics/metrics.h"
#include "process/confine.h"
#include "run/state.h"

enum { EXTEND_MS = 10 * 1000, EXTEND_BY_MS = 30 * 1000, RESTART_MS = 1000, HOUR_S = 3600 };

/* ---- on the arena's stack, where files may hang ---- */

/*
 * What became of the directory, or of the file of the lock: what the sandbox allows went with it,
 * and nobody can tell any more that this agent lives. A path that leads to another directory now,
 * one that was made anew or mounted over it, is out of the sandbox's reach as well. NULL: nothing.
 */
static const char *homeless(const struct service *service)
{
    const struct config *config = service->config;
    char path[SERVICE_PATH_MAX + 1024];
    struct stat held, lock, named;

    if (fstat(service->target, &held) < 0 || fstat(service->lock, &lock) < 0)
        return NULL;
    if (held.st_nlink == 0 || lock.st_nlink == 0)
        return "removed";
    (void)snprintf(path, sizeof path, "%s%s", config->root, config->dir);
    if (stat(path, &named) < 0)
        return errno == ENOENT || errno == ENOTDIR ? "removed" : NULL;
    return named.st_dev != held.st_dev || named.st_ino != held.st_ino ? "replaced, or mounted over"
                                                                      : NULL;
}

static void survey_all(struct service *service)
{
    size_t i;

    for (i = 0; i < service->config->set_count; i++) {
        const struct install_target target = service_target(service, i, service->job.deadline);

        survey_target(&target, &service->config->sets[i], &service->surveys[i]);
    }
    service->homeless = homeless(service);
}

static int survey(void *argument)
{
    const struct service *service = argument;

    confine_job(service->config, !service->ready);
    survey_all(argument);
    return 0;
}

static int cycle(void *argument)
{
    struct service *service = argument;
    int status;

    confine_job(service->config, !service->ready);
    log_remember(&service->cycle_log);
    status = agent_cycle(&service->agent, service->job.deadline);
    survey_all(service);
    log_remember(NULL);
    return status;
}

static int probe(void *argument)
{
    struct service *service = argument;

    confine_job(service->config, !service->ready);
    log_remember(&service->probe_log);
    watch_round(&service->watch, &service->agent, service->job.deadline);
    survey_all(service);
    log_remember(NULL);
    return 0;
}

/* ---- on main's ---- */

/* Where there is no thread to be had for a moment, it is tried again. */
static bool start_job(struct service *service, enum duty duty)
{
    static int (*const functions[])(void *) = {
        [DUTY_SURVEY] = survey, [DUTY_CYCLE] = cycle, [DUTY_PROBE] = probe};
    struct err err;

    service->busy = duty;
    service->busy_since = clock_ms();
    service->job.function = functions[duty];
    service->job.argument = service;
    service->job.deadline = service->busy_since + service->config->deadline_ms;
    if (job_start(&service->job, &err) == 0) {
        service->job_at = 0;
        return true;
    }
    if (service->job_at == 0)
        log_error(&err);
    service->job_at = clock_ms() + RESTART_MS;
    service->busy = DUTY_NONE;
    return false;
}

static bool cycle_due(const struct service *service, int64_t now)
{
    return now >= (service->refresh ? service->floor_at : service->cycle_at);
}

/* Between two rounds, whether they are to probe or to attest; 0: there are none. */
static int64_t round_interval(const struct config *config)
{
    const int64_t probe = config->probe_interval_ms;

    if (config->attest == ATTEST_OFF || (probe > 0 && probe <= config->attest_interval_ms))
        return probe;
    return config->attest_interval_ms;
}

static bool probes(const struct service *service)
{
    return round_interval(service->config) > 0 && service->config->endpoint_count > 0;
}

/* A little to and fro, so that hosts that started together do not stay together. */
static void plan_round(struct service *service, int64_t now)
{
    const int64_t interval = round_interval(service->config);
    const uint32_t tenth = (uint32_t)(interval / 10);

    service->probe_at = now + interval - tenth / 2 + random_below(tenth + 1);
}

/* Who was asked about a set just before it was installed is not asked again; whether that is all.
 */
static bool spare_rehearsed(struct service *service, int64_t now)
{
    const int64_t lately = round_interval(service->config) / 2;
    bool all = true;
    size_t i;

    for (i = 0; i < service->config->set_count; i++) {
        const int64_t at = service->sets[i].rehearsed_at;

        service->watch.spared[i] = at > 0 && now - at < lately;
        all = all && service->watch.spared[i];
    }
    return all;
}

static void beat(struct service *service, int64_t now)
{
    int64_t watchdog_ms = sd_notify_watchdog_ms(&service->notify);

    if (watchdog_ms > 0 && now >= service->watchdog_at) {
        sd_notify_send(&service->notify, "WATCHDOG=1");
        service->watchdog_at = now + watchdog_ms;
    }
    if (service->notify.fd >= 0 && !service->ready && now >= service->extend_at) {
        sd_notify_send(&service->notify, "EXTEND_TIMEOUT_USEC=%d000", EXTEND_BY_MS);
        service->extend_at = now + EXTEND_MS;
    }
}

void duties_start(struct service *service)
{
    const int64_t now = clock_ms();

    beat(service, now);
    telling_check(service, now);
    sd_notify_flush(&service->notify);
    if (now >= service->publish_at)
        publish(service);
    if (service->reload && service->busy == DUTY_NONE && service->telling == CONFIG_SETS_MAX)
        service_reload(service);
    telling_start(service, now);
    if (service->busy != DUTY_NONE || now < service->job_at)
        return;
    if (!service->surveyed) { /* before AWS is asked, which may take its time */
        service->surveyed = start_job(service, DUTY_SURVEY);
    } else if (cycle_due(service, now)) {
        if (start_job(service, DUTY_CYCLE))
            service->refresh = false;
    } else if (probes(service) && now >= service->probe_at) {
        if (spare_rehearsed(service, now))
            plan_round(service, now);
        else
            (void)start_job(service, DUTY_PROBE);
    }
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t duties_next(const struct service *service)
{
    int64_t next = INT64_MAX;

    if (service->busy != DUTY_NONE)
        next = service->job.look_at;
    else
        next = service->refresh ? service->floor_at : service->cycle_at;
    if (service->busy == DUTY_NONE && probes(service))
        next = sooner(next, service->probe_at);
    if (service->busy == DUTY_NONE && next < service->job_at)
        next = service->job_at;
    next = sooner(next, telling_next(service));
    if (sd_notify_watchdog_ms(&service->notify) > 0)
        next = sooner(next, service->watchdog_at);
    if (service->notify.fd >= 0 && !service->ready)
        next = sooner(next, service->extend_at);
    return sooner(next, service->publish_at);
}

/* ---- what comes of it ---- */

static int64_t latency(const struct probe *probe)
{
    return probe->tls_ms < 0 ? -1 : (probe->tcp_ms > 0 ? probe->tcp_ms : 0) + probe->tls_ms;
}

static void take_probes(struct service *service, size_t i, int64_t wall)
{
    const struct watch *watch = &service->watch;
    size_t e;

    for (e = 0; e < watch->endpoints; e++) {
        const struct probe *probe = &watch->probes[i * watch->endpoints + e];

        history_add(&service->histories[e],
                    &(const struct history_entry){clock_ms(), wall, probe->verdict, latency(probe),
                                                  probe->reason, &probe->attested});
    }
}

/* What enclaves said to a set before it was installed, if all were asked: as good as a round. */
static bool take_rehearsed(struct service *service, size_t i, int64_t wall)
{
    const struct watch *watch = &service->watch;
    const struct probe *probes = watch->probes + i * watch->endpoints;
    struct service_set *set = &service->sets[i];
    size_t e, accepted = 0;

    for (e = 0; e < watch->endpoints; e++) {
        if (probes[e].verdict == PROBE_UNASKED)
            return false;
        accepted += probes[e].verdict == PROBE_ACCEPTED;
    }
    take_probes(service, i, wall);
    set->asked = true;
    set->accepted = accepted;
    set->rehearsed_at = clock_ms();
    return true;
}

static void take_set(struct service *service, size_t i, int64_t now)
{
    const struct agent_set *told = &service->agent.sets[i];
    struct service_set *set = &service->sets[i];
    const struct outcome_info *outcome = outcome_info(told->outcome);
    const char *name = service_set_name(service, i);

    set->outcome = told->outcome;
    set->err = told->err;
    memcpy(set->left, set->survey.facts.set, sizeof set->left);
    set->fetched_at = now;
    if (outcome->success)
        set->succeeded_at = now;
    metrics_add(service->metrics, METRIC_FETCHES, METRICS_LABELS(name, outcome->name), 1);
    if (told->err.code != ERR_NONE)
        metrics_add(service->metrics, METRIC_FETCH_ERRORS,
                    METRICS_LABELS(name, err_info(told->err.code)->name), 1);
    if (outcome->change) {
        metrics_add(service->metrics, METRIC_INSTALLS, METRICS_LABELS(name, outcome->name), 1);
        set->tell_at = 0; /* of another one than before, whom it failed to tell of */
        if (!told->rehearsed || !take_rehearsed(service, i, now))
            service->probe_at = 0; /* what is new is looked at at once */
    }
}

static void take_cycle(struct service *service)
{
    const int64_t now = clock_ms(), wall = clock_wall();
    bool failed = false;
    uint32_t random;
    size_t i;

    for (i = 0; i < service->config->set_count; i++) {
        take_set(service, i, wall);
        failed = failed || !outcome_info(service->sets[i].outcome)->success;
    }
    metrics_observe(service->metrics, METRIC_FETCH_DURATION, NULL, now - service->busy_since);
    random_bytes(&random, sizeof random);
    service->cycle_at = schedule_next(&service->schedule, failed, now, random);
    service->floor_at = now + service->schedule.floor_ms;
    if (!service->reloading || service->reload) /* another SIGHUP: its file is not read yet */
        return;
    service->reloading = false;
    service->probe_at = 0; /* endpoints that are new are not left to the interval of before */
    service->announce = service->ready;
}

/*
 * What no enclave accepts any more may be what they wait to see replaced: a version that they
 * refused before gets another chance at once.
 */
static void reconsider(struct service *service, size_t i, size_t accepted_before)
{
    struct service_set *set = &service->sets[i];

    if (set->asked && set->accepted == 0 && accepted_before > 0 &&
        service->agent.sets[i].refused.times > 0) {
        service->agent.sets[i].refused.until = 0;
        service->refresh = true;
    }
}

static void take_watched(struct service *service, size_t i, int64_t now, int64_t wall)
{
    const struct watch *watch = &service->watch;
    struct service_set *set = &service->sets[i];
    const size_t before = set->accepted;

    if (watch->spared[i])
        return;
    set->asked = watch->asked[i];
    set->accepted = watch->accepted[i];
    if (set->asked)
        take_probes(service, i, wall);
    if (watch->retreated[i]) {
        set->rehearsed_at = 0;
        set->outcome = OUTCOME_ROLLED_BACK;
        memcpy(set->left, set->survey.facts.set, sizeof set->left);
        metrics_add(service->metrics, METRIC_ROLLBACKS,
                    METRICS_LABELS(service_set_name(service, i)), 1);
        service->probe_at = now;
    } else {
        reconsider(service, i, before);
    }
}

static void take_round(struct service *service)
{
    const int64_t now = clock_ms();
    size_t i;

    plan_round(service, now);
    service->probe_at = sooner(service->probe_at, watch_next(&service->watch, service->config));
    for (i = 0; i < service->config->set_count; i++)
        take_watched(service, i, now, clock_wall());
}

static void get_ready(struct service *service)
{
    size_t i;

    for (i = 0; i < service->config->set_count; i++)
        if (service->sets[i].survey.err.code != ERR_NONE)
            return;
    if (service->ready)
        return;
    service->ready = true;
    service->announce = !service->reload && !service->reloading; /* else the end of that tells */
    log_event(LOG_LEVEL_INFO, "ready", log_s("dir", service->config->dir));
}

/* A first install waits for nobody; what is good, and will be for a while, may be asked about a
 * little later than by all the others. */
static void plan_first(struct service *service)
{
    const int64_t now = clock_wall();
    uint32_t random;
    size_t i;

    for (i = 0; i < service->config->set_count; i++)
        if (service->sets[i].survey.err.code != ERR_NONE ||
            service->sets[i].survey.not_after - now < HOUR_S)
            return;
    random_bytes(&random, sizeof random);
    service->cycle_at = schedule_first(&service->schedule, clock_ms(), random);
}

/* What is told of is there for all to read. */
static void announce(struct service *service)
{
    if (service->announce && !service->stop)
        sd_notify_tell(&service->notify, "READY=1");
    service->announce = false;
}

void duties_finish(struct service *service)
{
    const enum duty duty = service->busy;
    struct err err;
    int result;
    size_t i;

    service->busy = DUTY_NONE;
    result = job_finish(&service->job, &err);
    if (result == 0 && service->homeless)
        result = err_set(&err, ERR_TARGET_INVALID, service->config->dir, "it was %s: start again",
                         service->homeless);
    if (result < 0) {
        service_fail(service, &err);
        return;
    }
    for (i = 0; i < service->config->set_count; i++)
        service->sets[i].survey = service->surveys[i];
    if (duty == DUTY_SURVEY)
        plan_first(service);
    else if (duty == DUTY_CYCLE)
        take_cycle(service);
    else if (duty == DUTY_PROBE)
        take_round(service);
    get_ready(service);
    alarm_check(service);
    publish(service);
    announce(service);
}
