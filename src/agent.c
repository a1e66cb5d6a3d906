/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"

#include <stdio.h>
#include <string.h>

#include "aws/aws.h"
#include "aws/profile.h"
#include "aws/roots.h"
#include "aws/secretsmanager.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "config/config.h"
#include "enclave/rehearse.h"
#include "host/ca_overlap.h"
#include "host/installed.h"
#include "identity/bundle.h"
#include "identity/expect.h"
#include "identity/identity.h"
#include "identity/verify.h"

/* An installed identity with less life than this is no longer worth keeping in place of another. */
enum { KEEP_MARGIN_S = 3600, CLOCK_WAIT_MS = 1000 };

/* One set on its way through the cycle. */
struct delivery {
    const struct config *config;
    const struct config_set *set;
    struct install_target target;
    struct secret_version *origins; /* one for each secret of the set */
    struct bundle bundle;
    struct identity *identity;
    struct ca_overlap overlap;
    enum rehearsal rehearsal;
};

struct install_target agent_target(const struct config *config, const char *sub, int64_t deadline)
{
    return (struct install_target){
        .root = config->root,
        .dir = config->dir,
        .sub = sub,
        .owner_set = config->owner_set,
        .owner = config->owner,
        .group = config->group,
        .key_mode = config->key_mode,
        .cert_mode = config->cert_mode,
        .dir_mode = config->dir_mode,
        .keep_previous_ms = config->keep_previous_ms,
        .deadline = deadline,
    };
}

static const char *name_of(const struct delivery *delivery)
{
    return delivery->set->sub[0] ? delivery->set->sub : delivery->target.dir;
}

static void list_sources(const struct delivery *delivery,
                         struct install_source sources[CONFIG_SECRETS_MAX])
{
    size_t i;

    for (i = 0; i < delivery->set->secret_count; i++)
        sources[i] = (struct install_source){delivery->origins[i].arn, delivery->origins[i].id};
}

/*
 * Whether what is installed is what AWS would give, which DescribeSecret tells without showing it.
 * Then it is taken from the disk, and all goes on as if it had been fetched. -1: AWS cannot tell.
 */
static int recall(struct delivery *delivery, struct secretsmanager *manager, struct err *err)
{
    const struct config_set *set = delivery->set;
    struct install_source sources[CONFIG_SECRETS_MAX];
    struct installed facts;
    size_t i;

    if (!install_facts(&delivery->target, &facts) || facts.version_count != set->secret_count)
        return 0;
    for (i = 0; i < set->secret_count; i++) {
        if (secretsmanager_describe(manager, set->secrets[i], &delivery->origins[i], err) < 0)
            return -1;
        if (strcmp(delivery->origins[i].id, facts.version_ids[i]) != 0)
            return 0;
    }
    list_sources(delivery, sources);
    return install_recall(&delivery->target, sources, set->secret_count, &delivery->bundle);
}

static int fetch(struct delivery *delivery, struct secretsmanager *manager, struct err *err)
{
    size_t i;
    int result = 0;

    for (i = 0; i < delivery->set->secret_count && result == 0; i++) {
        const char *name = delivery->set->secrets[i];
        struct secret secret = {.version.id = ""};

        result = secretsmanager_get(manager, name, &secret, err);
        if (result == 0) {
            delivery->origins[i] = secret.version;
            log_event(LOG_LEVEL_INFO, "secret", log_s("secret", secret.version.arn),
                      log_s("version_id", secret.version.id));
            result = bundle_add(&delivery->bundle, buf_bytes(&secret.document), name, err);
        }
        secret_free(&secret);
    }
    return result;
}

/* From the disk, where nothing has changed, else from AWS. */
static int obtain(struct delivery *delivery, struct secretsmanager *manager, struct err *err)
{
    int recalled = recall(delivery, manager, err);

    if (recalled < 0)
        return -1;
    return recalled ? 0 : fetch(delivery, manager, err);
}

static void describe(const struct delivery *delivery)
{
    const struct identity *identity = delivery->identity;
    char not_after[CLOCK_TEXT_MAX];

    clock_format(not_after, identity->not_after);
    log_event(LOG_LEVEL_INFO, "identity", log_s("set", name_of(delivery)),
              log_s("subject", identity->subject), log_s("key", identity->key_text),
              log_s("not_after", not_after), log_s("fingerprint", identity->fingerprint));
    if (identity->chain_not_in_ca)
        log_event(LOG_LEVEL_WARNING, "chain_not_in_ca", log_s("set", name_of(delivery)));
}

static int expect(const struct delivery *delivery, const struct identity *identity, struct err *err)
{
    const struct config *config = delivery->config;
    const struct expected expected = {config->expect_subject, config->expect_sans,
                                      config->expect_san_count};

    return identity_expect(identity, &expected, delivery->set->secrets[0], err);
}

static int keep_anchors(struct delivery *delivery, struct err *err)
{
    struct install_source sources[CONFIG_SECRETS_MAX];
    const struct ca_overlap_request request = {
        .target = &delivery->target,
        .sources = sources,
        .source_count = delivery->set->secret_count,
        .length_ms = delivery->config->ca_overlap_ms,
    };

    list_sources(delivery, sources);
    return ca_overlap_apply(&request, delivery->identity, &delivery->overlap, err);
}

/*
 * A certificate from the future most likely means a clock in the past, which has until the deadline
 * to be set.
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
            clock_left(delivery->target.deadline) == 0)
            return -1;
        if (!said)
            log_event(LOG_LEVEL_WARNING, "clock_wait", log_s("reason", err->reason));
        said = true;
        clock_sleep(CLOCK_WAIT_MS, delivery->target.deadline);
    }
    bundle_free(&delivery->bundle);
    describe(delivery);
    if (expect(delivery, delivery->identity, err) < 0)
        return -1;
    return keep_anchors(delivery, err);
}

static void describe_overlap(const struct delivery *delivery)
{
    char until[CLOCK_TEXT_MAX];
    size_t i;

    for (i = 0; i < delivery->overlap.count; i++) {
        clock_format(until, delivery->overlap.kept[i].until);
        log_event(LOG_LEVEL_INFO, "ca_overlap", log_s("set", name_of(delivery)),
                  log_s("fingerprint", delivery->overlap.kept[i].digest), log_s("until", until));
    }
}

static int install(const struct delivery *delivery, struct err *err)
{
    static const char *const events[] = {
        [INSTALL_DONE] = "installed",      [INSTALL_ADOPTED] = "adopted",
        [INSTALL_UNCHANGED] = "unchanged", [INSTALL_OVERLAP_ENDED] = "ca_overlap_ended",
        [INSTALL_HEALED] = "healed",
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

    list_sources(delivery, sources);
    if (install_identity(&delivery->target, &what, &outcome, err) < 0)
        return -1;
    log_event(LOG_LEVEL_INFO, events[outcome], log_s("set", name_of(delivery)),
              log_s("dir", delivery->target.dir),
              log_s("fingerprint", delivery->identity->fingerprint));
    if (outcome != INSTALL_UNCHANGED)
        describe_overlap(delivery);
    return 0;
}

/* The installed identity, if it is the expected one and will serve for a while yet; else NULL. */
static struct identity *serving_identity(const struct delivery *delivery)
{
    struct err none;
    struct identity *identity = installed_identity(&delivery->target, &none);

    if (identity && (identity->not_after - clock_wall() < KEEP_MARGIN_S ||
                     expect(delivery, identity, &none) < 0)) {
        identity_free(identity);
        return NULL;
    }
    return identity;
}

/* AWS cannot be asked: a whole set on disk is better than a host that does not come up. */
static bool keep_stale(const struct delivery *delivery, const struct err *err)
{
    const struct err_info *info = err_info(err->code);
    struct identity *identity;

    if (!delivery->config->keep_if_unreachable || delivery->config->dry_run ||
        err->code == ERR_VERSION_PENDING ||
        (info->exit_status != err_info(ERR_AWS_UNREACHABLE)->exit_status &&
         info->exit_status != err_info(ERR_DEADLINE)->exit_status))
        return false;
    identity = serving_identity(delivery);
    if (!identity)
        return false;
    log_event(LOG_LEVEL_WARNING, "kept_stale", log_s("set", name_of(delivery)),
              log_s("fingerprint", identity->fingerprint), log_s("code", info->name),
              log_s("subject", err->subject), log_s("reason", err->reason));
    identity_free(identity);
    return true;
}

/* Trust that ends by itself needs no proof of what remains. */
static bool is_installed(const struct delivery *delivery, const struct identity *installed)
{
    const struct identity *next = delivery->identity;

    return strcmp(next->fingerprint, installed->fingerprint) == 0 &&
           (delivery->overlap.only_ended ||
            bytes_equal(buf_bytes(&next->file[BUNDLE_CA_CERT]),
                        buf_bytes(&installed->file[BUNDLE_CA_CERT])));
}

/* No enclave could be asked: what serves now is not replaced by what nobody has tried. */
static bool keep_unproven(const struct delivery *delivery)
{
    struct identity *installed = serving_identity(delivery);
    bool keep = installed && !is_installed(delivery, installed);

    log_event(LOG_LEVEL_WARNING, keep ? "kept_unproven" : "unproven",
              log_s("set", name_of(delivery)),
              log_s("fingerprint", keep ? installed->fingerprint : NULL),
              log_s("reason", "no endpoint could be reached to try the identity"));
    identity_free(installed);
    return keep;
}

/* A dry run is there to prove: nothing known is a failure. A server's set has nothing to try. */
static int require_proof(const struct delivery *delivery, struct err *err)
{
    if (delivery->rehearsal != REHEARSAL_UNPROVEN)
        return 0;
    return err_set(err, ERR_ENCLAVE_UNREACHABLE, name_of(delivery),
                   "no endpoint could be reached to try the identity");
}

/* The mission. Nothing touches the target before all that can fail without it has succeeded. */
static int deliver(struct delivery *delivery, struct secretsmanager *manager, struct err *err)
{
    if (obtain(delivery, manager, err) < 0)
        return keep_stale(delivery, err) ? 0 : -1;
    if (prove(delivery, err) < 0)
        return -1;
    if (rehearse(delivery->config, delivery->identity, &delivery->target, &delivery->rehearsal,
                 err) < 0)
        return -1;
    if (delivery->config->dry_run)
        return require_proof(delivery, err);
    if (delivery->rehearsal == REHEARSAL_UNPROVEN && keep_unproven(delivery))
        return 0;
    return install(delivery, err);
}

/* How a dry run ended, for who promotes a version or waits for it. */
static void report_dry_run(const struct delivery *delivery, int result, const struct err *err)
{
    const char *outcome = delivery->rehearsal == REHEARSAL_PROVEN ? "proven" : "sound";

    if (result < 0)
        outcome = err->code == ERR_VERSION_PENDING ? "not_yet" : "failed";
    log_event(LOG_LEVEL_INFO, "dry_run", log_s("set", name_of(delivery)), log_s("outcome", outcome),
              log_s("fingerprint", delivery->identity ? delivery->identity->fingerprint : NULL));
}

static int deliver_set(const struct config *config, size_t i, struct secretsmanager *manager,
                       int64_t deadline, struct err *err)
{
    const struct config_set *set = &config->sets[i];
    struct delivery delivery = {
        .config = config,
        .set = set,
        .target = agent_target(config, set->sub, deadline),
        .origins = arena_alloc(set->secret_count * sizeof *delivery.origins, ARENA_WORK),
    };
    int result = -1;

    if (delivery.origins)
        result = deliver(&delivery, manager, err);
    else
        (void)err_set(err, ERR_MEMORY_FULL, set->secrets[0], "no room");
    if (config->dry_run)
        report_dry_run(&delivery, result, err);
    bundle_free(&delivery.bundle);
    identity_free(delivery.identity);
    arena_free(delivery.origins);
    return result;
}

/* The edge: an error is printed here, and becomes an exit status. */
static int conclude(const struct err *err)
{
    log_error(err);
    return err_info(err->code)->exit_status;
}

int agent_cycle(const struct config *config, const struct environment *environment,
                int64_t deadline)
{
    struct aws aws = {.config = config, .environment = environment, .deadline = deadline};
    struct secretsmanager *manager = NULL;
    struct profiles *profiles = NULL;
    struct anchors *anchors = NULL;
    struct err err;
    int highest = 0, status;
    size_t i;

    if (profiles_load(config, &profiles, &err) == 0) {
        aws.profiles = profiles;
        aws.anchors = anchors = roots_load(&aws, &err);
        aws.profile = roots_profile(&aws);
    }
    if (anchors)
        manager = secretsmanager_new(&aws, &err);
    if (!manager)
        highest = conclude(&err);
    for (i = 0; manager && i < config->set_count; i++) {
        if (deliver_set(config, i, manager, deadline, &err) == 0)
            continue;
        status = conclude(&err);
        highest = status > highest ? status : highest;
    }
    secretsmanager_free(manager);
    anchors_free(anchors);
    profiles_free(profiles);
    return highest;
}
