/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_CHANGE_HOOK_H
#define RUN_CHANGE_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/outcome.h"

struct agent;
struct config;
struct err;
struct hook;
struct hook_result;
struct install_target;
struct target_state;

/*
 * The hook runs once for each changed set. Its set is noted beside the sets (install_state.h), so
 * that the next agent runs it if this one ended in between.
 */

/* Starts the runner where a hook is configured; else hook->pid is 0. */
int change_hook_open(struct hook *hook, const struct config *config, struct err *err);

/* Whether a set is in place that the hook was not run for. */
bool change_hook_due(const struct target_state *state);

/*
 * Of several agents with a hook only one runs it for a set at a time: CHANGE_HOOK_CLAIMED until
 * change_hook_release(). CHANGE_HOOK_DONE: it has run meanwhile. CHANGE_HOOK_BUSY: another agent
 * runs it, still at the target's deadline.
 */
enum change_hook_claim { CHANGE_HOOK_CLAIMED, CHANGE_HOOK_DONE, CHANGE_HOOK_BUSY };
enum change_hook_claim change_hook_claim(const struct install_target *target, const char *set,
                                         int *claim);
void change_hook_release(int *claim);

/* Runs the hook for the installed set of the configuration's set i. */
struct change_hook_call {
    const struct config *config;
    size_t set;
    enum outcome outcome; /* of the cycle; where it changed nothing, an earlier one did */
    const struct target_state *state;
    int64_t limit_ms;
};
int change_hook_start(struct hook *hook, const struct change_hook_call *call, struct err *err);

/* Notes for later agents that the hook of a set has run. Logs an obstacle. */
void change_hook_note(const struct install_target *target, const char *set);

/* Logs the result. False where the hook must run again; err is then ERR_HOOK_FAILED. */
bool change_hook_settle(const struct install_target *target, const struct target_state *state,
                        const struct hook_result *result, struct err *err);

/* All of it for each set, one after the other, until the deadline. Returns the exit status: 0, or
 * ERR_HOOK_FAILED's. */
int change_hook_run_all(struct hook *hook, const struct agent *agent, int64_t deadline);

#endif
