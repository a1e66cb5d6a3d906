/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_TELL_H
#define SERVICE_TELL_H

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
struct survey;

/*
 * Who is told of a changed set, once for each set: which one was told of stands beside it, so that
 * whatever ends the agent in between, the next one tells.
 */

/* Starts the runner where somebody has to be told; hook->pid is 0 without one. */
int tell_open(struct hook *hook, const struct config *config, struct err *err);

/* Whether a set is there that was not told of. */
bool tell_due(const struct survey *survey);

/*
 * Of several agents with a hook one alone tells of a set at a time: TELL_CLAIMED until
 * tell_release(). TELL_TOLD: somebody has told of it meanwhile. TELL_BUSY: another agent does so,
 * also at the target's deadline.
 */
enum tell_claim { TELL_CLAIMED, TELL_TOLD, TELL_BUSY };
enum tell_claim tell_claim(const struct install_target *target, const char *set, int *claim);
void tell_release(int *claim);

/* Has the runner tell of the set that the configuration's set i has installed. */
struct telling {
    const struct config *config;
    size_t set;
    enum outcome outcome; /* of the cycle; where it changed nothing, an earlier one did */
    const struct survey *survey;
    int64_t limit_ms;
};
int tell_ask(struct hook *hook, const struct telling *telling, struct err *err);

/* Notes for who starts later that a set was told of. What is in the way is logged. */
void tell_note(const struct install_target *target, const char *set);

/* How it went: logs it. False where it has to be told again; err is then ERR_HOOK_FAILED. */
bool tell_settle(const struct install_target *target, const struct survey *survey,
                 const struct hook_result *result, struct err *err);

/* All of it for each set, one after the other, until the deadline. Returns the exit status: 0, or
 * ERR_HOOK_FAILED's. */
int tell_all(struct hook *hook, const struct agent *agent, int64_t deadline);

#endif
