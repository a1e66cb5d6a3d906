/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_WAVE_H
#define AGENT_WAVE_H

#include <stdint.h>

struct config;

/*
 * Pure: how many seconds a host waits with a version, by the wave in which both put it together.
 * Who is first with one version is not with the next one.
 */
int64_t wave_delay(const struct config *config, const char *host, const char *version);

#endif
