/* SPDX-License-Identifier: Apache-2.0 */
#include "run/tell.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/target.h"
#include "base/clock.h"
#include "base/log.h"
#include "hook/hook.h"
#include "install/install_hold.h"
#include "install/install_memory.h"
#include "run/survey.h"

/* Beside its work the agent does not wait long for the lock of a directory. */
enum { NOTE_MS = 1000, KILLING_MS = HOOK_GRACE_MS + 1000 };

int tell_open(struct hook *hook, const struct config *config, struct err *err)
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

bool tell_due(const struct survey *survey)
{
    return survey->facts.set[0] && !survey->told;
}

/* Another process may hold the lock, or the file system be full: then it is told once more. */
void tell_note(const struct install_target *target, const char *set)
{
    const struct install_memory_change change = {.told = set};
    struct install_target soon = *target;
    struct err err;

    soon.deadline = clock_ms() + NOTE_MS;
    if (install_memory_update(&soon, &change, &err) == 0)
        return;
    log_event(LOG_LEVEL_WARNING, "hook_not_noted", log_s("dir", target->dir),
              log_s("reason", err.reason));
}

enum tell_claim tell_claim(const struct install_target *target, const char *set, int *claim)
{
    struct install_memory memory;
    struct err err;

    if (install_claim(target, claim, &err) < 0 && err.code == ERR_DEADLINE)
        return TELL_BUSY;
    if (install_memory_read(target, &memory, &err) < 0)
        return TELL_CLAIMED;
    if (strcmp(memory.told, set) != 0) {
        if (memory.told[0]) /* whatever comes of it, a set that comes back is news again */
            tell_note(target, "");
        return TELL_CLAIMED;
    }
    tell_release(claim);
    return TELL_TOLD;
}

void tell_release(int *claim)
{
    if (*claim >= 0)
        close(*claim);
    *claim = -1;
}

int tell_ask(struct hook *hook, const struct telling *telling, struct err *err)
{
    const struct config *config = telling->config;
    const struct survey *survey = telling->survey;
    const char *sub = config->sets[telling->set].sub;
    char dir[2 * 1024 + CONFIG_SUB_MAX], not_after[CLOCK_TEXT_MAX];
    const struct outcome_info *outcome = outcome_info(telling->outcome);
    const struct hook_change change = {
        .event = outcome->change ? outcome->name : "pending",
        .set = sub,
        .dir = dir,
        .fingerprint = survey->fingerprint,
        .not_after = not_after,
        .version_id = survey->facts.version_count ? survey->facts.version_ids[0] : "",
    };

    (void)snprintf(dir, sizeof dir, "%s%s%s%s", config->root, config->dir, *sub ? "/" : "", sub);
    clock_format(not_after, survey->not_after);
    return hook_tell(hook, &change, telling->limit_ms, err);
}

bool tell_settle(const struct install_target *target, const struct survey *survey,
                 const struct hook_result *result, struct err *err)
{
    if (result->outcome != HOOK_DONE) {
        (void)err_set(err, ERR_HOOK_FAILED, target->dir, "%s", result->reason);
        return false;
    }
    log_event(LOG_LEVEL_INFO, "hook_done", log_s("dir", target->dir),
              log_s("fingerprint", survey->fingerprint), log_n("ms", result->ms));
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

static int tell(struct hook *hook, const struct agent *agent, size_t set, int64_t deadline,
                struct err *err)
{
    const struct config *config = agent->config;
    const struct install_target target = agent_target(config, config->sets[set].sub, deadline);
    struct telling telling = {.config = config, .set = set, .outcome = agent->sets[set].outcome};
    struct hook_result result;
    struct survey survey;
    int claim, told;

    survey_target(&target, &config->sets[set], &survey);
    if (!tell_due(&survey))
        return survey.facts.set[0] || err_info(survey.err.code)->class != ERR_OF_HOST
                   ? 0
                   : err_set(err, ERR_HOOK_FAILED, target.dir, "%s", survey.err.reason);
    switch (tell_claim(&target, survey.facts.set, &claim)) {
    case TELL_CLAIMED: break;
    case TELL_BUSY: log_event(LOG_LEVEL_INFO, "hook_elsewhere", log_s("dir", target.dir)); return 0;
    default: return 0;
    }
    telling.survey = &survey;
    telling.limit_ms = time_for(deadline);
    told = tell_ask(hook, &telling, err);
    if (told == 0)
        told = wait_for(hook, deadline, &result, err);
    if (told == 0 && !tell_settle(&target, &survey, &result, err))
        told = -1;
    if (told == 0)
        tell_note(&target, survey.facts.set);
    tell_release(&claim);
    return told;
}

int tell_all(struct hook *hook, const struct agent *agent, int64_t deadline)
{
    int status = 0;
    struct err err;
    size_t i;

    for (i = 0; hook->pid > 0 && i < agent->config->set_count; i++) {
        if (tell(hook, agent, i, deadline, &err) == 0)
            continue;
        err.code = ERR_HOOK_FAILED; /* whatever was in the way */
        status = log_error(&err);
    }
    return status;
}
