/* SPDX-License-Identifier: Apache-2.0 */
#include "run/watch.h"

#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/target.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "enclave/attestation.h"
#include "enclave/pins.h"
#include "enclave/probe.h"
#include "identity/identity.h"
#include "install/installed.h"
#include "run/target_state.h"

enum { PARALLEL = 32, BODY_MAX = 4096 };

int watch_open(struct watch *watch, const struct config *config, struct err *err)
{
    const size_t endpoints = config->endpoint_count, all = config->set_count * endpoints;
    size_t set;

    *watch = (struct watch){.endpoints = endpoints};
    watch->probes = calloc(all + 1, sizeof *watch->probes);
    watch->known = calloc(all + 1, sizeof *watch->known);
    if (config->attest != ATTEST_OFF)
        watch->attested = calloc(endpoints + 1, sizeof *watch->attested);
    for (set = 0; set < config->set_count; set++)
        watch->memory[set].of =
            (struct probe_memory){watch->known + set * endpoints, endpoints, NULL};
    if (watch->probes && watch->known && (watch->attested || config->attest == ATTEST_OFF))
        return 0;
    watch_close(watch);
    return err_set(err, ERR_MEMORY_FULL, NULL, "no room to watch %zu endpoints",
                   config->endpoint_count);
}

void watch_forget(struct watch *watch)
{
    size_t set;

    for (set = 0; set < CONFIG_SETS_MAX && watch->known; set++)
        probe_memory_forget(&watch->memory[set].of);
}

void watch_settle(struct watch *watch, size_t set, const struct target_state *state)
{
    struct watch_memory *memory = &watch->memory[set];

    memory->armed = state->way_back;
    if (memory->set[0] && strcmp(memory->set, state->facts.set) != 0)
        probe_memory_forget(&memory->of);
    else if (state->err.code != ERR_NONE)
        probe_memory_resume(&memory->of, 1, 1);
    else
        probe_memory_sweep(&memory->of);
    memcpy(memory->set, state->facts.set, sizeof memory->set);
}

void watch_close(struct watch *watch)
{
    watch_forget(watch);
    free(watch->probes);
    free(watch->known);
    free(watch->attested);
    *watch = (struct watch){0};
}

/* The next round begins with the first whose turn did not come in this one. */
static void begin_behind(struct watch *watch, size_t set, const struct probe *probes)
{
    const size_t first = watch->first[set];
    size_t i = 0;

    while (i < watch->endpoints && probes[(first + i) % watch->endpoints].verdict != PROBE_UNASKED)
        i++;
    if (watch->endpoints > 0)
        watch->first[set] = (first + i) % watch->endpoints;
}

/* Which probe of an endpoint is a full handshake. */
static unsigned full_every(const struct watch *watch, const struct config *config, size_t set)
{
    const struct watch_memory *memory = &watch->memory[set];
    const bool armed = memory->armed && config->rollback_on_failure != ROLLBACK_NEVER;

    if (!memory->set[0] || armed || watch->suspicions[set].times > 0 ||
        config->attest != ATTEST_OFF)
        return 1;
    return (unsigned)config->probe_full_every;
}

static int ask_endpoints(struct watch *watch, const struct agent *agent, size_t set,
                         const struct identity *identity, int64_t deadline)
{
    struct probe_memory *memory = &watch->memory[set].of;
    struct probe_request request = {
        .config = agent->config,
        .memory = memory,
        .endpoints = agent->config->endpoints,
        .count = watch->endpoints,
        .known = watch->attested,
        .first = watch->first[set],
        .identity = identity,
        .parallel = PARALLEL,
        .body_max = BODY_MAX,
        .deadline = deadline,
    };
    struct probe *probes = watch->probes + set * watch->endpoints;
    struct err err;

    probe_memory_resume(memory, full_every(watch, agent->config, set), agent->config->set_count);
    request.sessions = memory->sessions;
    if (probe_endpoints(&request, probes, &err) == 0) {
        begin_behind(watch, set, probes);
        return 0;
    }
    log_error(&err);
    return -1;
}

static bool has_refused(const struct probe *probe)
{
    return probe->verdict == PROBE_REFUSED || probe->verdict == PROBE_DOUBTED;
}

static bool any_refused(const struct watch *watch, size_t set)
{
    const struct probe *probe = watch->probes + set * watch->endpoints;
    size_t i = 0;

    while (i < watch->endpoints && !has_refused(&probe[i]))
        i++;
    return i < watch->endpoints;
}

/* Whether enclaves refuse a set, and none accepts it by a full handshake. */
static bool is_doubted(const struct watch *watch, size_t set)
{
    const struct probe *probe = watch->probes + set * watch->endpoints;
    size_t i = 0;

    while (i < watch->endpoints && (probe[i].verdict != PROBE_ACCEPTED || probe[i].resumed))
        i++;
    return i == watch->endpoints && any_refused(watch, set);
}

/*
 * Whether enclaves have refused a set, and none has accepted it, for long enough. Who accepted by a
 * resumed handshake has not said so, and does in the next round, in which all are full.
 */
static bool is_refused(struct watch *watch, const struct agent *agent, size_t set,
                       const char *fingerprint)
{
    const struct probe *probe = watch->probes + set * watch->endpoints;
    struct suspicion *suspicion = &watch->suspicions[set];
    struct suspicion_round round = {
        .fingerprint = fingerprint,
        .now = clock_ms(),
        .span_ms = agent->config->interval_ms,
    };
    const unsigned before = suspicion->times;
    bool refused;
    size_t i;

    for (i = 0; i < watch->endpoints; i++) {
        round.accepted += probe[i].verdict == PROBE_ACCEPTED && !probe[i].resumed;
        round.refused += has_refused(&probe[i]) &&
                         (probe[i].authenticated ||
                          agent->config->rollback_on_failure != ROLLBACK_AUTHENTICATED);
    }
    if (round.accepted == 0 && watch->accepted[set] > 0)
        return false;
    refused = suspicion_take(suspicion, &round);
    if (!refused && suspicion->times > 0 && suspicion->times != before)
        log_event(LOG_LEVEL_WARNING, "rollback_considered",
                  log_s("set", config_set_name(agent->config, set)),
                  log_n("refused", suspicion->times), log_n("of", SUSPICION_TIMES));
    return refused;
}

bool watch_refused(const struct watch *watch, size_t set)
{
    return watch->asked[set] && watch->accepted[set] == 0 && any_refused(watch, set);
}

int64_t watch_next(const struct watch *watch, const struct config *config)
{
    int64_t next = INT64_MAX, at;
    size_t i;

    for (i = 0; i < config->set_count; i++) {
        at = suspicion_next(&watch->suspicions[i], config->interval_ms);
        if (at > clock_ms()) /* a round that said nothing is not repeated at once */
            next = at < next ? at : next;
    }
    return next;
}

static bool roll_back(struct agent *agent, size_t set, int64_t deadline)
{
    struct err err;

    if (agent_rollback_set(agent, set, deadline, &err) == 0)
        return true;
    log_event(LOG_LEVEL_WARNING, "not_rolled_back",
              log_s("set", config_set_name(agent->config, set)),
              log_s("code", err_info(err.code)->name), log_s("reason", err.reason));
    return false;
}

static void watch_set(struct watch *watch, struct agent *agent, size_t set, int64_t deadline)
{
    struct install_target target =
        agent_target(agent->config, agent->config->sets[set].sub, deadline);
    struct err none;
    struct identity *identity = installed_identity(&target, &none);
    const struct probe *probe = watch->probes + set * watch->endpoints;
    char fingerprint[sizeof identity->fingerprint] = "";
    size_t i;

    if (identity)
        memcpy(fingerprint, identity->fingerprint, sizeof fingerprint);
    if (identity && identity->client.chain_count > 0)
        watch->asked[set] = ask_endpoints(watch, agent, set, identity, deadline) == 0;
    identity_free(identity);
    if (!watch->asked[set])
        return;
    for (i = 0; i < watch->endpoints; i++)
        watch->accepted[set] += probe[i].verdict == PROBE_ACCEPTED;
    if (is_doubted(watch, set))
        probe_memory_renew(&watch->memory[set].of);
    if (agent->config->rollback_on_failure != ROLLBACK_NEVER &&
        is_refused(watch, agent, set, fingerprint))
        watch->rolled_back[set] = roll_back(agent, set, deadline);
}

static int compare_ms(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

/* One line a round: what is not new of each endpoint is in the log at level debug alone. */
static void sum_up(const struct watch *watch, size_t sets)
{
    const size_t all = sets * watch->endpoints;
    int64_t *ms = calloc(all + 1, sizeof *ms); /* without room for it, of none */
    int64_t asked = 0, accepted = 0, full = 0, resumed = 0;
    size_t i, timed = 0;

    for (i = 0; i < all; i++) {
        const struct probe *probe = &watch->probes[i];

        asked += probe->verdict != PROBE_UNASKED;
        accepted += probe->verdict == PROBE_ACCEPTED;
        resumed += probe->resumed;
        full += probe->handshake && !probe->resumed;
        if (ms && probe_latency(probe) >= 0)
            ms[timed++] = probe_latency(probe);
    }
    if (timed > 0)
        qsort(ms, timed, sizeof *ms, compare_ms);
    if (asked > 0)
        log_event(LOG_LEVEL_INFO, "probed", log_n("endpoints", asked), log_n("accepted", accepted),
                  log_n("failed", asked - accepted), log_n("full", full), log_n("resumed", resumed),
                  log_n("min_ms", timed > 0 ? ms[0] : INT64_MIN),
                  log_n("median_ms", timed > 0 ? ms[timed / 2] : INT64_MIN),
                  log_n("max_ms", timed > 0 ? ms[timed - 1] : INT64_MIN));
    free(ms);
}

void watch_round(struct watch *watch, struct agent *agent, int64_t deadline)
{
    size_t set, sets = agent->config->set_count;

    memset(watch->probes, 0, sets * watch->endpoints * sizeof *watch->probes);
    memset(watch->accepted, 0, sizeof watch->accepted);
    memset(watch->asked, 0, sizeof watch->asked);
    memset(watch->rolled_back, 0, sizeof watch->rolled_back);
    for (set = 0; set < sets; set++)
        if (!watch->spared[set])
            watch_set(watch, agent, set, clock_share(deadline, sets - set));
    sum_up(watch, sets);
    pins_write(agent->config, watch->attested);
}
