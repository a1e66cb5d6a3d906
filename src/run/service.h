/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_SERVICE_H
#define RUN_SERVICE_H

struct config;

/*
 * `mtls-agent run`: keeps every configured set up to date until SIGTERM or SIGINT (exit status 0).
 * SIGHUP reads the configuration again and refreshes, SIGUSR1 logs the status, SIGUSR2 brings the
 * next cycle forward. One thread decides, and sleeps until its schedule, a signal or an end of work
 * wakes it; the arena's thread does all work with secrets. needs: confine.h. Otherwise it ends only
 * where it cannot go on: ERR_DEADLINE's status where work does not end, ERR_SYSTEM's where it can
 * no longer run hooks.
 */
int service_run(const struct config *config, unsigned needs);

#endif
