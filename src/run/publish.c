/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/config.h"
#include "enclave/history.h"
#include "metrics/metrics.h"
#include "process/confine.h"
#include "run/state.h"
#include "run/status.h"
#include "sandbox/sandbox.h"

enum { STATUS_MODE = 0644, PARTS_PER_UNIT = 1000, EVENT_FIELDS_MAX = 24 };

/* For who reads standard output; and for that, or for a file system, to be done with it. */
enum { PATIENCE_MS = 1000, ASIDE_MS = PATIENCE_MS + 500 };

/* ---- metrics ---- */

static void measure_certificate(const struct service *service, size_t i, const char *certificate,
                                int64_t not_before, int64_t not_after)
{
    const struct metrics_labels labels = {{service_set_name(service, i), certificate}};

    if (not_before)
        metrics_set(service->metrics, METRIC_CERTIFICATE_NOT_BEFORE, &labels, not_before);
    if (not_after)
        metrics_set(service->metrics, METRIC_CERTIFICATE_NOT_AFTER, &labels, not_after);
}

static void measure_set(const struct service *service, size_t i)
{
    const struct service_set *set = &service->sets[i];
    const struct config_set *config = &service->config->sets[i];
    const struct metrics_labels labels = {{service_set_name(service, i)}};
    size_t v;

    if (set->fetched_at)
        metrics_set(service->metrics, METRIC_LAST_FETCH, &labels, set->fetched_at);
    if (set->succeeded_at)
        metrics_set(service->metrics, METRIC_LAST_SUCCESS, &labels, set->succeeded_at);
    measure_certificate(service, i, "leaf", set->survey.not_before, set->survey.not_after);
    measure_certificate(service, i, "ca", 0, set->survey.ca_not_after);
    for (v = 0; v < set->survey.facts.version_count && v < config->secret_count; v++)
        metrics_set(service->metrics, METRIC_SECRET_VERSION,
                    METRICS_LABELS(service_set_name(service, i), config->secrets[v],
                                   set->survey.facts.version_ids[v]),
                    1);
}

/* The next endpoint from i on with this label: those that differ in their paths are one server. */
static size_t same_server(const struct config *config, size_t i, const char *label)
{
    while (i < config->endpoint_count && strcmp(config->endpoints[i].label, label) != 0)
        i++;
    return i;
}

static void measure_endpoint(const struct service *service, size_t i)
{
    static const char *const names[] = {[HISTORY_HOUR] = "1h", [HISTORY_DAY] = "24h"};
    const struct history *history = &service->histories[i];
    const struct config *config = service->config;
    const char *label = config->endpoints[i].label;
    struct history_sum sum;
    int64_t asked, accepted;
    int window;
    size_t e;

    if (history->attestation_asked || config->attest != ATTEST_OFF)
        metrics_set(service->metrics, METRIC_ATTESTED, METRICS_LABELS(label),
                    history->attestation_asked && service_attestation(service, i) == ERR_NONE &&
                        config->attest_pcr_count > 0);
    for (window = 0; window < HISTORY_WINDOWS; window++) {
        asked = accepted = 0;
        for (e = i; e < config->endpoint_count; e = same_server(config, e + 1, label)) {
            history_sum(&service->histories[e], clock_ms(), (enum history_window)window, &sum);
            asked += sum.asked;
            accepted += sum.accepted;
        }
        if (asked > 0)
            metrics_set(service->metrics, METRIC_SUCCESS_RATIO,
                        METRICS_LABELS(label, names[window]), accepted * PARTS_PER_UNIT / asked);
    }
}

static const char *word(bool on)
{
    return on ? "yes" : "no";
}

static void measure_process(const struct service *service)
{
    struct metrics *metrics = service->metrics;
    struct process_facts facts;
    struct sandbox_facts sandbox;
    struct arena_stats stats;

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

void publish_event(void *user, const char *event, const struct log_field *fields)
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
    metrics_event(service->metrics, event, known);
}

/* Alarms need a 0 before the first failure. */
static void measure_zeroes(const struct service *service)
{
    static const char *const told[] = {"done", "failed", "timeout"};
    static const enum outcome fetched[] = {OUTCOME_INSTALLED, OUTCOME_UNCHANGED, OUTCOME_FAILED};
    static const char *const shaken[] = {"accepted", "refused", "untrusted", "unreachable",
                                         "unattested"};
    const struct config *config = service->config;
    size_t i, w;

    for (w = 0; w < sizeof told / sizeof *told; w++)
        metrics_add(service->metrics, METRIC_HOOKS, METRICS_LABELS(told[w]), 0);
    for (w = 0; w < 2; w++)
        metrics_add(service->metrics, METRIC_RELOADS, METRICS_LABELS(told[w]), 0);
    for (i = 0; i < config->set_count; i++) {
        metrics_add(service->metrics, METRIC_ROLLBACKS,
                    METRICS_LABELS(service_set_name(service, i)), 0);
        for (w = 0; w < sizeof fetched / sizeof *fetched; w++)
            metrics_add(
                service->metrics, METRIC_FETCHES,
                METRICS_LABELS(service_set_name(service, i), outcome_info(fetched[w])->name), 0);
    }
    for (i = 0; i < config->endpoint_count; i++)
        for (w = 0; w < sizeof shaken / sizeof *shaken - (config->attest == ATTEST_OFF); w++)
            metrics_add(service->metrics, METRIC_HANDSHAKES,
                        METRICS_LABELS(config->endpoints[i].label, shaken[w], ""), 0);
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
    metrics_retain(service->metrics, "endpoint", names, config->endpoint_count);
    for (i = 0; i < config->set_count; i++)
        names[i] = service_set_name(service, i);
    metrics_retain(service->metrics, "set", names, config->set_count);
    free(names);
}

void publish_begin(const struct service *service)
{
    metrics_use_emf(service->metrics, service->config->metrics_emf);
    forget_others(service);
    measure_zeroes(service);
}

/* Gauges of what is no longer configured, or not known any more, go. */
static void measure(const struct service *service)
{
    static const enum metric gauges[] = {
        METRIC_SECRET_VERSION,
        METRIC_LAST_FETCH,
        METRIC_LAST_SUCCESS,
        METRIC_CERTIFICATE_NOT_BEFORE,
        METRIC_CERTIFICATE_NOT_AFTER,
        METRIC_SUCCESS_RATIO,
        METRIC_ATTESTED,
    };
    size_t i;

    for (i = 0; i < sizeof gauges / sizeof *gauges; i++)
        metrics_forget(service->metrics, gauges[i]);
    for (i = 0; i < service->config->set_count; i++)
        measure_set(service, i);
    for (i = 0; i < service->config->endpoint_count; i++)
        if (same_server(service->config, 0, service->config->endpoints[i].label) == i)
            measure_endpoint(service, i);
    measure_process(service);
}

/* Whether standard output takes PIPE_BUF bytes without a wait for who reads it. */
static bool has_room(int ms)
{
    struct pollfd out = {STDOUT_FILENO, POLLOUT, 0};

    return poll(&out, 1, ms) > 0;
}

/* By lines, in pieces that are written whole, and counts them: what nobody reads now is the rest.
 */
static int print_some(void *user, struct bytes text)
{
    atomic_size_t *read = user;

    while (text.len > 0 && has_room(PATIENCE_MS)) {
        const unsigned char *end = memchr(text.data, '\n', text.len);
        const size_t line = end ? (size_t)(end + 1 - text.data) : text.len;
        const ssize_t n = write(STDOUT_FILENO, text.data, line < PIPE_BUF ? line : PIPE_BUF);

        if (n <= 0)
            return -1;
        atomic_fetch_add(read, (size_t)n);
        text.data += n;
        text.len -= (size_t)n;
    }
    return 0;
}

static int look_for_room(void *user, struct bytes unused)
{
    (void)user;
    (void)unused;
    return has_room(0) ? 0 : -1;
}

static bool print_unread(struct service *service)
{
    struct bytes rest = buf_bytes(&service->unread);
    const size_t read = atomic_load(&service->read);

    rest.data += read;
    rest.len -= read;
    if (rest.len > 0)
        (void)aside_do(&service->output, print_some, &service->read, rest, ASIDE_MS);
    return !aside_is_stuck(&service->output) && atomic_load(&service->read) == service->unread.len;
}

/* Where nobody reads, nothing is counted as told; what was begun is ended before there is more. */
static void print_emf(struct service *service)
{
    if (aside_do(&service->output, look_for_room, NULL, (struct bytes){0}, ASIDE_MS) < 0 ||
        !print_unread(service))
        return;
    buf_free(&service->unread);
    service->unread = (struct buf){.public = true};
    atomic_store(&service->read, 0);
    if (metrics_render_emf(service->metrics, clock_wall() * 1000, &service->unread) == 0)
        (void)print_unread(service);
}

/* ---- files ---- */

static int write_status(struct service *service, struct err *err)
{
    struct buf text = {.public = true};
    int result = -1;

    if (status_render(service, &text) < 0)
        (void)err_set(err, ERR_MEMORY_FULL, service->status_path, "no memory for the status");
    else if (aside_replace(&service->files, service->status_path, buf_bytes(&text), STATUS_MODE,
                           ASIDE_MS) < 0)
        (void)err_set_errno(err, ERR_SYSTEM, service->status_path, "the status cannot be written");
    else
        result = 0;
    buf_free(&text);
    return result;
}

/* What cannot be written is said once, and once more when it can be. */
static void note_failure(struct service *service, const struct err *err)
{
    const char *reason = err ? err->reason : "";

    if (err && strcmp(service->unwritten, reason) != 0)
        log_event(LOG_LEVEL_WARNING, "not_published", log_s("file", err->subject),
                  log_s("reason", reason));
    else if (!err && service->unwritten[0])
        log_event(LOG_LEVEL_INFO, "published", log_s("file", service->status_path));
    (void)snprintf(service->unwritten, sizeof service->unwritten, "%s", reason);
}

static void write_files(struct service *service)
{
    struct err err;
    int result = write_status(service, &err);

    if (result == 0 && service->config->metrics_file)
        result =
            metrics_write(service->metrics, &service->files, service->config->metrics_file, &err);
    note_failure(service, result < 0 ? &err : NULL);
}

/* ---- the service manager, and the log ---- */

static size_t valid_sets(const struct service *service)
{
    size_t i, count = 0;

    for (i = 0; i < service->config->set_count; i++)
        count += service->sets[i].survey.err.code == ERR_NONE && service->sets[i].survey.not_after;
    return count;
}

static size_t accepting_endpoints(const struct service *service)
{
    size_t i, count = 0;

    for (i = 0; i < service->config->endpoint_count; i++)
        count += service->histories[i].last == PROBE_ACCEPTED;
    return count;
}

static void tell_manager(const struct service *service)
{
    const char *outcome = outcome_info(service->sets[0].outcome)->name;
    const int64_t end = service->sets[0].survey.not_after;
    char until[CLOCK_TEXT_MAX];

    clock_format(until, end);
    sd_notify_status(&service->notify,
                     "%zu of %zu sets valid%s%s%s, last fetch: %s, %zu of %zu enclaves accept",
                     valid_sets(service), service->config->set_count, end ? " (until " : "",
                     end ? until : "", end ? ")" : "", outcome ? outcome : "none yet",
                     accepting_endpoints(service), service->config->endpoint_count);
}

/* What others count, since the start. */
static void count_losses(struct service *service)
{
    int call;
    const size_t refused = sandbox_refused(&call), dropped = log_dropped();

    metrics_add(service->metrics, METRIC_LOG_LINES_DROPPED, NULL,
                (int64_t)(dropped - service->dropped));
    service->dropped = dropped;
    metrics_add(service->metrics, METRIC_SANDBOX_REFUSALS, NULL,
                (int64_t)(refused - service->refusals));
    service->refusals = refused;
}

void publish(struct service *service)
{
    measure(service);
    count_losses(service);
    confine_tell();
    write_files(service);
    if (service->config->metrics_emf)
        print_emf(service);
    tell_manager(service);
    service->publish_at = clock_ms() + PUBLISH_MS;
}

static void log_set(const struct service *service, size_t i)
{
    const struct service_set *set = &service->sets[i];
    char until[CLOCK_TEXT_MAX], success[CLOCK_TEXT_MAX];

    clock_format(until, set->survey.not_after);
    clock_format(success, set->succeeded_at);
    log_event(LOG_LEVEL_INFO, "status_set", log_s("set", service_set_name(service, i)),
              log_s("outcome", set->outcome ? outcome_info(set->outcome)->name : "none_yet"),
              log_s("code", set->err.code ? err_info(set->err.code)->name : NULL),
              log_s("problem", set->survey.err.code ? err_info(set->survey.err.code)->name : NULL),
              log_s("fingerprint", set->survey.fingerprint[0] ? set->survey.fingerprint : NULL),
              log_s("not_after", set->survey.not_after ? until : NULL),
              log_s("last_success", set->succeeded_at ? success : NULL));
}

static void log_endpoint(const struct service *service, size_t i)
{
    const struct history *history = &service->histories[i];
    struct history_sum hour, day;

    history_sum(history, clock_ms(), HISTORY_HOUR, &hour);
    history_sum(history, clock_ms(), HISTORY_DAY, &day);
    log_event(LOG_LEVEL_INFO, "status_endpoint",
              log_s("endpoint", service->config->endpoints[i].text),
              log_s("last", probe_verdict_name(history->last)), log_n("accepted_1h", hour.accepted),
              log_n("asked_1h", hour.asked), log_n("mean_ms_1h", hour.mean_ms),
              log_n("accepted_24h", day.accepted), log_n("asked_24h", day.asked),
              log_n("mean_ms_24h", day.mean_ms),
              log_s("failure", history->failed_at ? history->reason : NULL));
}

void publish_log(const struct service *service)
{
    struct arena_stats stats;
    size_t i;

    arena_stats(&stats);
    for (i = 0; i < service->config->set_count; i++)
        log_set(service, i);
    for (i = 0; i < service->config->endpoint_count; i++)
        log_endpoint(service, i);
    log_event(LOG_LEVEL_INFO, "status", log_s("state", service->ready ? "ready" : "starting"),
              log_n("up_s", clock_wall() - service->started_at),
              log_n("locked_bytes", (int64_t)stats.locked),
              log_n("peak_bytes", (int64_t)stats.peak), log_s("backing", stats.backing));
}
