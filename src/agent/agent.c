/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"
#include "agent/target.h"

#include <string.h>

#include "agent/agent_parts.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "enclave/probe.h"
#include "identity/identity.h"
#include "install/install_state.h"
#include "install/installed.h"

enum { CLOCK_WAIT_MS = 1000 };

const char *delivery_name(const struct delivery *delivery)
{
    return config_set_name(delivery->config, (size_t)(delivery->set - delivery->config->sets));
}

static void describe(const struct delivery *delivery)
{
    const struct identity *identity = delivery->identity;
    char not_after[CLOCK_TEXT_MAX];

    clock_format(not_after, identity->not_after);
    log_event(LOG_LEVEL_INFO, "identity", log_s("set", delivery_name(delivery)),
              log_s("subject", identity->subject), log_s("key", identity->key_text),
              log_s("not_after", not_after), log_s("fingerprint", identity->fingerprint));
    if (identity->chain_not_in_ca)
        log_event(LOG_LEVEL_WARNING, "chain_not_in_ca", log_s("set", delivery_name(delivery)));
}

int delivery_expect(const struct delivery *delivery, const struct identity *identity,
                    struct err *err)
{
    const struct expected expected = agent_expected(delivery->config);

    return identity_expect(identity, &expected, delivery->set->secrets[0], err);
}

static int keep_anchors(struct delivery *delivery, struct err *err)
{
    const struct expected expected = agent_expected(delivery->config);
    struct install_source sources[CONFIG_SECRETS_MAX];
    const struct ca_overlap_request request = {
        .target = &delivery->target,
        .sources = sources,
        .source_count = delivery->set->secret_count,
        .expected = &expected,
        .length_ms = delivery->config->ca_overlap_ms,
    };

    set_sources(delivery->set, delivery->origins, sources);
    return ca_overlap_apply(&request, delivery->identity, &delivery->overlap, err);
}

/* Whether it would be good at the deadline. */
static bool begins_in_time(const struct delivery *delivery, const struct identity_policy *policy)
{
    struct identity_policy later = *policy;
    struct identity *identity;
    struct err ignored;

    later.now += clock_left(delivery->target.deadline) / 1000;
    identity = identity_new(&delivery->bundle, &later, "", &ignored);
    identity_free(identity);
    return identity;
}

/*
 * A certificate from the future most likely means a clock in the past, which has until the deadline
 * to be set. Who stays looks again anyway, and waits for what begins before the deadline alone.
 */
static int prove(struct delivery *delivery, struct err *err)
{
    struct identity_policy policy = {.require_chain = delivery->config->require_client_chain};
    const char *subject = delivery->set->secrets[0];
    bool said = false;

    for (;;) {
        policy.now = clock_wall();
        delivery->identity = identity_new(&delivery->bundle, &policy, subject, err);
        if (delivery->identity)
            break;
        if (err->code != ERR_CERTIFICATE_NOT_YET_VALID ||
            clock_left(delivery->target.deadline) == 0 ||
            (delivery->agent->stays && !begins_in_time(delivery, &policy)))
            return -1;
        if (!said)
            log_event(LOG_LEVEL_WARNING, "clock_wait", log_s("reason", err->reason));
        said = true;
        clock_sleep(CLOCK_WAIT_MS, delivery->target.deadline);
    }
    bundle_free(&delivery->bundle);
    describe(delivery);
    if (delivery_expect(delivery, delivery->identity, err) < 0)
        return -1;
    return keep_anchors(delivery, err);
}

static void describe_overlap(const struct delivery *delivery)
{
    char until[CLOCK_TEXT_MAX];
    size_t i;

    for (i = 0; i < delivery->overlap.count; i++) {
        clock_format(until, delivery->overlap.kept[i].until);
        log_event(LOG_LEVEL_INFO, "ca_overlap", log_s("set", delivery_name(delivery)),
                  log_s("fingerprint", delivery->overlap.kept[i].digest), log_s("until", until));
    }
}

/* Notes and logs how it ended. */
static void conclude_delivery(const struct delivery *delivery, enum outcome outcome)
{
    delivery->record->outcome = outcome;
    log_event(LOG_LEVEL_INFO, outcome_info(outcome)->name, log_s("set", delivery_name(delivery)),
              log_s("dir", delivery->target.dir),
              log_s("fingerprint", delivery->identity ? delivery->identity->fingerprint : NULL));
}

/* Another version has come: what was rolled back by hand may come again. */
static void clear_held_back(const struct delivery *delivery)
{
    const struct install_state_change change = {.held_back = ""};
    struct err err;

    if (install_state_update(&delivery->target, &change, &err) < 0)
        log_event(LOG_LEVEL_WARNING, "still_held_back", log_s("set", delivery_name(delivery)),
                  log_s("reason", err.reason));
}

static int install(const struct delivery *delivery, struct err *err)
{
    static const enum outcome outcomes[] = {
        [INSTALL_DONE] = OUTCOME_INSTALLED,      [INSTALL_ADOPTED] = OUTCOME_ADOPTED,
        [INSTALL_UNCHANGED] = OUTCOME_UNCHANGED, [INSTALL_OVERLAP_ENDED] = OUTCOME_OVERLAP_ENDED,
        [INSTALL_HEALED] = OUTCOME_HEALED,
    };
    struct install_source sources[CONFIG_SECRETS_MAX];
    struct installing what = {
        .identity = delivery->identity,
        .sources = sources,
        .source_count = delivery->set->secret_count,
        .combined = delivery->config->combined,
        .overlap = delivery->overlap.kept,
        .overlap_count = delivery->overlap.count,
    };
    enum install_outcome outcome;
    int result;

    set_sources(delivery->set, delivery->origins, sources);
    atomic_store(&delivery->agent->writing, true);
    result = install_identity(&delivery->target, &what, &outcome, err);
    atomic_store(&delivery->agent->writing, false);
    if (result < 0)
        return -1;
    conclude_delivery(delivery, outcomes[outcome]);
    wave_end(delivery);
    delivery->record->rehearsed = delivery->rehearsal != REHEARSAL_SKIPPED;
    if (outcome == INSTALL_DONE)
        clear_held_back(delivery);
    if (outcome != INSTALL_UNCHANGED)
        describe_overlap(delivery);
    return 0;
}

/* A dry run is there to prove: nothing known is a failure. A server's set has nothing to try. */
static int require_proof(const struct delivery *delivery, struct err *err)
{
    if (delivery->rehearsal != REHEARSAL_UNPROVEN)
        return 0;
    return err_set(err, ERR_ENCLAVE_UNREACHABLE, delivery_name(delivery),
                   "no endpoint could be reached to try the identity");
}

/* A version that is not to be tried: a failure goes on, a roll-back is a state of peace, and where
 * a replica is of no use, AWS cannot be asked. */
static int set_aside(const struct delivery *delivery, struct err *err)
{
    if (delivery->untried == UNTRIED_REPLICA) {
        *err = *delivery->replica;
        return keep_stale(delivery, err) ? 0 : -1;
    }
    if (delivery->untried == UNTRIED_WAITING) {
        delivery->record->outcome = OUTCOME_WAITING;
        wave_log(delivery);
        return 0;
    }
    if (delivery->untried == UNTRIED_HELD_BACK) {
        if (keep_held_back(delivery, err) < 0)
            return -1;
        conclude_delivery(delivery, OUTCOME_HELD_BACK);
        return 0;
    }
    *err = delivery->record->refused.err;
    return -1;
}

/* What somebody on the way must not bring back, nobody may. */
static int refuse_forbidden(const struct delivery *delivery, struct err *err)
{
    struct installed next = {.version_count = delivery->set->secret_count};
    const char *forbidden;
    size_t i;

    for (i = 0; i < next.version_count; i++)
        memcpy(next.version_ids[i], delivery->origins[i].id, sizeof next.version_ids[i]);
    forbidden = version_forbidden(delivery->config, &next);
    if (!forbidden)
        return 0;
    return err_set(err, ERR_IDENTITY_UNEXPECTED, delivery->set->secrets[0],
                   "its version %s is forbidden by --forbid-version", forbidden);
}

/*
 * In run, what is installed is proved by its probes, but not what trusts fewer anchors. What was
 * rolled back goes forward only where an enclave accepts it.
 */
static int try_out(struct delivery *delivery, struct err *err)
{
    const struct agent *agent = delivery->agent;
    const size_t set = (size_t)(delivery->record - agent->sets);
    struct rehearsed rehearsed = {
        .pins = !agent->stays && !delivery->config->dry_run,
        .probes = agent->probes ? agent->probes + set * agent->config->endpoint_count : NULL};
    struct installed facts;
    int accepts;

    delivery->rehearsal = REHEARSAL_SKIPPED;
    (void)install_facts(&delivery->target, &facts);
    if (delivery->recalled && agent->stays && delivery->overlap.count == facts.overlap_count)
        return 0;
    if (rehearse(delivery->config, delivery->identity, &delivery->target, &rehearsed, err) < 0)
        return -1;
    delivery->rehearsal = rehearsed.outcome;
    if (!delivery->again || delivery->rehearsal != REHEARSAL_SKIPPED)
        return 0;
    accepts = enclave_accepts(delivery->config, delivery->identity, delivery->target.deadline, err);
    if (accepts != 0)
        return accepts > 0 ? 0 : -1;
    return err_set(err, ERR_ENCLAVE_REFUSED, delivery_name(delivery), "no endpoint accepts it");
}

/* The mission. Nothing touches the target before all that can fail without it has succeeded. */
static int deliver(struct delivery *delivery, struct secretsmanager *manager, struct err *err)
{
    int kept = 0;

    if (obtain(delivery, manager, err) < 0)
        return keep_stale(delivery, err) ? 0 : -1;
    if (!delivery->recalled && keep_from(delivery) != UNTRIED_NO)
        return set_aside(delivery, err);
    if (refuse_forbidden(delivery, err) < 0 || prove(delivery, err) < 0)
        return -1;
    if (try_out(delivery, err) < 0) {
        if (!keep_back(delivery, err))
            return -1;
        conclude_delivery(delivery, OUTCOME_HELD_BACK);
        return 0;
    }
    if (delivery->config->dry_run)
        return require_proof(delivery, err);
    note_untried(delivery);
    if (delivery->rehearsal == REHEARSAL_UNPROVEN)
        kept = keep_unproven(delivery, err);
    return kept == 0 ? install(delivery, err) : kept > 0 ? 0 : -1;
}

/* How a dry run ended, for who promotes a version or waits for it. */
static void report_dry_run(const struct delivery *delivery, int result, const struct err *err)
{
    const char *outcome = delivery->rehearsal == REHEARSAL_PROVEN ? "proven" : "sound";

    if (result < 0)
        outcome = err->code == ERR_VERSION_PENDING ? "not_yet" : "failed";
    log_event(LOG_LEVEL_INFO, "dry_run", log_s("set", delivery_name(delivery)),
              log_s("outcome", outcome),
              log_s("fingerprint", delivery->identity ? delivery->identity->fingerprint : NULL));
}

int deliver_set(struct agent *agent, size_t i, struct secretsmanager *manager, int64_t deadline,
                struct err *err)
{
    const struct config *config = agent->config;
    const struct config_set *set = &config->sets[i];
    struct delivery delivery = {
        .agent = agent,
        .config = config,
        .set = set,
        .record = &agent->sets[i],
        .target = agent_target(config, set->sub, deadline),
        .origins = arena_alloc(set->secret_count * sizeof *delivery.origins, ARENA_WORK),
    };
    int result = -1;

    delivery.record->rehearsed = false;
    delivery.record->region[0] = '\0';
    delivery.record->waits_until = 0;
    if (delivery.origins)
        result = deliver(&delivery, manager, err);
    else
        (void)err_set(err, ERR_MEMORY_FULL, set->secrets[0], "no room");
    if (config->dry_run)
        report_dry_run(&delivery, result, err);
    else if (result == 0 || err->code != ERR_TARGET_INVALID)
        install_sweep(&delivery.target);
    if (result < 0)
        remember_failure(&delivery, err);
    agent->sets[i].due = result < 0 && young_waits(&delivery, err);
    bundle_free(&delivery.bundle);
    identity_free(delivery.identity);
    arena_free(delivery.origins);
    return result;
}
