/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_parts.h"
#include "agent/target.h"

#include <string.h>

#include "install/install_state.h"

struct questions {
    struct secret_question list[SECRETS_PREFETCH];
    size_t count;
};

/* A set whose secrets do not all fit is left for later: they are to be of one moment. */
static void add(struct questions *questions, const struct config_set *set, size_t first,
                bool describes)
{
    size_t i;

    if (questions->count > 0 && questions->count + set->secret_count > SECRETS_PREFETCH)
        return;
    for (i = first; i < set->secret_count && questions->count < SECRETS_PREFETCH; i++)
        questions->list[questions->count++] = (struct secret_question){set->secrets[i], describes};
}

/* Whether a version that AWS has told of already will be fetched as soon as its turn comes. */
static bool is_news(const struct config_set *set, const struct agent_set *record,
                    const struct install_target *target, const struct installed *facts,
                    struct secretsmanager *manager)
{
    char id[SECRET_VERSION_MAX];
    struct install_state state;
    struct err none;
    bool news = false;
    size_t i;

    for (i = 0; i < set->secret_count; i++) {
        secretsmanager_prefetched_id(manager, set->secrets[i], id);
        if (!id[0])
            return false;
        news = news || strcmp(id, facts->version_ids[i]) != 0;
    }
    return news && record->refused.times == 0 && install_state_read(target, &state, &none) == 0 &&
           !state.held_back[0] && !state.rolled_back[0];
}

/* What a set will ask first of what is not known yet. */
static void add_first(struct questions *questions, const struct delivery *delivery, size_t i,
                      struct secretsmanager *manager)
{
    const struct config_set *set = &delivery->config->sets[i];
    const struct agent_set *record = &delivery->agent->sets[i];
    const struct install_target target =
        agent_target(delivery->config, set->sub, delivery->target.deadline);
    struct installed facts;

    add(questions, set, 0,
        may_recall(record, &target, set->secret_count, &facts) &&
            (delivery->config->wave_count > 0 || !is_news(set, record, &target, &facts, manager)));
}

void prefetch(const struct delivery *delivery, struct secretsmanager *manager, size_t i,
              bool describes)
{
    const struct agent_set *records = delivery->agent->sets;
    const size_t count = delivery->config->set_count;
    size_t set = (size_t)(delivery->set - delivery->config->sets);
    struct questions questions = {.count = 0};

    add(&questions, delivery->set, i, describes);
    if (!secretsmanager_may_prefetch(manager, questions.list))
        return;
    while (++set < count && questions.count < SECRETS_PREFETCH)
        if (records[set].open)
            add_first(&questions, delivery, set, manager);
    if (questions.count > 1)
        secretsmanager_prefetch(manager, questions.list, questions.count);
}
