/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"
#include "agent/target.h"

#include <string.h>

#include "agent/agent_parts.h"
#include "aws/aws.h"
#include "aws/credentials.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "enclave/probe.h"
#include "identity/identity.h"
#include "install/install_state.h"
#include "install/installed.h"

enum { CLOCK_WAIT_MS = 1000, DENIED_MS = 24 * 60 * 60 * 1000 /* policies may change */ };

const char *delivery_name(const struct delivery *delivery)
{
    return config_set_name(delivery->config, (size_t)(delivery->set - delivery->config->sets));
}

void set_sources(const struct config_set *set, const struct secret_version *origins,
                 struct install_source sources[CONFIG_SECRETS_MAX])
{
    size_t i;

    for (i = 0; i < set->secret_count; i++)
        sources[i] = origins && origins[i].arn[0]
                         ? (struct install_source){origins[i].arn, origins[i].id}
                         : (struct install_source){set->secrets[i], ""};
}

static int name_version(struct delivery *delivery, struct err *err)
{
    struct install_source sources[CONFIG_SECRETS_MAX];

    set_sources(delivery->set, delivery->origins, sources);
    if (install_version(delivery->version, sources, delivery->set->secret_count) == 0)
        return 0;
    return err_set(err, ERR_MEMORY_FULL, delivery->set->secrets[0], "no room for a version");
}

static void note_region(struct delivery *delivery, const struct secretsmanager *manager,
                        const struct secret_version *version)
{
    memcpy(delivery->record->region, version->region, sizeof delivery->record->region);
    if (version->replica)
        delivery->replica = secretsmanager_why(manager);
}

bool may_recall(const struct agent_set *record, const struct install_target *target,
                size_t secret_count, struct installed *facts)
{
    return clock_left(record->describe_after) == 0 && install_facts(target, facts) &&
           facts->version_count == secret_count;
}

/* What DescribeSecret told of a secret. */
static void describe_version(const struct delivery *delivery, size_t i, const struct err *denial)
{
    const struct secret_version *version = &delivery->origins[i];

    if (delivery->describe_denied)
        log_event(LOG_LEVEL_WARNING, "describe_denied", log_s("set", delivery_name(delivery)),
                  log_s("secret", delivery->set->secrets[i]), log_s("reason", denial->reason));
    else if (version->id[0])
        log_event(LOG_LEVEL_INFO, "version", log_s("set", delivery_name(delivery)),
                  log_s("secret", version->arn), log_s("version_id", version->id),
                  log_s("stage", delivery->config->version_stage),
                  log_s("region", version->region));
}

/*
 * Which version AWS would give, which DescribeSecret tells without showing it; it is left open
 * where that cannot tell. Where it is the installed one, that is taken from the disk, and all goes
 * on as if it had been fetched.
 */
static int recall(struct delivery *delivery, struct secretsmanager *manager, struct err *err)
{
    const struct config_set *set = delivery->set;
    struct install_source sources[CONFIG_SECRETS_MAX];
    struct installed facts;
    size_t i;
    int described;

    if (!may_recall(delivery->record, &delivery->target, set->secret_count, &facts))
        return 0;
    for (i = 0; i < set->secret_count; i++) {
        prefetch(delivery, manager, i, true);
        described = secretsmanager_describe(manager, set->secrets[i], &delivery->origins[i], err);
        delivery->describe_denied = described > 0;
        if (described < 0)
            return -1;
        if (described == 0)
            note_region(delivery, manager, &delivery->origins[i]);
        describe_version(delivery, i, err);
        if (!delivery->origins[i].id[0])
            return 0;
    }
    set_sources(delivery->set, delivery->origins, sources);
    delivery->recalled =
        install_recall(&delivery->target, sources, set->secret_count, &delivery->bundle);
    return name_version(delivery, err);
}

static int fetch(struct delivery *delivery, struct secretsmanager *manager, struct err *err)
{
    size_t i;
    int result = 0;

    secretsmanager_drop_mixed(manager, delivery->set->secrets, delivery->set->secret_count);
    for (i = 0; i < delivery->set->secret_count && result == 0; i++) {
        const char *name = delivery->set->secrets[i];
        struct secret secret = {.version.id = ""};

        prefetch(delivery, manager, i, false);
        result = secretsmanager_get(manager, name, &secret, err);
        if (result == 0) {
            delivery->origins[i] = secret.version;
            note_region(delivery, manager, &secret.version);
            log_event(LOG_LEVEL_INFO, "secret", log_s("set", delivery_name(delivery)),
                      log_s("secret", secret.version.arn), log_s("version_id", secret.version.id),
                      log_s("region", secret.version.region));
            result = bundle_add(&delivery->bundle, buf_bytes(&secret.document), name, err);
        }
        secret_free(&secret);
    }
    return result;
}

/*
 * From the disk, where nothing has changed; not at all, where that version is known to be bad; else
 * from AWS, where it may be another region by now that answers, and another version that it has.
 */
static int obtain(struct delivery *delivery, struct secretsmanager *manager, struct err *err)
{
    const struct err *replica;
    char described[sizeof delivery->version];

    if (recall(delivery, manager, err) < 0)
        return -1;
    if (delivery->recalled || (delivery->version[0] && keep_from(delivery) != UNTRIED_NO))
        return 0;
    replica = delivery->replica;
    memcpy(described, delivery->version, sizeof described);
    if (fetch(delivery, manager, err) < 0 || name_version(delivery, err) < 0)
        return -1;
    /* Where everything is denied for a while, nothing is known of DescribeSecret alone. */
    if (delivery->describe_denied && !delivery->replica)
        delivery->record->describe_after = clock_ms() + DENIED_MS;
    if (delivery->replica != replica || strcmp(delivery->version, described) != 0) {
        delivery->untried = UNTRIED_UNKNOWN;
        delivery->again = false;
    }
    return 0;
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
