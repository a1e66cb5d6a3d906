/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_TARGET_H
#define AGENT_TARGET_H

#include <stdint.h>

#include "identity/expect.h"
#include "install/install.h"

struct config;

/*
 * Where the set of that subdirectory goes, as the configuration has it. deadline: on clock_ms(),
 * of the wait for the lock. It points into config and sub.
 */
struct install_target agent_target(const struct config *config, const char *sub, int64_t deadline);

/* Whose identity the configuration asks for. It points into config. */
struct expected agent_expected(const struct config *config);

#endif
