/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/agent_parts.h"
#include "base/clock.h"
#include "base/log.h"

enum { DENIED_MS = 24 * 60 * 60 * 1000 /* policies may change */ };

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

int obtain(struct delivery *delivery, struct secretsmanager *manager, struct err *err)
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
