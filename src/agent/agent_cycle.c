/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_parts.h"
#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/profile.h"
#include "aws/roots.h"
#include "base/clock.h"
#include "base/log.h"
#include "x509/verify.h"

enum {
    MARGIN_MS = 1000, /* nobody begins anything with less than that */
    REST_SHARE = 8    /* nor with less than that of a set's time, where enclaves were asked */
};

/* The edge: an error is printed here, and becomes an exit status. */
static int conclude(struct agent_set *record, const struct young *young)
{
    if (!record->failed)
        return 0;
    record->outcome = OUTCOME_FAILED;
    young_explain(young, &record->err);
    return log_error(&record->err);
}

/*
 * One set's turn, until the end of its share. Whether it needed more than that to be as it should,
 * and there will be more.
 */
static bool deliver_by(struct agent *agent, size_t i, struct secretsmanager *manager, int64_t end,
                       int64_t deadline)
{
    const int64_t share = clock_left(end);
    struct agent_set *record = &agent->sets[i];
    struct err err, before = record->err;

    record->err.code = ERR_NONE;
    record->failed = deliver_set(agent, i, manager, end, &err) < 0;
    if (record->failed)
        /* A turn that the deadline cut short says nothing new. */
        record->err = before.young && !err.young && clock_left(deadline) == 0 ? before : err;
    else if (!outcome_info(record->outcome)->kept)
        return false;
    return !record->due && deadline - end > MARGIN_MS &&
           clock_left(end) <= MARGIN_MS + share / REST_SHARE;
}

/*
 * Turn by turn: a set that hangs does not take the others' time, and may go on in what they left.
 * Those that wait for what is too young stay due. The highest exit status of the others.
 */
static int take_turns(struct agent *agent, struct secretsmanager *manager, struct aws *aws,
                      const struct young *young)
{
    const int64_t deadline = young->deadline;
    const size_t count = agent->config->set_count;
    struct agent_set *sets = agent->sets;
    size_t open = 0, left, i;
    int highest = 0, status;

    for (i = 0; i < count; i++)
        open += sets[i].open = sets[i].due;
    while (open > 0) {
        left = open;
        for (i = 0; i < count; i++) {
            if (!sets[i].open)
                continue;
            aws->deadline = clock_share(deadline, left--);
            sets[i].open = deliver_by(agent, i, manager, aws->deadline, deadline) &&
                           clock_left(deadline) > MARGIN_MS;
            if (sets[i].open)
                continue;
            open--;
            status = sets[i].due ? 0 : conclude(&sets[i], young);
            highest = status > highest ? status : highest;
        }
    }
    return highest;
}

static int deliver_all(struct agent *agent, struct secretsmanager *manager, struct aws *aws)
{
    struct young young = {.deadline = aws->deadline};
    int highest = 0, status;
    size_t i;

    for (i = 0; i < agent->config->set_count; i++) {
        agent->sets[i].err.young = false;
        agent->sets[i].due = true;
    }
    do {
        if (young.tries > 0)
            secretsmanager_renew(manager);
        status = take_turns(agent, manager, aws, &young);
        highest = status > highest ? status : highest;
    } while (young_sleep(&young, agent));
    for (i = 0; i < agent->config->set_count; i++) {
        if (!agent->sets[i].due)
            continue;
        status = conclude(&agent->sets[i], &young);
        highest = status > highest ? status : highest;
    }
    return highest;
}

/* No set could even be asked for. */
static int fail_all(struct agent *agent, const struct err *err)
{
    size_t i;

    for (i = 0; i < agent->config->set_count; i++) {
        agent->sets[i].outcome = OUTCOME_FAILED;
        agent->sets[i].err = *err;
        agent->sets[i].failed = true;
    }
    return conclude(&agent->sets[0], &(struct young){0});
}

int agent_cycle(struct agent *agent, int64_t deadline)
{
    struct aws aws = {
        .config = agent->config,
        .environment = agent->environment,
        .deadline = deadline,
        .kept = agent->stays ? &agent->kept : NULL,
        .instance_region = agent->instance_region,
    };
    struct secretsmanager *manager = NULL;
    struct profiles *profiles = NULL;
    struct anchors *anchors = NULL;
    struct err err;
    int status;

    agent->aws = &aws; /* cppcheck-suppress autoVariables; until the end of this function */
    if (profiles_load(agent->config, &profiles, &err) == 0) {
        aws.profiles = profiles;
        aws.anchors = anchors = roots_load(&aws, &err);
        aws.profile = roots_profile(&aws);
    }
    if (anchors)
        manager = secretsmanager_new(&aws, &err);
    status = manager ? deliver_all(agent, manager, &aws) : fail_all(agent, &err);
    secretsmanager_free(manager);
    anchors_free(anchors);
    profiles_free(profiles);
    agent->aws = NULL;
    return status;
}

void agent_forget(struct agent *agent)
{
    size_t i;

    credentials_free(agent->kept.credentials);
    agent->kept = (struct aws_kept){0};
    for (i = 0; i < agent->config->set_count; i++) {
        agent->sets[i].refused.times = 0;
        agent->sets[i].describe_after = 0;
    }
}
