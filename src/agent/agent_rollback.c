/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/agent_parts.h"
#include "agent/target.h"
#include "base/clock.h"
#include "base/log.h"
#include "identity/identity.h"
#include "install/install_rollback.h"
#include "install/install_state.h"

/* One set on its way back. */
struct rollback {
    struct agent *agent;
    size_t set;
    struct install_target target;
    bool by_hand;
};

static const char *name_of(const struct rollback *rollback)
{
    return config_set_name(rollback->agent->config, rollback->set);
}

static struct identity *previous_identity(const struct rollback *rollback,
                                          struct installed *previous, struct err *err)
{
    const struct expected expected = agent_expected(rollback->agent->config);
    struct identity_policy policy = {.now = clock_wall()};
    struct identity *identity = NULL;
    struct bundle bundle = {0};
    struct err why;

    if (install_read_previous(&rollback->target, &bundle, previous, err) == 0)
        identity = identity_new(&bundle, &policy, name_of(rollback), err);
    bundle_free(&bundle);
    if (identity && identity_expect(identity, &expected, "", &why) < 0) {
        (void)err_set(err, ERR_NO_PREVIOUS, name_of(rollback),
                      "the previous set is not the expected one: %s", why.reason);
        identity_free(identity);
        return NULL;
    }
    return identity;
}

/* Neither to what is forbidden, nor to another environment. */
static int allow(const struct rollback *rollback, const struct installed *previous, struct err *err)
{
    const char *forbidden = version_forbidden(rollback->agent->config, previous);
    const struct config_set *set = &rollback->agent->config->sets[rollback->set];
    struct install_source sources[CONFIG_SECRETS_MAX];
    char other[INSTALL_OTHER_MAX];

    if (forbidden)
        return err_set(err, ERR_NO_PREVIOUS, name_of(rollback),
                       "the previous version %s is forbidden by --forbid-version", forbidden);
    set_sources(set, NULL, sources);
    if (install_origin(&rollback->target, previous->set, sources, set->secret_count, other) !=
        INSTALL_OF_OTHERS)
        return 0;
    return err_set(err, ERR_NO_PREVIOUS, name_of(rollback), "the previous set was made of %s",
                   other);
}

/* By hand the rehearsal's policy decides; by itself the agent goes back only to what works. */
static int prove(const struct rollback *rollback, const struct identity *identity, struct err *err)
{
    const struct config *config = rollback->agent->config;
    struct rehearsed ignored = {.probes = NULL};
    int accepts;

    if (rollback->by_hand)
        return rehearse(config, identity, &rollback->target, &ignored, err);
    accepts = enclave_accepts(config, identity, rollback->target.deadline, err);
    if (accepts != 0)
        return accepts > 0 ? 0 : -1;
    return err_set(err, ERR_ENCLAVE_REFUSED, name_of(rollback),
                   "no endpoint accepts the previous set either");
}

/*
 * Remembered before it is done: forgotten, the version that is left would be installed again; noted
 * in vain, nothing comes of it while that version is in place.
 */
static int note_rollback(const struct rollback *rollback, const struct installed *current,
                         const struct installed *previous, struct err *err)
{
    const struct install_state_change change = {
        .rolled_back = rollback->by_hand ? NULL : current->version,
        .tried = clock_wall(),
        .held_back = rollback->by_hand ? current->version : NULL,
    };
    struct install_state state;

    if (install_state_read(&rollback->target, &state, err) < 0)
        return -1;
    if (strcmp(current->version, previous->version) == 0)
        return 0; /* it is what is to be installed, only made otherwise */
    if (!rollback->by_hand && strcmp(state.rolled_back, current->version) == 0)
        return err_set(err, ERR_NO_PREVIOUS, name_of(rollback),
                       "this version was rolled back once already");
    return install_state_update(&rollback->target, &change, err);
}

static int go_back(const struct rollback *rollback, struct err *err)
{
    struct installed current, previous;
    struct identity *identity = previous_identity(rollback, &previous, err);
    int result = -1;

    (void)install_facts(&rollback->target, &current);
    if (identity && allow(rollback, &previous, err) == 0 && prove(rollback, identity, err) == 0 &&
        note_rollback(rollback, &current, &previous, err) == 0) {
        atomic_store(&rollback->agent->writing, true);
        result = install_rollback(&rollback->target, previous.set, err);
        atomic_store(&rollback->agent->writing, false);
    }
    if (result == 0)
        log_event(LOG_LEVEL_WARNING, "rolled_back", log_s("set", name_of(rollback)),
                  log_s("dir", rollback->target.dir), log_s("fingerprint", identity->fingerprint),
                  log_s("left", current.fingerprint));
    identity_free(identity);
    return result;
}

int agent_rollback_set(struct agent *agent, size_t set, int64_t deadline, struct err *err)
{
    const struct rollback rollback = {
        .agent = agent,
        .set = set,
        .target = agent_target(agent->config, agent->config->sets[set].sub, deadline),
    };

    return go_back(&rollback, err);
}

int agent_rollback(struct agent *agent, int64_t deadline)
{
    int highest = 0, status;
    struct err err;
    size_t i;

    for (i = 0; i < agent->config->set_count; i++) {
        const struct rollback rollback = {
            .agent = agent,
            .set = i,
            .target = agent_target(agent->config, agent->config->sets[i].sub,
                                   clock_share(deadline, agent->config->set_count - i)),
            .by_hand = true,
        };

        if (go_back(&rollback, &err) == 0) {
            agent->sets[i].outcome = OUTCOME_ROLLED_BACK;
            continue;
        }
        status = log_error(&err);
        highest = status > highest ? status : highest;
    }
    return highest;
}
