/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/config.h"
#include "enclave/history.h"
#include "metrics/metrics.h"
#include "process/confine.h"
#include "run/state.h"
#include "sandbox/sandbox.h"

enum { STATUS_MODE = 0644 };

/* How long standard output's reader is waited for; how long for that, or for a file system. */
enum { PATIENCE_MS = 1000, ASIDE_MS = PATIENCE_MS + 500 };

/* Whether standard output takes PIPE_BUF bytes without a wait for who reads it. */
static bool has_room(int ms)
{
    struct pollfd out = {STDOUT_FILENO, POLLOUT, 0};

    return poll(&out, 1, ms) > 0;
}

/* Writes lines, each in pieces that a pipe takes whole, and counts the bytes. What nobody reads
 * now is left for the next time. */
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

static bool print_unread(struct publisher *publisher)
{
    struct bytes rest = buf_bytes(&publisher->unread);
    const size_t read = atomic_load(&publisher->read);

    rest.data += read;
    rest.len -= read;
    if (rest.len > 0)
        (void)aside_do(&publisher->output, print_some, &publisher->read, rest, ASIDE_MS);
    return !aside_is_stuck(&publisher->output) &&
           atomic_load(&publisher->read) == publisher->unread.len;
}

/* Where nobody reads, the counters keep what they have; a line that was begun is ended first. */
static void print_emf(struct publisher *publisher)
{
    if (aside_do(&publisher->output, look_for_room, NULL, (struct bytes){0}, ASIDE_MS) < 0 ||
        !print_unread(publisher))
        return;
    buf_free(&publisher->unread);
    publisher->unread = (struct buf){.public = true};
    atomic_store(&publisher->read, 0);
    if (metrics_render_emf(publisher->metrics, clock_wall() * 1000, &publisher->unread) == 0)
        (void)print_unread(publisher);
}

/* ---- files ---- */

static int write_status(struct publisher *publisher, const struct service *service, struct err *err)
{
    struct buf text = {.public = true};
    int result = -1;

    if (status_render(service, &text) < 0)
        (void)err_set(err, ERR_MEMORY_FULL, publisher->path, "no memory for the status");
    else if (aside_replace(&publisher->files, publisher->path, buf_bytes(&text), STATUS_MODE,
                           ASIDE_MS) < 0)
        (void)err_set_errno(err, ERR_SYSTEM, publisher->path, "the status cannot be written");
    else
        result = 0;
    buf_free(&text);
    return result;
}

/* Logged when the files cannot be written, and when they can be again. */
static void note_failure(struct publisher *publisher, const struct err *err)
{
    const char *reason = err ? err->reason : "";

    if (err && strcmp(publisher->unwritten, reason) != 0)
        log_event(LOG_LEVEL_WARNING, "not_published", log_s("file", err->subject),
                  log_s("reason", reason));
    else if (!err && publisher->unwritten[0])
        log_event(LOG_LEVEL_INFO, "published", log_s("file", publisher->path));
    (void)snprintf(publisher->unwritten, sizeof publisher->unwritten, "%s", reason);
}

static void notify_manager(const struct service *service)
{
    const char *outcome = outcome_info(service->seen.sets[0].outcome)->name;
    const int64_t end = service->seen.sets[0].state.not_after;
    size_t i, valid = 0, accepting = 0;
    char until[CLOCK_TEXT_MAX];

    for (i = 0; i < service->config->set_count; i++)
        valid += service->seen.sets[i].state.err.code == ERR_NONE &&
                 service->seen.sets[i].state.not_after;
    for (i = 0; i < service->config->endpoint_count; i++)
        accepting += service->seen.histories[i].last == PROBE_ACCEPTED;
    clock_format(until, end);
    sd_notify_status(&service->manager.notify,
                     "%zu of %zu sets valid%s%s%s, last fetch: %s, %zu of %zu enclaves accept",
                     valid, service->config->set_count, end ? " (until " : "", end ? until : "",
                     end ? ")" : "", outcome ? outcome : "none yet", accepting,
                     service->config->endpoint_count);
}

/* What sandbox and log count themselves, since the start. */
static void count_losses(struct publisher *publisher)
{
    int call;
    const size_t refused = sandbox_refused(&call), dropped = log_dropped();

    metrics_add(publisher->metrics, METRIC_LOG_LINES_DROPPED, NULL,
                (int64_t)(dropped - publisher->dropped));
    publisher->dropped = dropped;
    metrics_add(publisher->metrics, METRIC_SANDBOX_REFUSALS, NULL,
                (int64_t)(refused - publisher->refusals));
    publisher->refusals = refused;
}

void publish(struct publisher *publisher, const struct service *service)
{
    struct err err;
    int result;

    measure(service);
    count_losses(publisher);
    confine_log_refusals();
    result = write_status(publisher, service, &err);
    if (result == 0 && service->config->metrics_file)
        result = metrics_write(publisher->metrics, &publisher->files, service->config->metrics_file,
                               &err);
    note_failure(publisher, result < 0 ? &err : NULL);
    if (service->config->metrics_emf)
        print_emf(publisher);
    notify_manager(service);
    publisher->at = clock_ms() + PUBLISH_MS;
}

void publish_log(const struct service *service)
{
    struct arena_stats stats;
    size_t i;

    arena_stats(&stats);
    for (i = 0; i < service->config->set_count; i++) {
        const struct seen_set *set = &service->seen.sets[i];
        char until[CLOCK_TEXT_MAX], success[CLOCK_TEXT_MAX];

        clock_format(until, set->state.not_after);
        clock_format(success, set->succeeded_at);
        log_event(
            LOG_LEVEL_INFO, "status_set", log_s("set", config_set_name(service->config, i)),
            log_s("outcome", set->outcome ? outcome_info(set->outcome)->name : "none_yet"),
            log_s("code", set->err.code ? err_info(set->err.code)->name : NULL),
            log_s("problem", set->state.err.code ? err_info(set->state.err.code)->name : NULL),
            log_s("fingerprint", set->state.fingerprint[0] ? set->state.fingerprint : NULL),
            log_s("not_after", set->state.not_after ? until : NULL),
            log_s("last_success", set->succeeded_at ? success : NULL));
    }
    for (i = 0; i < service->config->endpoint_count; i++) {
        const struct history *history = &service->seen.histories[i];
        struct history_sum hour, day;

        history_sum(history, clock_ms(), HISTORY_HOUR, &hour);
        history_sum(history, clock_ms(), HISTORY_DAY, &day);
        log_event(LOG_LEVEL_INFO, "status_endpoint",
                  log_s("endpoint", service->config->endpoints[i].text),
                  log_s("last", probe_verdict_name(history->last)),
                  log_n("accepted_1h", hour.accepted), log_n("asked_1h", hour.asked),
                  log_n("mean_ms_1h", hour.mean_ms), log_n("accepted_24h", day.accepted),
                  log_n("asked_24h", day.asked), log_n("mean_ms_24h", day.mean_ms),
                  log_s("failure", history->failed_at ? history->reason : NULL));
    }
    log_event(LOG_LEVEL_INFO, "status", log_s("state", service->seen.ready ? "ready" : "starting"),
              log_n("up_s", clock_wall() - service->started_at),
              log_n("locked_bytes", (int64_t)stats.locked),
              log_n("peak_bytes", (int64_t)stats.peak), log_s("backing", stats.backing));
}
