/* SPDX-License-Identifier: Apache-2.0 */
#include "run/change_hook.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/target.h"
#include "base/clock.h"
#include "base/log.h"
#include "hook/hook.h"
#include "install/install_run_lock.h"
#include "install/install_state.h"
#include "run/target_state.h"

/* Beside its work the agent does not wait long for the lock of a directory. */
enum { NOTE_MS = 1000, KILLING_MS = HOOK_GRACE_MS + 1000 };

int change_hook_open(struct hook *hook, const struct config *config, struct err *err)
{
    struct hook_signal signals[CONFIG_SIGNALS_MAX];
    const struct hook_options options = {
        .argv = config->on_change_exec[0] ? (char *const *)config->on_change_exec : NULL,
        .signals = signals,
        .signal_count = config->on_change_signal_count,
        .timeout_ms = config->on_change_timeout_ms,
    };
    size_t i;

    *hook = (struct hook){.fd = -1};
    if (!options.argv && options.signal_count == 0)
        return 0;
    for (i = 0; i < options.signal_count; i++) {
        const struct change_signal *one = &config->on_change_signals[i];

        signals[i] = (struct hook_signal){one->number, one->name, one->pid, one->pid_file};
    }
    return hook_open(hook, &options, err);
}

bool change_hook_due(const struct target_state *state)
{
    return state->facts.set[0] && !state->told;
}

/* Another process may hold the lock, or the file system be full: then it is told once more. */
void change_hook_note(const struct install_target *target, const char *set)
{
    const struct install_state_change change = {.told = set};
    struct install_target soon = *target;
    struct err err;

    soon.deadline = clock_ms() + NOTE_MS;
    if (install_state_update(&soon, &change, &err) == 0)
        return;
    log_event(LOG_LEVEL_WARNING, "hook_not_noted", log_s("dir", target->dir),
              log_s("reason", err.reason));
}

enum change_hook_claim change_hook_claim(const struct install_target *target, const char *set,
                                         int *claim)
{
    struct install_state state;
    struct err err;

    if (install_hook_lock(target, claim, &err) < 0 && err.code == ERR_DEADLINE)
        return CHANGE_HOOK_BUSY;
    if (install_state_read(target, &state, &err) < 0)
        return CHANGE_HOOK_CLAIMED;
    if (strcmp(state.told, set) != 0) {
        if (state.told[0]) /* whatever comes of it, a set that comes back is news again */
            change_hook_note(target, "");
        return CHANGE_HOOK_CLAIMED;
    }
    change_hook_release(claim);
    return CHANGE_HOOK_DONE;
}

void change_hook_release(int *claim)
{
    if (*claim >= 0)
        close(*claim);
    *claim = -1;
}

int change_hook_start(struct hook *hook, const struct change_hook_call *call, struct err *err)
{
    const struct config *config = call->config;
    const struct target_state *state = call->state;
    const char *sub = config->sets[call->set].sub;
    const struct install_target target = agent_target(config, sub, 0);
    char dir[INSTALL_WHERE_MAX], not_after[CLOCK_TEXT_MAX];
    const struct outcome_info *outcome = outcome_info(call->outcome);
    const struct hook_change change = {
        .event = outcome->change ? outcome->name : "pending",
        .set = sub,
        .dir = dir,
        .fingerprint = state->fingerprint,
        .not_after = not_after,
        .version_id = state->facts.version_count ? state->facts.version_ids[0] : "",
    };

    (void)install_where(&target, dir);
    clock_format(not_after, state->not_after);
    return hook_start(hook, &change, call->limit_ms, err);
}

bool change_hook_settle(const struct install_target *target, const struct target_state *state,
                        const struct hook_result *result, struct err *err)
{
    if (result->outcome != HOOK_DONE) {
        (void)err_set(err, ERR_HOOK_FAILED, target->dir, "%s", result->reason);
        return false;
    }
    log_event(LOG_LEVEL_INFO, "hook_done", log_s("dir", target->dir),
              log_s("fingerprint", state->fingerprint), log_n("ms", result->ms));
    return true;
}

static int wait_for(struct hook *hook, int64_t deadline, struct hook_result *result,
                    struct err *err)
{
    struct pollfd fd = {hook->fd, POLLIN, 0};
    int taken;

    while ((taken = hook_take(hook, result)) == 0) {
        if (clock_left(deadline) == 0)
            return err_set(err, ERR_HOOK_FAILED, "hook", "it has not ended in time");
        if (poll(&fd, 1, (int)clock_left(deadline)) < 0 && errno != EINTR)
            return err_set_errno(err, ERR_SYSTEM, "hook", "cannot wait for it");
    }
    return taken > 0 ? 0 : err_set(err, ERR_HOOK_FAILED, "hook", "its runner is gone");
}

/* In time for a program that has to be killed. */
static int64_t time_for(int64_t deadline)
{
    const int64_t left = clock_left(deadline);

    return left / 2 > KILLING_MS ? left - KILLING_MS : left / 2;
}

static int run_one(struct hook *hook, const struct agent *agent, size_t set, int64_t deadline,
                   struct err *err)
{
    const struct config *config = agent->config;
    const struct install_target target = agent_target(config, config->sets[set].sub, deadline);
    struct change_hook_call call = {
        .config = config, .set = set, .outcome = agent->sets[set].outcome};
    struct hook_result result;
    struct target_state state;
    int claim, told;

    target_state_read(&target, &config->sets[set], &state);
    if (!change_hook_due(&state))
        return state.facts.set[0] || err_info(state.err.code)->class != ERR_OF_HOST
                   ? 0
                   : err_set(err, ERR_HOOK_FAILED, target.dir, "%s", state.err.reason);
    switch (change_hook_claim(&target, state.facts.set, &claim)) {
    case CHANGE_HOOK_CLAIMED: break;
    case CHANGE_HOOK_BUSY:
        log_event(LOG_LEVEL_INFO, "hook_elsewhere", log_s("dir", target.dir));
        return 0;
    default: return 0;
    }
    call.state = &state;
    call.limit_ms = time_for(deadline);
    told = change_hook_start(hook, &call, err);
    if (told == 0)
        told = wait_for(hook, deadline, &result, err);
    if (told == 0 && !change_hook_settle(&target, &state, &result, err))
        told = -1;
    if (told == 0)
        change_hook_note(&target, state.facts.set);
    change_hook_release(&claim);
    return told;
}

int change_hook_run_all(struct hook *hook, const struct agent *agent, int64_t deadline)
{
    int status = 0;
    struct err err;
    size_t i;

    for (i = 0; hook->pid > 0 && i < agent->config->set_count; i++) {
        if (run_one(hook, agent, i, deadline, &err) == 0)
            continue;
        err.code = ERR_HOOK_FAILED; /* whatever was in the way */
        status = log_error(&err);
    }
    return status;
}
