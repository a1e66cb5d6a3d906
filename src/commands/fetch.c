/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"
#include "base/err.h"
#include "base/log.h"
#include "commands/commands.h"
#include "config/config.h"

static int fetch(const struct work *work)
{
    return agent_cycle(work->config, work->environment, work->deadline);
}

int command_fetch(const struct config *config)
{
    struct err err;

    if (config->set_count == 0) {
        (void)err_set(&err, ERR_USAGE, "secret", "no secret is named");
        log_error(&err);
        return err_info(err.code)->exit_status;
    }
    return command_supervise(config, fetch);
}
