/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_H
#define AGENT_H

#include <stdint.h>

#include "host/install.h"

struct config;
struct environment;

/*
 * One cycle of the mission: get every configured set from Secrets Manager, prove it, install it.
 * Logs what it does, and each error once. Returns the exit status: 0 where every set is installed,
 * unchanged or kept; else the highest of the sets'.
 */
int agent_cycle(const struct config *config, const struct environment *environment,
                int64_t deadline);

/* Where the set of that subdirectory goes. */
struct install_target agent_target(const struct config *config, const char *sub, int64_t deadline);

#endif
