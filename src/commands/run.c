/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"
#include "run/service.h"

int command_run(const struct config *config, unsigned needs)
{
    return service_run(config, needs);
}
