/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/agent_parts.h"
#include "agent/target.h"
#include "base/clock.h"
#include "base/log.h"
#include "identity/identity.h"
#include "install/install_memory.h"
#include "install/install_rollback.h"

/* One set on its way back. */
struct retreat {
    struct agent *agent;
    const struct config_set *set;
    struct install_target target;
    bool by_hand;
};

static const char *name_of(const struct retreat *retreat)
{
    return retreat->set->sub[0] ? retreat->set->sub : retreat->target.dir;
}

static struct identity *previous_identity(const struct retreat *retreat, struct installed *previous,
                                          struct err *err)
{
    const struct expected expected = agent_expected(retreat->agent->config);
    struct identity_policy policy = {.now = clock_wall()};
    struct identity *identity = NULL;
    struct bundle bundle = {0};
    struct err why;

    if (install_read_previous(&retreat->target, &bundle, previous, err) == 0)
        identity = identity_new(&bundle, &policy, name_of(retreat), err);
    bundle_free(&bundle);
    if (identity && identity_expect(identity, &expected, "", &why) < 0) {
        (void)err_set(err, ERR_NO_PREVIOUS, name_of(retreat),
                      "the set before is not the one that is expected: %s", why.reason);
        identity_free(identity);
        return NULL;
    }
    return identity;
}

/* Neither to what is forbidden, nor to another environment. */
static int allow(const struct retreat *retreat, const struct installed *previous, struct err *err)
{
    const char *forbidden = version_forbidden(retreat->agent->config, previous);
    struct install_source sources[CONFIG_SECRETS_MAX];
    char other[INSTALL_OTHER_MAX];

    if (forbidden)
        return err_set(err, ERR_NO_PREVIOUS, name_of(retreat),
                       "version %s before it is forbidden by --forbid-version", forbidden);
    set_sources(retreat->set, NULL, sources);
    if (install_origin(&retreat->target, previous->set, sources, retreat->set->secret_count,
                       other) != INSTALL_OF_OTHERS)
        return 0;
    return err_set(err, ERR_NO_PREVIOUS, name_of(retreat), "the set before was made of %s", other);
}

/* By hand the rehearsal's policy decides; by itself the agent goes back only to what works. */
static int prove(const struct retreat *retreat, const struct identity *identity, struct err *err)
{
    const struct config *config = retreat->agent->config;
    struct rehearsed ignored = {.probes = NULL};
    int accepts;

    if (retreat->by_hand)
        return rehearse(config, identity, &retreat->target, &ignored, err);
    accepts = enclave_accepts(config, identity, retreat->target.deadline, err);
    if (accepts != 0)
        return accepts > 0 ? 0 : -1;
    return err_set(err, ERR_ENCLAVE_REFUSED, name_of(retreat),
                   "no endpoint accepts the previous set either");
}

/*
 * Remembered before it is done: forgotten, the version that is left would be installed again; noted
 * in vain, nothing comes of it while that version is in place.
 */
static int note(const struct retreat *retreat, const struct installed *current,
                const struct installed *previous, struct err *err)
{
    const struct install_memory_change change = {
        .rolled_back = retreat->by_hand ? NULL : current->version,
        .tried = clock_wall(),
        .held = retreat->by_hand ? current->version : NULL,
    };
    struct install_memory memory;

    if (install_memory_read(&retreat->target, &memory, err) < 0)
        return -1;
    if (strcmp(current->version, previous->version) == 0)
        return 0; /* it is what is to be installed, only made otherwise */
    if (!retreat->by_hand && strcmp(memory.rolled_back, current->version) == 0)
        return err_set(err, ERR_NO_PREVIOUS, name_of(retreat),
                       "this version was rolled back once already");
    return install_memory_update(&retreat->target, &change, err);
}

static int go_back(const struct retreat *retreat, struct err *err)
{
    struct installed current, previous;
    struct identity *identity = previous_identity(retreat, &previous, err);
    int result = -1;

    (void)install_facts(&retreat->target, &current);
    if (identity && allow(retreat, &previous, err) == 0 && prove(retreat, identity, err) == 0 &&
        note(retreat, &current, &previous, err) == 0) {
        atomic_store(&retreat->agent->writing, true);
        result = install_rollback(&retreat->target, previous.set, err);
        atomic_store(&retreat->agent->writing, false);
    }
    if (result == 0)
        log_event(LOG_LEVEL_WARNING, "rolled_back", log_s("set", name_of(retreat)),
                  log_s("dir", retreat->target.dir), log_s("fingerprint", identity->fingerprint),
                  log_s("left", current.fingerprint));
    identity_free(identity);
    return result;
}

int agent_retreat(struct agent *agent, size_t set, int64_t deadline, struct err *err)
{
    const struct retreat retreat = {
        .agent = agent,
        .set = &agent->config->sets[set],
        .target = agent_target(agent->config, agent->config->sets[set].sub, deadline),
    };

    return go_back(&retreat, err);
}

int agent_rollback(struct agent *agent, int64_t deadline)
{
    int highest = 0, status;
    struct err err;
    size_t i;

    for (i = 0; i < agent->config->set_count; i++) {
        const struct retreat retreat = {
            .agent = agent,
            .set = &agent->config->sets[i],
            .target = agent_target(agent->config, agent->config->sets[i].sub,
                                   clock_share(deadline, agent->config->set_count - i)),
            .by_hand = true,
        };

        if (go_back(&retreat, &err) == 0) {
            agent->sets[i].outcome = OUTCOME_ROLLED_BACK;
            continue;
        }
        status = log_error(&err);
        highest = status > highest ? status : highest;
    }
    return highest;
}
