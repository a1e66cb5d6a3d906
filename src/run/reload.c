/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "enclave/history.h"
#include "metrics/metrics.h"
#include "process/confine.h"
#include "run/state.h"

enum { READ_MS = 3000 };

/* What is known of an endpoint by its text, before the configuration changed. */
static const struct history *find_history(const struct config *before,
                                          const struct history *histories, const char *text)
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
        known = find_history(before, histories, after->endpoints[i].text);
        if (!known)
            continue;
        carried[i] = *known;
        carried[i].attested.asked = false; /* by a policy that may be another now */
        carried[i].attested_at = 0;
    }
    return carried;
}

/* What is known of a set. */
struct known {
    struct seen_set seen;
    struct on_change_set on_change;
    struct agent_set agent;
};

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Whether two sets stand in the same place, and are of the same secrets. */
static bool is_same_set(const struct config_set *a, const struct config_set *b)
{
    size_t i;

    if (strcmp(a->sub, b->sub) != 0 || a->secret_count != b->secret_count)
        return false;
    for (i = 0; i < a->secret_count; i++)
        if (strcmp(a->secrets[i], b->secrets[i]) != 0)
            return false;
    return true;
}

/* What another secret, or one of another Region, did is nothing that this one did. */
static void carry_set(struct known *known, const struct service *service,
                      const struct config *after, size_t set)
{
    const struct config *before = service->config;
    size_t i;

    for (i = 0; i < before->set_count; i++)
        if (is_same_set(&before->sets[i], &after->sets[set]) &&
            is_same(before->region, after->region))
            *known = (struct known){service->seen.sets[i], service->on_change.sets[i],
                                    service->worker.agent.sets[i]};
}

/* What is as large as a configuration. */
struct room {
    struct history *histories;
    struct known *known;
    struct watch watch;
};

static int find_room(struct room *room, const struct service *service, const struct config *before,
                     const struct config *after, struct err *err)
{
    size_t i;

    room->histories = carry_over(before, service->seen.histories, after);
    room->known = calloc(after->set_count + 1, sizeof *room->known);
    if (!room->histories || !room->known) {
        (void)err_set(err, ERR_MEMORY_FULL, NULL, "no room to watch the endpoints");
    } else if (watch_open(&room->watch, after, err) == 0) {
        for (i = 0; before && i < after->set_count; i++)
            carry_set(&room->known[i], service, after, i);
        return 0;
    }
    free(room->histories);
    free(room->known);
    return -1;
}

static void move(struct service *service, const struct config *config, const struct room *room)
{
    size_t i;

    for (i = 0; i < config->set_count; i++) {
        service->seen.sets[i] = room->known[i].seen;
        service->seen.sets[i].rehearsed_at = 0; /* other endpoints, or another policy */
        service->on_change.sets[i] = room->known[i].on_change;
        service->worker.agent.sets[i] = room->known[i].agent;
    }
    free(room->known);
    free(service->seen.histories);
    watch_close(&service->worker.watch);
    service->seen.histories = room->histories;
    service->worker.watch = room->watch;
    service->worker.agent.probes = service->worker.watch.probes;
}

static void use(struct service *service, const struct config *config)
{
    service->config = service->worker.agent.config = config;
    due_configure(&service->due, config);
    on_change_configure(&service->on_change, config);
    measure_begin(service);
}

int service_size(struct service *service, struct err *err)
{
    struct room room;

    if (find_room(&room, service, NULL, service->config, err) < 0)
        return -1;
    move(service, service->config, &room);
    use(service, service->config);
    return 0;
}

/* Aside, where the file may hang. What was read too late to be used, before, goes here. */
static int read_again(void *user, struct bytes unused)
{
    struct reload *reload = user;

    (void)unused;
    config_free(reload->config);
    reload->config = NULL;
    if (config_reload(reload->before, &reload->config, &reload->err) == 0 &&
        confine_check(reload->config, reload->before, &reload->err) < 0) {
        config_free(reload->config);
        reload->config = NULL;
    }
    return 0;
}

static struct config *read_file(struct service *service, struct err *err)
{
    struct reload *reload = &service->reload;
    struct config *config;

    if (!aside_is_stuck(&reload->reader))
        reload->before = service->config;
    /* A note that hangs points into the configuration in use. */
    if (aside_is_stuck(&service->on_change.notes) ||
        aside_do(&reload->reader, read_again, reload, (struct bytes){0}, READ_MS) < 0) {
        (void)err_set(err, ERR_CONFIG, service->config->file, "a file system does not answer");
        return NULL;
    }
    config = reload->config;
    reload->config = NULL;
    if (!config)
        *err = reload->err;
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
        free(room.known);
        watch_close(&room.watch);
        config_free(config);
        return -1;
    }
    move(service, config, &room);
    use(service, config);
    config_free(service->reload.in_use);
    service->reload.in_use = config;
    config_log(config);
    return 0;
}

void service_reload(struct service *service)
{
    struct err err;
    size_t i;
    bool done = reload(service, &err) == 0;

    if (done)
        log_event(LOG_LEVEL_INFO, "reloaded", log_s("file", service->config->file));
    else
        log_event(LOG_LEVEL_ERROR, "reload_refused", log_s("code", err_info(err.code)->name),
                  log_s("subject", err.subject), log_s("reason", err.reason));
    metrics_add(service->publisher.metrics, METRIC_RELOADS,
                METRICS_LABELS(done ? "done" : "failed"), 1);
    agent_forget(&service->worker.agent);
    watch_forget(&service->worker.watch);
    service->reload.asked = false;
    service->reload.unanswered = true;
    service->due.refresh = true;
    for (i = 0; i < service->config->set_count; i++)
        service->on_change.sets[i].at = 0;
}
