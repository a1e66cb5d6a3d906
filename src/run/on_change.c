/* SPDX-License-Identifier: Apache-2.0 */
#include "run/on_change.h"

#include <errno.h>
#include <string.h>

#include "agent/target.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "metrics/metrics.h"
#include "run/change_hook.h"
#include "run/seen.h"

enum { CLAIMED_MS = 1000, NOTE_MS = 2000 };

/* More than the runner takes to end a program; and what is a late look. */
enum { HOOK_LATE_MS = 10 * 1000, PUNCTUAL_MS = 500 };

void on_change_open(struct on_change *on_change)
{
    on_change->set = CONFIG_SETS_MAX;
    on_change->claim = on_change->hook.fd = -1;
    on_change->notes = (struct aside)ASIDE;
}

void on_change_configure(struct on_change *on_change, const struct config *config)
{
    const struct schedule schedule = schedule_of(config->interval_ms);
    size_t i;

    on_change->config = config;
    for (i = 0; i < config->set_count; i++) {
        on_change->sets[i].schedule.interval_ms = schedule.interval_ms;
        on_change->sets[i].schedule.floor_ms = schedule.floor_ms;
    }
}

/* ---- who is to be told of what ---- */

bool on_change_busy(const struct on_change *on_change)
{
    return on_change->set < CONFIG_SETS_MAX;
}

static bool is_untold(const struct on_change *on_change, const struct seen *seen, size_t i)
{
    const struct target_state *state = &seen->sets[i].state;

    return change_hook_due(state) && strcmp(on_change->sets[i].told, state->facts.set) != 0;
}

/* The next set that nobody was told of yet, and that is due; CONFIG_SETS_MAX: none. */
static size_t untold(const struct on_change *on_change, const struct seen *seen)
{
    const size_t count = on_change->config->set_count;
    size_t i, n;

    for (n = 1; n <= count; n++) {
        i = (on_change->last + n) % count;
        if (is_untold(on_change, seen, i) && clock_left(on_change->sets[i].at) == 0)
            return i;
    }
    return CONFIG_SETS_MAX;
}

const char *on_change_state(const struct on_change *on_change, const struct seen *seen, size_t i)
{
    const struct on_change_set *set = &on_change->sets[i];
    const struct target_state *state = &seen->sets[i].state;

    if (on_change->hook.pid <= 0)
        return "none";
    if (on_change->set == i)
        return "running";
    if (state->told || strcmp(set->told, state->facts.set) == 0)
        return "done";
    return set->err.code == ERR_NONE ? "pending" : "failed";
}

/* ---- aside, as the target's file system may hang ---- */

/* As long as the configuration stands, to which it points: no other one is read meanwhile. */
struct note {
    struct install_target target;
    char set[INSTALL_NAME_SIZE];
};

static struct note note_of(const struct on_change *on_change, size_t i, const char *set)
{
    struct note note = {
        .target = agent_target(on_change->config, on_change->config->sets[i].sub, clock_ms())};

    memcpy(note.set, set, sizeof note.set);
    return note;
}

/* One that came too late for who waited is let go of here. */
static int claim_aside(void *user, struct bytes data)
{
    struct on_change *on_change = user;
    struct note note;

    memcpy(&note, data.data, sizeof note);
    change_hook_release(&on_change->claim);
    on_change->claimed = change_hook_claim(&note.target, note.set, &on_change->claim);
    return 0;
}

static int write_note(void *unused, struct bytes data)
{
    struct note note;

    (void)unused;
    memcpy(&note, data.data, sizeof note);
    change_hook_note(&note.target, note.set);
    return 0;
}

/* Whether nobody else tells of a set, and nobody has told of it since it was looked at. */
static bool claim(struct on_change *on_change, const struct seen *seen, size_t i)
{
    const struct note note = note_of(on_change, i, seen->sets[i].state.facts.set);
    struct on_change_set *set = &on_change->sets[i];
    enum change_hook_claim claimed = CHANGE_HOOK_BUSY;

    if (aside_do(&on_change->notes, claim_aside, on_change, bytes_of(&note, sizeof note),
                 NOTE_MS) == 0)
        claimed = on_change->claimed;
    if (claimed == CHANGE_HOOK_DONE)
        memcpy(set->told, note.set, sizeof set->told);
    else if (claimed == CHANGE_HOOK_BUSY)
        set->at = clock_ms() + CLAIMED_MS;
    return claimed == CHANGE_HOOK_CLAIMED;
}

/* Closing it may hang as well. */
static int release_aside(void *user, struct bytes unused)
{
    struct on_change *on_change = user;

    (void)unused;
    change_hook_release(&on_change->claim);
    return 0;
}

/* Also of a claim that came too late. Whether the aside is stuck has to be asked first. */
static void release_claim(struct on_change *on_change)
{
    if (!on_change_busy(on_change) && !aside_is_stuck(&on_change->notes) && on_change->claim >= 0)
        (void)aside_do(&on_change->notes, release_aside, on_change, (struct bytes){0}, NOTE_MS);
}

/* ---- call ---- */

static void note_failure(struct on_change *on_change, const char *result, const struct err *err)
{
    struct err *before = &on_change->sets[on_change->set].err;

    if (before->code == ERR_NONE || strcmp(before->reason, err->reason) != 0)
        log_error(err);
    *before = *err;
    metrics_add(on_change->metrics, METRIC_HOOKS, METRICS_LABELS(result), 1);
}

/* Once more after a while that grows, whatever came of it: who was told is told no more. */
static void end_call(struct on_change *on_change, bool failed)
{
    struct on_change_set *set = &on_change->sets[on_change->set];
    uint32_t random;

    random_bytes(&random, sizeof random);
    set->at = schedule_next(&set->schedule, failed, clock_ms(), random);
    if (!failed)
        set->at = 0;
    on_change->set = CONFIG_SETS_MAX;
    release_claim(on_change);
}

bool on_change_start(struct on_change *on_change, const struct seen *seen, bool idle)
{
    struct change_hook_call call = {.config = on_change->config,
                                    .state = &on_change->state,
                                    .limit_ms = on_change->config->on_change_timeout_ms};
    const struct seen_set *set;
    struct err err;

    release_claim(on_change);
    if (on_change->hook.pid <= 0 || on_change_busy(on_change) || !idle)
        return false;
    call.set = untold(on_change, seen);
    if (call.set == CONFIG_SETS_MAX)
        return false;
    on_change->last = call.set;
    if (!claim(on_change, seen, call.set))
        return false;
    set = &seen->sets[call.set];
    if (strcmp(set->left, set->state.facts.set) == 0) /* else it came by another process */
        call.outcome = set->outcome;
    on_change->set = call.set;
    on_change->sets[call.set].told[0] = '\0';
    on_change->until = clock_ms() + call.limit_ms + HOOK_LATE_MS;
    on_change->state = set->state;
    if (change_hook_start(&on_change->hook, &call, &err) == 0)
        return false;
    note_failure(on_change, "failed", &err);
    end_call(on_change, true);
    return true;
}

int64_t on_change_next(const struct on_change *on_change, const struct seen *seen, bool idle)
{
    int64_t next = INT64_MAX;
    size_t i;

    if (on_change_busy(on_change))
        return on_change->until;
    if (on_change->hook.pid <= 0 || !idle)
        return next;
    for (i = 0; i < on_change->config->set_count; i++)
        if (is_untold(on_change, seen, i) && on_change->sets[i].at < next)
            next = on_change->sets[i].at;
    return next;
}

int on_change_take(struct on_change *on_change, struct err *err)
{
    struct on_change_set *set = &on_change->sets[on_change->set];
    struct hook_result result;
    struct err failure;
    struct note note;
    bool told;
    int taken = hook_take(&on_change->hook, &result);

    if (taken == 0)
        return 0;
    if (taken < 0)
        return err_set(err, ERR_SYSTEM, "hook", "its runner is gone");
    note = note_of(on_change, on_change->set, on_change->state.facts.set);
    metrics_observe(on_change->metrics, METRIC_HOOK_DURATION, NULL, result.ms);
    told = change_hook_settle(&note.target, &on_change->state, &result, &failure);
    if (told) {
        if (aside_do(&on_change->notes, write_note, NULL, bytes_of(&note, sizeof note), NOTE_MS) <
            0)
            log_event(LOG_LEVEL_WARNING, "hook_not_noted", log_s("dir", note.target.dir),
                      log_s("reason", strerror(errno)));
        memcpy(set->told, note.set, sizeof set->told);
        set->err.code = ERR_NONE;
        metrics_add(on_change->metrics, METRIC_HOOKS, METRICS_LABELS("done"), 1);
    } else {
        note_failure(on_change, result.outcome == HOOK_TIMEOUT ? "timeout" : "failed", &failure);
    }
    end_call(on_change, !told);
    return 1;
}

/*
 * The runner ends a program in time, and tells so: where it does not, it hangs itself, by the file
 * system of a program or a PID file. Who comes late to look was suspended, and it with him.
 */
int on_change_check(struct on_change *on_change, struct err *err)
{
    const int64_t now = clock_ms();

    if (!on_change_busy(on_change) || now < on_change->until)
        return 0;
    if (now <= on_change->until + PUNCTUAL_MS)
        return err_set(err, ERR_SYSTEM, "hook", "its runner does not answer");
    on_change->until = now + HOOK_LATE_MS;
    return 0;
}
