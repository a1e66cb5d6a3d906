/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "enclave/history.h"
#include "metrics/metrics.h"
#include "process/confine.h"
#include "run/state.h"

enum { FLOOR_MS = 5000, READ_MS = 3000 };

/* What is known of an endpoint by its text, before the configuration changed. */
static const struct history *find(const struct config *before, const struct history *histories,
                                  const char *text)
{
    size_t i;

    for (i = 0; before && i < before->endpoint_count; i++)
        if (strcmp(before->endpoints[i].text, text) == 0)
            return &histories[i];
    return NULL;
}

static struct history *carry_over(const struct config *before, const struct history *histories,
                                  const struct config *after)
{
    struct history *carried = calloc(after->endpoint_count + 1, sizeof *carried);
    const struct history *known;
    size_t i;

    for (i = 0; carried && i < after->endpoint_count; i++) {
        known = find(before, histories, after->endpoints[i].text);
        if (known)
            carried[i] = *known;
    }
    return carried;
}

static void set_schedule(struct service *service)
{
    const int64_t interval = service->config->interval_ms;

    service->schedule.interval_ms = service->tell_schedule.interval_ms = interval;
    service->schedule.floor_ms = interval / 2 < FLOOR_MS ? interval / 2 : FLOOR_MS;
    service->tell_schedule.floor_ms = service->schedule.floor_ms;
}

/* What is as large as a configuration. */
struct room {
    struct history *histories;
    struct watch watch;
};

static int find_room(struct room *room, const struct service *service, const struct config *before,
                     const struct config *after, struct err *err)
{
    room->histories = carry_over(before, service->histories, after);
    if (!room->histories) {
        (void)err_set(err, ERR_SYSTEM, NULL, "no room to watch the endpoints");
        return -1;
    }
    if (watch_open(&room->watch, after, err) == 0)
        return 0;
    free(room->histories);
    return -1;
}

static void move(struct service *service, const struct room *room)
{
    free(service->histories);
    watch_close(&service->watch);
    service->histories = room->histories;
    service->watch = room->watch;
    service->agent.probes = service->watch.probes;
}

int service_size(struct service *service, struct err *err)
{
    struct room room;

    set_schedule(service);
    if (find_room(&room, service, NULL, service->config, err) < 0)
        return -1;
    move(service, &room);
    publish_zeroes(service);
    return 0;
}

/* A set that stands where it stood is known; another one is not. */
static void forget_others(struct service *service, const struct config *after)
{
    const struct config *before = service->config;
    size_t i;

    for (i = 0; i < CONFIG_SETS_MAX; i++) {
        if (i < before->set_count && i < after->set_count &&
            strcmp(before->sets[i].sub, after->sets[i].sub) == 0)
            continue;
        memset(&service->sets[i], 0, sizeof service->sets[i]);
        memset(&service->agent.sets[i], 0, sizeof service->agent.sets[i]);
    }
}

/* Other endpoints, or another policy: what was said before does not count. */
static void ask_anew(struct service *service)
{
    size_t i;

    for (i = 0; i < CONFIG_SETS_MAX; i++)
        service->sets[i].rehearsed_at = 0;
}

static void use(struct service *service, struct config *config)
{
    ask_anew(service);
    forget_others(service, config);
    config_free(service->reloaded);
    service->reloaded = config;
    service->config = service->agent.config = config;
    set_schedule(service);
    publish_zeroes(service);
    config_log(config);
}

/* Aside, where the file may hang. What was read too late to be used, before, goes here. */
static int read_again(void *user, struct bytes unused)
{
    struct reading *reading = user;

    (void)unused;
    config_free(reading->config);
    reading->config = NULL;
    if (config_reload(reading->before, &reading->config, &reading->err) == 0 &&
        confine_check(reading->config, &reading->err) < 0) {
        config_free(reading->config);
        reading->config = NULL;
    }
    return 0;
}

static struct config *read_file(struct service *service, struct err *err)
{
    struct reading *reading = &service->reading;
    struct config *config;

    if (!aside_is_stuck(&service->files))
        reading->before = service->config;
    if (aside_do(&service->files, read_again, reading, (struct bytes){0}, READ_MS) < 0) {
        (void)err_set(err, ERR_CONFIG, service->config->file, "a file system does not answer");
        return NULL;
    }
    config = reading->config;
    reading->config = NULL;
    if (!config)
        *err = reading->err;
    return config;
}

/* All that can fail comes first: the configuration is used as a whole, or nothing has changed. */
static int reload(struct service *service, struct err *err)
{
    struct config *config = read_file(service, err);
    struct room room;

    if (!config)
        return -1;
    if (find_room(&room, service, service->config, config, err) < 0) {
        config_free(config);
        return -1;
    }
    if (log_open(&config->log, err) < 0) {
        free(room.histories);
        watch_close(&room.watch);
        config_free(config);
        return -1;
    }
    move(service, &room);
    use(service, config);
    return 0;
}

void service_reload(struct service *service)
{
    struct err err;
    bool done = reload(service, &err) == 0;

    if (done)
        log_event(LOG_LEVEL_INFO, "reloaded", log_s("file", service->config->file));
    else
        log_event(LOG_LEVEL_ERROR, "reload_refused", log_s("code", err_info(err.code)->name),
                  log_s("subject", err.subject), log_s("reason", err.reason));
    metrics_add(service->metrics, METRIC_RELOADS, METRICS_LABELS(done ? "done" : "failed"), 1);
    agent_forget(&service->agent);
    service->reload = false;
    service->refresh = true;
    service->reloading = true;
    service->tell_at = 0;
}
