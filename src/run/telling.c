/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "config/config.h"
#include "metrics/metrics.h"
#include "run/state.h"
#include "run/tell.h"

enum { CLAIMED_MS = 1000, NOTE_MS = 2000 };

/* More than the runner takes to end a program; and what is a late look. */
enum { TELL_GRACE_MS = 10 * 1000, PUNCTUAL_MS = 500 };

/* ---- who is to be told of what ---- */

static bool is_untold(const struct service_set *set)
{
    return tell_due(&set->survey) && strcmp(set->told, set->survey.facts.set) != 0;
}

/* The next set that nobody was told of yet, and that is due; CONFIG_SETS_MAX: none. */
static size_t untold(const struct service *service, int64_t now)
{
    const size_t count = service->config->set_count;
    size_t i, n;

    for (n = 1; n <= count; n++) {
        i = (service->told_last + n) % count;
        if (is_untold(&service->sets[i]) && now >= service->sets[i].tell_at)
            return i;
    }
    return CONFIG_SETS_MAX;
}

static bool can_tell(const struct service *service)
{
    return service->hook.pid > 0 && service->telling == CONFIG_SETS_MAX &&
           service->busy == DUTY_NONE;
}

/* ---- aside, as the target's file system may hang ---- */

/* As long as the configuration stands, to which it points: no other one is read meanwhile. */
struct note {
    struct install_target target;
    char set[INSTALL_NAME_SIZE];
};

/* One that came too late for who waited is let go of here. */
static int claim_aside(void *user, struct bytes data)
{
    struct service *service = user;
    struct note note;

    memcpy(&note, data.data, sizeof note);
    tell_release(&service->telling_claim);
    service->claimed = tell_claim(&note.target, note.set, &service->telling_claim);
    return 0;
}

static int write_note(void *unused, struct bytes data)
{
    struct note note;

    (void)unused;
    memcpy(&note, data.data, sizeof note);
    tell_note(&note.target, note.set);
    return 0;
}

static void note_told(struct service *service, const struct install_target *target)
{
    struct note note = {.target = *target};

    memcpy(note.set, service->told_of.facts.set, sizeof note.set);
    if (aside_do(&service->notes, write_note, NULL, bytes_of(&note, sizeof note), NOTE_MS) < 0)
        log_event(LOG_LEVEL_WARNING, "hook_not_noted", log_s("dir", target->dir),
                  log_s("reason", strerror(errno)));
}

/* Whether nobody else tells of a set, and nobody has told of it since it was looked at. */
static bool claim(struct service *service, size_t i)
{
    struct service_set *set = &service->sets[i];
    struct note note = {.target = service_target(service, i, clock_ms())};
    enum tell_claim claimed = TELL_BUSY;

    memcpy(note.set, set->survey.facts.set, sizeof note.set);
    if (aside_do(&service->notes, claim_aside, service, bytes_of(&note, sizeof note), NOTE_MS) == 0)
        claimed = service->claimed;
    if (claimed == TELL_TOLD)
        memcpy(set->told, note.set, sizeof set->told);
    else if (claimed == TELL_BUSY)
        set->tell_at = clock_ms() + CLAIMED_MS;
    return claimed == TELL_CLAIMED;
}

/* Closing it may hang as well. */
static int release_aside(void *user, struct bytes unused)
{
    struct service *service = user;

    (void)unused;
    tell_release(&service->telling_claim);
    return 0;
}

/* Also of a claim that came too late. Whether the aside is stuck has to be asked first. */
static void release_claim(struct service *service)
{
    if (service->telling == CONFIG_SETS_MAX && !aside_is_stuck(&service->notes) &&
        service->telling_claim >= 0)
        (void)aside_do(&service->notes, release_aside, service, (struct bytes){0}, NOTE_MS);
}

/* ---- telling ---- */

static void fail_to_tell(struct service *service, const char *result, const struct err *err)
{
    struct err *before = &service->sets[service->telling].told_err;

    if (before->code == ERR_NONE || strcmp(before->reason, err->reason) != 0)
        log_error(err);
    *before = *err;
    metrics_add(service->metrics, METRIC_HOOKS, METRICS_LABELS(result), 1);
}

/* Once more after a while that grows, whatever came of it: who was told is told no more. */
static void end_telling(struct service *service, bool failed)
{
    struct service_set *set = &service->sets[service->telling];
    uint32_t random;

    random_bytes(&random, sizeof random);
    set->tell_at = schedule_next(&set->tell_schedule, failed, clock_ms(), random);
    if (!failed)
        set->tell_at = 0;
    service->telling = CONFIG_SETS_MAX;
    release_claim(service);
    publish(service);
}

/* How this set came into place; OUTCOME_NONE: by another process. */
static enum outcome origin(const struct service_set *set)
{
    return strcmp(set->left, set->survey.facts.set) == 0 ? set->outcome : OUTCOME_NONE;
}

static void start_telling(struct service *service, size_t set)
{
    const struct telling telling = {
        .config = service->config,
        .set = set,
        .outcome = origin(&service->sets[set]),
        .survey = &service->told_of,
        .limit_ms = service->config->on_change_timeout_ms,
    };
    struct err err;

    service->told_last = set;
    if (!claim(service, set))
        return;
    service->telling = set;
    service->sets[set].told[0] = '\0';
    service->tell_until = clock_ms() + service->config->on_change_timeout_ms + TELL_GRACE_MS;
    service->told_of = service->sets[set].survey;
    if (tell_ask(&service->hook, &telling, &err) == 0)
        return;
    fail_to_tell(service, "failed", &err);
    end_telling(service, true);
}

void telling_start(struct service *service, int64_t now)
{
    release_claim(service);
    if (can_tell(service) && untold(service, now) < CONFIG_SETS_MAX)
        start_telling(service, untold(service, now));
}

int64_t telling_next(const struct service *service)
{
    int64_t next = INT64_MAX;
    size_t i;

    if (service->telling < CONFIG_SETS_MAX)
        return service->tell_until;
    for (i = 0; can_tell(service) && i < service->config->set_count; i++)
        if (is_untold(&service->sets[i]) && service->sets[i].tell_at < next)
            next = service->sets[i].tell_at;
    return next;
}

void telling_take(struct service *service)
{
    struct service_set *set = &service->sets[service->telling];
    struct install_target target;
    struct hook_result result;
    struct err err;
    bool told;
    int taken = hook_take(&service->hook, &result);

    if (taken == 0)
        return;
    if (taken < 0) {
        (void)err_set(&err, ERR_SYSTEM, "hook", "its runner is gone");
        service_fail(service, &err);
        return;
    }
    target = service_target(service, service->telling, clock_ms());
    metrics_observe(service->metrics, METRIC_HOOK_DURATION, NULL, result.ms);
    told = tell_settle(&target, &service->told_of, &result, &err);
    if (told) {
        note_told(service, &target);
        memcpy(set->told, service->told_of.facts.set, sizeof set->told);
        set->told_err.code = ERR_NONE;
        metrics_add(service->metrics, METRIC_HOOKS, METRICS_LABELS("done"), 1);
    } else {
        fail_to_tell(service, result.outcome == HOOK_TIMEOUT ? "timeout" : "failed", &err);
    }
    end_telling(service, !told);
}

/*
 * The runner ends a program in time, and tells so: where it does not, it hangs itself, by the file
 * system of a program or a PID file. Who comes late to look was suspended, and it with him.
 */
void telling_check(struct service *service, int64_t now)
{
    struct err err;

    if (service->telling == CONFIG_SETS_MAX || now < service->tell_until)
        return;
    if (now > service->tell_until + PUNCTUAL_MS) {
        service->tell_until = now + TELL_GRACE_MS;
        return;
    }
    (void)err_set(&err, ERR_SYSTEM, "hook", "its runner does not answer");
    service_fail(service, &err);
}
