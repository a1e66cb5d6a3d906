/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"
#include "commands/commands.h"

static int fetch(const struct work *work)
{
    return agent_cycle(work->config, work->environment, work->deadline);
}

int command_fetch(const struct config *config)
{
    return command_supervise(config, fetch);
}
