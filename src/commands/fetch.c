/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "agent.h"
#include "base/log.h"
#include "commands/commands.h"
#include "host/hook.h"
#include "service/tell.h"

static int report(const struct err *err)
{
    log_error(err);
    return err_info(err->code)->exit_status;
}

static int fetch(const struct work *work)
{
    struct agent *agent = calloc(1, sizeof *agent); /* no secret, and much for this stack */
    int status, told = 0;
    struct err err;

    if (!agent) {
        (void)err_set(&err, ERR_SYSTEM, "memory", "no room to work in");
        return report(&err);
    }
    agent->config = work->config;
    agent->environment = work->environment;
    if (work->config->rollback)
        status = agent_rollback(agent, work->deadline);
    else
        status = agent_cycle(agent, work->deadline);
    if (!work->config->dry_run)
        told = tell_all(work->hook, agent, work->deadline);
    free(agent);
    return status ? status : told; /* a hook's failure hides no other */
}

int command_fetch(const struct config *config, unsigned needs)
{
    struct hook hook;
    struct err err;
    int status;

    if (tell_open(&hook, config, &err) < 0)
        return report(&err);
    status = command_supervise(config, needs, fetch, &hook);
    if (hook.pid > 0)
        hook_close(&hook);
    return status;
}
