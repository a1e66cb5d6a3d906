/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_WAVE_H
#define AGENT_WAVE_H

#include <stdint.h>

struct config;

/*
 * Pure: how many seconds a host waits with a version. Host and version together decide its wave, so
 * each version has other first hosts.
 */
int64_t wave_delay(const struct config *config, const char *host, const char *version);

#endif
