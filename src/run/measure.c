/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "config/config.h"
#include "enclave/history.h"
#include "metrics/metrics.h"
#include "run/state.h"
#include "sandbox/sandbox.h"

enum { PARTS_PER_UNIT = 1000, EVENT_FIELDS_MAX = 24 };

static void measure_certificate(const struct service *service, size_t i, const char *certificate,
                                int64_t not_before, int64_t not_after)
{
    const struct metrics_labels labels = {{config_set_name(service->config, i), certificate}};

    if (not_before)
        metrics_set(service->publisher.metrics, METRIC_CERTIFICATE_NOT_BEFORE, &labels, not_before);
    if (not_after)
        metrics_set(service->publisher.metrics, METRIC_CERTIFICATE_NOT_AFTER, &labels, not_after);
}

static void measure_set(const struct service *service, size_t i)
{
    const struct seen_set *set = &service->seen.sets[i];
    const struct config_set *config = &service->config->sets[i];
    const struct metrics_labels labels = {{config_set_name(service->config, i)}};
    size_t v;

    if (set->fetched_at)
        metrics_set(service->publisher.metrics, METRIC_LAST_FETCH, &labels, set->fetched_at);
    if (set->succeeded_at)
        metrics_set(service->publisher.metrics, METRIC_LAST_SUCCESS, &labels, set->succeeded_at);
    if (set->waits_until)
        metrics_set(service->publisher.metrics, METRIC_WAVE_UNTIL, &labels, set->waits_until);
    measure_certificate(service, i, "leaf", set->state.not_before, set->state.not_after);
    measure_certificate(service, i, "ca", 0, set->state.ca_not_after);
    for (v = 0; v < set->state.facts.version_count && v < config->secret_count; v++)
        metrics_set(service->publisher.metrics, METRIC_SECRET_VERSION,
                    METRICS_LABELS(config_set_name(service->config, i), config->secrets[v],
                                   set->state.facts.version_ids[v]),
                    1);
}

/* The next endpoint from i on with this label: those that differ in their paths are one server. */
static size_t same_server(const struct config *config, size_t i, const char *label)
{
    while (i < config->endpoint_count && strcmp(config->endpoints[i].label, label) != 0)
        i++;
    return i;
}

/* By all of its paths; the root of what is not proved is no root to believe. */
static void measure_attested(const struct service *service, size_t i)
{
    const struct config *config = service->config;
    const char *label = config->endpoints[i].label, *root = "";
    bool attested = config->attest_pcr_count > 0;
    size_t e;

    for (e = i; e < config->endpoint_count; e = same_server(config, e + 1, label)) {
        const struct probe_attested *said = &service->seen.histories[e].attested;

        attested &= said->asked && seen_attestation(&service->seen, config, e) == ERR_NONE;
        if (said->other_root[0])
            root = said->other_root;
    }
    metrics_set(service->publisher.metrics, METRIC_ATTESTED,
                METRICS_LABELS(label, attested ? root : ""), attested);
}

static void measure_endpoint(const struct service *service, size_t i)
{
    static const char *const names[] = {[HISTORY_HOUR] = "1h", [HISTORY_DAY] = "24h"};
    const struct config *config = service->config;
    const char *label = config->endpoints[i].label;
    struct history_sum sum;
    int64_t asked, accepted;
    int window;
    size_t e;

    if (config->attest != ATTEST_OFF)
        measure_attested(service, i);
    for (window = 0; window < HISTORY_WINDOWS; window++) {
        asked = accepted = 0;
        for (e = i; e < config->endpoint_count; e = same_server(config, e + 1, label)) {
            history_sum(&service->seen.histories[e], clock_ms(), (enum history_window)window, &sum);
            asked += sum.asked;
            accepted += sum.accepted;
        }
        if (asked > 0)
            metrics_set(service->publisher.metrics, METRIC_SUCCESS_RATIO,
                        METRICS_LABELS(label, names[window]), accepted * PARTS_PER_UNIT / asked);
    }
}

static const char *word(bool on)
{
    return on ? "yes" : "no";
}

void measure_event(void *user, const char *event, const struct log_field *fields)
{
    const struct service *service = user;
    struct log_field known[EVENT_FIELDS_MAX + 1] = {{0}};
    size_t i, e;

    for (i = 0; i < EVENT_FIELDS_MAX && fields[i].key; i++) {
        known[i] = fields[i];
        if (!fields[i].text || strcmp(fields[i].key, "endpoint") != 0)
            continue;
        for (e = 0; e < service->config->endpoint_count; e++)
            if (strcmp(service->config->endpoints[e].text, fields[i].text) == 0)
                known[i].text = service->config->endpoints[e].label;
    }
    metrics_event(service->publisher.metrics, event, known);
}

static void forget_others(const struct service *service)
{
    const struct config *config = service->config;
    const char **names = calloc(config->endpoint_count + config->set_count + 1, sizeof *names);
    size_t i;

    if (!names)
        return; /* until the next time */
    for (i = 0; i < config->endpoint_count; i++)
        names[i] = config->endpoints[i].label;
    metrics_retain(service->publisher.metrics, "endpoint", names, config->endpoint_count);
    for (i = 0; i < config->set_count; i++)
        names[i] = config_set_name(service->config, i);
    metrics_retain(service->publisher.metrics, "set", names, config->set_count);
    free(names);
}

void measure_begin(const struct service *service)
{
    static const char *const told[] = {"done", "failed", "timeout"};
    static const enum outcome fetched[] = {OUTCOME_INSTALLED, OUTCOME_UNCHANGED, OUTCOME_FAILED};
    static const char *const shaken[] = {"accepted", "refused", "untrusted", "unreachable",
                                         "unattested"};
    const struct config *config = service->config;
    struct metrics *metrics = service->publisher.metrics;
    size_t i, w;

    metrics_use_emf(metrics, config->metrics_emf);
    forget_others(service);
    /* Alarms need a 0 before the first failure. */
    for (w = 0; w < sizeof told / sizeof *told; w++)
        metrics_add(metrics, METRIC_HOOKS, METRICS_LABELS(told[w]), 0);
    for (w = 0; w < 2; w++)
        metrics_add(metrics, METRIC_RELOADS, METRICS_LABELS(told[w]), 0);
    for (i = 0; i < config->set_count; i++) {
        metrics_add(metrics, METRIC_ROLLBACKS, METRICS_LABELS(config_set_name(config, i)), 0);
        for (w = 0; w < sizeof fetched / sizeof *fetched; w++)
            metrics_add(metrics, METRIC_FETCHES,
                        METRICS_LABELS(config_set_name(config, i), outcome_info(fetched[w])->name),
                        0);
    }
    for (i = 0; i < config->endpoint_count; i++)
        for (w = 0; w < sizeof shaken / sizeof *shaken - (config->attest == ATTEST_OFF); w++)
            metrics_add(metrics, METRIC_HANDSHAKES,
                        METRICS_LABELS(config->endpoints[i].label, shaken[w], ""), 0);
}

/* Gauges of what is no longer configured, or not known any more, go. */
void measure(const struct service *service)
{
    static const enum metric gauges[] = {
        METRIC_SECRET_VERSION,         METRIC_LAST_FETCH,
        METRIC_LAST_SUCCESS,           METRIC_WAVE_UNTIL,
        METRIC_CERTIFICATE_NOT_BEFORE, METRIC_CERTIFICATE_NOT_AFTER,
        METRIC_SUCCESS_RATIO,          METRIC_ATTESTED,
    };
    struct metrics *metrics = service->publisher.metrics;
    struct process_facts facts;
    struct sandbox_facts sandbox;
    struct arena_stats stats;
    size_t i;

    for (i = 0; i < sizeof gauges / sizeof *gauges; i++)
        metrics_forget(metrics, gauges[i]);
    for (i = 0; i < service->config->set_count; i++)
        measure_set(service, i);
    for (i = 0; i < service->config->endpoint_count; i++)
        if (same_server(service->config, 0, service->config->endpoints[i].label) == i)
            measure_endpoint(service, i);
    arena_stats(&stats);
    process_look(&facts);
    sandbox_look(&sandbox);
    metrics_set(metrics, METRIC_BUILD_INFO, METRICS_LABELS(MTLS_AGENT_VERSION), 1);
    metrics_set(metrics, METRIC_START_TIME, NULL, service->started_at);
    metrics_set(metrics, METRIC_FETCH_INTERVAL, NULL, service->config->interval_ms / 1000);
    metrics_set(metrics, METRIC_MEMORY_LOCKED, NULL, (int64_t)stats.locked);
    metrics_set(metrics, METRIC_MEMORY_PEAK, NULL, (int64_t)stats.peak);
    metrics_set(metrics, METRIC_MEMORY_LOCK, METRICS_LABELS(stats.backing), 1);
    metrics_set(metrics, METRIC_SANDBOX,
                METRICS_LABELS(word(facts.core), word(facts.dumpable), word(facts.no_new_privs),
                               word(facts.seccomp), word(sandbox.landlock > 0)),
                1);
}
