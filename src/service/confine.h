/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_CONFINE_H
#define SERVICE_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct buf;
struct config;
struct err;

/*
 * The sandbox that a command gets, by its configuration: docs/sandbox.md. Once, with the arena
 * open, before the first thread; runner is the hook runner's process, 0 without. Never fails; logs
 * what is in force (event "sandbox").
 */
void confine(const struct config *config, pid_t runner);

/*
 * For one job of run, made by main just before it: files beside others in /etc are found anew, so
 * that one that was replaced is read, and the rest of /etc is not. starting: all of /etc, where
 * resolv.conf is a plain file, since whoever sets up the network may replace it during the job.
 * For sandbox_narrow().
 */
int confine_job(const struct config *config, bool starting);

/* Whether a new configuration gets along with what is in force: ERR_CONFIG. */
int confine_check(const struct config *config, struct err *err);

/* What is not in force though it was asked for, "seccomp: this kernel does not have it; ..."; "":
 * all is. */
#define CONFINE_ABSENT_MAX 320
void confine_absent(char out[CONFINE_ABSENT_MAX]);

/* Says the first time that system calls were refused: a kernel that needs others, or an attack. */
void confine_tell(void);

#endif
