/* SPDX-License-Identifier: Apache-2.0 */
#include "run/status.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "enclave/attestation.h"
#include "enclave/history.h"
#include "process/confine.h"
#include "process/process.h"
#include "run/state.h"
#include "sandbox/sandbox.h"

enum { SLACK_MS = 5000 };

static void put_time(struct json_writer *writer, const char *name, int64_t seconds)
{
    char text[CLOCK_TEXT_MAX];

    clock_format(text, seconds);
    json_put_text(writer, name, seconds ? text : NULL);
}

/*
 * In how many seconds this is written again, as long as the agent works: after the longest rest and
 * the longest work, with some room for a busy machine.
 */
static int64_t next_within(const struct config *config)
{
    const int64_t rest = config->interval_ms < PUBLISH_MS ? config->interval_ms : PUBLISH_MS;

    return (rest + config->deadline_ms + JOB_GRACE_MS + SLACK_MS + 999) / 1000;
}

static void put_err(struct json_writer *writer, const char *name, const struct err *err)
{
    if (err->code == ERR_NONE) {
        json_put_text(writer, name, NULL);
        return;
    }
    json_open(writer, name, '{');
    json_put_text(writer, "code", err_info(err->code)->name);
    json_put_text(writer, "cause", err_cause(err));
    json_put_text(writer, "subject", err->subject[0] ? err->subject : NULL);
    json_put_text(writer, "reason", err->reason);
    json_put_text(writer, "remedy", err_remedy(err));
    json_close(writer, '}');
}

static void put_installed(struct json_writer *writer, const struct target_state *state)
{
    size_t i;

    if (!state->fingerprint[0]) {
        json_put_text(writer, "installed", NULL);
        return;
    }
    json_open(writer, "installed", '{');
    json_put_text(writer, "fingerprint", state->fingerprint);
    json_put_text(writer, "subject", state->subject[0] ? state->subject : NULL);
    json_put_text(writer, "key", state->key_text[0] ? state->key_text : NULL);
    put_time(writer, "not_before", state->not_before);
    put_time(writer, "not_after", state->not_after);
    put_time(writer, "ca_not_after", state->ca_not_after);
    json_open(writer, "version_ids", '[');
    for (i = 0; i < state->facts.version_count; i++)
        json_put_text(writer, NULL, state->facts.version_ids[i]);
    json_close(writer, ']');
    json_close(writer, '}');
}

static void put_set(struct json_writer *writer, const struct service *service, size_t i)
{
    const struct seen_set *set = &service->seen.sets[i];

    json_open(writer, NULL, '{');
    json_put_text(writer, "set", service->config->sets[i].sub);
    json_put_text(writer, "outcome", outcome_info(set->outcome)->name);
    put_err(writer, "error", &set->err);
    put_time(writer, "last_fetch", set->fetched_at);
    put_time(writer, "last_success", set->succeeded_at);
    put_time(writer, "waits_until", set->waits_until);
    json_put_text(writer, "region", set->region[0] ? set->region : NULL);
    put_installed(writer, &set->state);
    put_err(writer, "problem", &set->state.err);
    json_put_text(writer, "on_change", on_change_state(&service->on_change, &service->seen, i));
    put_err(writer, "on_change_error", &service->on_change.sets[i].err);
    if (set->asked)
        json_put_number(writer, "endpoints_accepting", (int64_t)set->accepted);
    else
        json_put_text(writer, "endpoints_accepting", NULL);
    json_close(writer, '}');
}

static void put_window(struct json_writer *writer, const char *name, const struct history *history,
                       enum history_window window)
{
    struct history_sum sum;

    history_sum(history, clock_ms(), window, &sum);
    json_open(writer, name, '{');
    json_put_number(writer, "asked", sum.asked);
    json_put_number(writer, "accepted", sum.accepted);
    json_put_number(writer, "refused", sum.verdicts[PROBE_REFUSED] + sum.verdicts[PROBE_DOUBTED]);
    json_put_number(writer, "not_mutual", sum.verdicts[PROBE_NOT_MUTUAL]);
    json_put_number(writer, "untrusted", sum.verdicts[PROBE_UNTRUSTED]);
    json_put_number(writer, "unattested", sum.verdicts[PROBE_UNATTESTED]);
    json_put_number(writer, "unreachable", sum.verdicts[PROBE_UNREACHABLE]);
    json_put_number(writer, "mean_ms", sum.mean_ms);
    json_put_number(writer, "worst_ms", sum.worst_ms);
    json_close(writer, '}');
}

static void put_endpoint(struct json_writer *writer, const struct service *service, size_t i)
{
    const struct history *history = &service->seen.histories[i];
    const struct probe_attested *attested = &history->attested;
    const bool asked = history->last != PROBE_UNASKED;

    json_open(writer, NULL, '{');
    json_put_text(writer, "endpoint", service->config->endpoints[i].text);
    json_put_text(writer, "label", service->config->endpoints[i].label);
    json_put_text(writer, "last", asked ? probe_verdict_name(history->last) : NULL);
    put_time(writer, "last_at", history->last_at);
    put_time(writer, "failed_at", history->failed_at);
    json_put_text(writer, "failure", history->failed_at ? history->reason : NULL);
    json_put_text(writer, "attestation",
                  attested->asked
                      ? attestation_word(service->config,
                                         seen_attestation(&service->seen, service->config, i),
                                         attested->other_root[0])
                      : NULL);
    json_put_text(writer, "root",
                  attested->asked && attested->other_root[0] ? attested->other_root : NULL);
    put_time(writer, "attested_at",
             service->config->attest_pcr_count > 0 ? history->attested_at : 0);
    put_window(writer, "1h", history, HISTORY_HOUR);
    put_window(writer, "24h", history, HISTORY_DAY);
    json_close(writer, '}');
}

static void put_process(struct json_writer *writer)
{
    struct arena_stats stats;
    struct process_facts facts;
    struct sandbox_facts sandbox;
    char absent[CONFINE_ABSENT_MAX];
    int call;

    arena_stats(&stats);
    process_look(&facts);
    sandbox_look(&sandbox);
    confine_absent(absent);
    json_open(writer, "memory", '{');
    json_put_number(writer, "locked_bytes", (int64_t)stats.locked);
    json_put_number(writer, "peak_bytes", (int64_t)stats.peak);
    json_put_text(writer, "backing", stats.backing);
    json_close(writer, '}');
    json_open(writer, "sandbox", '{');
    json_put_bool(writer, "core", facts.core);
    json_put_bool(writer, "dumpable", facts.dumpable);
    json_put_bool(writer, "no_new_privs", facts.no_new_privs);
    json_put_bool(writer, "seccomp", facts.seccomp);
    json_put_number(writer, "landlock", sandbox.landlock);
    json_put_text(writer, "capabilities", sandbox.capabilities);
    json_put_number(writer, "refused", (int64_t)sandbox_refused(&call));
    json_put_text(writer, "absent", absent[0] ? absent : NULL);
    json_close(writer, '}');
}

int status_render(const struct service *service, struct buf *out)
{
    struct json_writer writer = {.out = out};
    char dir[STATUS_PATH_MAX];
    size_t i;

    json_open(&writer, NULL, '{');
    json_put_number(&writer, "format", STATUS_FORMAT);
    put_time(&writer, "written", clock_wall());
    json_put_number(&writer, "uptime_s", clock_ms() / 1000);
    json_put_number(&writer, "next_within_s", next_within(service->config));
    status_dir(service->config, dir);
    json_open(&writer, "agent", '{');
    json_put_text(&writer, "version", MTLS_AGENT_VERSION);
    json_put_text(&writer, "state",
                  service->stop         ? "stopped"
                  : service->seen.ready ? "ready"
                                        : "starting");
    json_put_number(&writer, "pid", getpid());
    put_time(&writer, "started", service->started_at);
    json_put_text(&writer, "dir", dir);
    json_put_text(&writer, "config", service->config->file);
    json_close(&writer, '}');
    json_open(&writer, "sets", '[');
    for (i = 0; i < service->config->set_count; i++)
        put_set(&writer, service, i);
    json_close(&writer, ']');
    json_open(&writer, "endpoints", '[');
    for (i = 0; i < service->config->endpoint_count; i++)
        put_endpoint(&writer, service, i);
    json_close(&writer, ']');
    put_process(&writer);
    json_close(&writer, '}');
    return writer.failed || buf_append_text(out, "\n") < 0 ? -1 : 0;
}
