/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "agent/agent.h"
#include "base/log.h"
#include "commands/commands.h"
#include "config/config.h"
#include "hook/hook.h"
#include "process/supervise.h"
#include "run/change_hook.h"

static int fetch(const struct work *work)
{
    struct agent *agent = calloc(1, sizeof *agent); /* no secret, and much for this stack */
    int status, told = 0;
    struct err err;

    if (!agent) {
        (void)err_set(&err, ERR_MEMORY_FULL, "memory", "no room to work in");
        return log_error(&err);
    }
    agent->config = work->config;
    agent->environment = work->environment;
    if (work->config->rollback)
        status = agent_rollback(agent, work->deadline);
    else
        status = agent_cycle(agent, work->deadline);
    if (!work->config->dry_run)
        told = change_hook_run_all(work->hook, agent, work->deadline);
    free(agent);
    return status ? status : told; /* a hook's failure hides no other */
}

int command_fetch(const struct config *config, unsigned needs)
{
    struct hook hook;
    struct err err;
    int status;

    if (change_hook_open(&hook, config, &err) < 0)
        return log_error(&err);
    status = supervise(config, needs, fetch, &hook);
    if (hook.pid > 0)
        hook_close(&hook);
    return status;
}
