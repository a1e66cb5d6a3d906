/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/target.h"
#include "base/aside.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/json_write.h"
#include "base/secrecy.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "config/config.h"
#include "install/install_run_lock.h"
#include "process/supervise.h"
#include "run/status.h"
#include "run/target_state.h"

enum { UNHEALTHY = 1, SAY_MS = 1000, HOUR_S = 3600 };

/* The one line, and what it says. */
struct health {
    const struct config *config;
    int64_t deadline;
    bool bad;
    char reason[1024];
};

__attribute__((format(printf, 2, 3))) static bool fail(struct health *health, const char *format,
                                                       ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(health->reason, sizeof health->reason, format, arguments);
    va_end(arguments);
    health->bad = true;
    return false;
}

static bool lasts(struct health *health, const char *which, int64_t end)
{
    const int64_t left = end - clock_wall();

    if (end == 0 || left * 1000 >= health->config->expires_within_ms)
        return true;
    return fail(health, "%s ends in %" PRId64 " hours", which, left / HOUR_S);
}

/* There, whole, and not expired. */
/* set NULL: no secret is configured, and nothing said of which one it should be. */
static bool check_set(struct health *health, const struct config_set *set)
{
    const char *sub = set ? set->sub : "";
    const struct install_target target = agent_target(health->config, sub, health->deadline);
    struct target_state state;

    target_state_read(&target, set, &state);
    /* Where it is not valid yet, the clock went back, and no restart would mend that. */
    if (state.err.code != ERR_NONE && state.err.code != ERR_CERTIFICATE_NOT_YET_VALID)
        return fail(health, "%s%s%s: %s: %s", health->config->dir, *sub ? "/" : "", sub,
                    err_info(state.err.code)->what, state.err.reason);
    return lasts(health, "the certificate", state.not_after) &&
           lasts(health, "a certificate of ca.crt", state.ca_not_after);
}

static bool check_sets(struct health *health)
{
    const struct config *config = health->config;
    size_t i;

    if (config->set_count == 0)
        return check_set(health, NULL);
    for (i = 0; i < config->set_count; i++)
        if (!check_set(health, &config->sets[i]))
            return false;
    return true;
}

/* Its lock tells, whatever became of its status file. */
static bool check_alive(struct health *health)
{
    const struct install_target target = agent_target(health->config, "", health->deadline);

    switch (install_run_lock_holder(&target)) {
    case INSTALL_LOCK_HELD: return true;
    case INSTALL_LOCK_FREE: return fail(health, "mtls-agent run is not alive");
    default: return fail(health, "this user cannot tell whether mtls-agent run is alive");
    }
}

static bool check_age(struct health *health, const struct status *status, json_value set)
{
    char text[STATUS_TEXT_MAX];
    int64_t then, age;

    status_text(status, set, "last_success", text);
    if (clock_parse(text, &then) < 0)
        return fail(health, "no fetch has succeeded since the agent started");
    age = clock_wall() - then;
    if (age * 1000 <= health->config->max_fetch_age_ms)
        return true;
    return fail(health, "the last fetch that succeeded is %" PRId64 " s ago", age);
}

/* A set that no endpoint was shown has no number: a server's, or one that is new to run. */
static bool check_endpoints(struct health *health, const struct status *status, json_value set,
                            size_t *asked)
{
    const int64_t accepting = status_number(status, set, "endpoints_accepting");

    *asked += accepting >= 0;
    if (accepting < 0 || accepting >= health->config->min_endpoints)
        return true;
    return fail(health, "%" PRId64 " endpoints accept, fewer than %" PRId64, accepting,
                health->config->min_endpoints);
}

static bool check_told(struct health *health, const struct status *status)
{
    json_value set, sets = json_member(status->json, 0, "sets");
    size_t asked = 0;
    int at = 0;

    while (sets >= 0 && json_item(status->json, sets, &at, &set)) {
        if (health->config->max_fetch_age_ms && !check_age(health, status, set))
            return false;
        if (health->config->min_endpoints && !check_endpoints(health, status, set, &asked))
            return false;
    }
    if (health->config->min_endpoints && asked == 0)
        return fail(health, "no endpoint was asked yet");
    return true;
}

/* By the last answer of each: none says less than all that was asked for, and one says that. */
static bool check_attested(struct health *health, const struct status *status)
{
    json_value endpoint, endpoints = json_member(status->json, 0, "endpoints");
    char word[STATUS_TEXT_MAX], name[STATUS_TEXT_MAX];
    size_t attested = 0;
    int at = 0;

    while (endpoints >= 0 && json_item(status->json, endpoints, &at, &endpoint)) {
        status_text(status, endpoint, "attestation", word);
        status_text(status, endpoint, "endpoint", name);
        if (strcmp(word, "attested") == 0 || strcmp(word, "attested_other_root") == 0)
            attested++;
        else if (word[0])
            return fail(health, "%s is not attested: %s", name, word);
    }
    return attested > 0 || fail(health, "no endpoint is attested");
}

/*
 * One that hangs holds its lock, but writes nothing any more. By the time since boot: the wall
 * clock may have been set meanwhile.
 */
static bool check_rhythm(struct health *health, const struct status *status)
{
    const int64_t most = status_number(status, 0, "next_within_s");
    const int64_t then = status_number(status, 0, "uptime_s");
    const int64_t age = clock_ms() / 1000 - then;

    if (age < 0 && then >= 0)
        return fail(health, "the status is older than this host's last boot");
    if (most < 0 || then < 0 || age <= most)
        return true;
    return fail(health,
                "mtls-agent run has written no status for %" PRId64 " s, and does so every %" PRId64
                " s or sooner",
                age, most);
}

/* What only the agent knows. Where nobody asked for that, it may have told it to another place. */
static bool check_status(struct health *health)
{
    const bool asked = health->config->max_fetch_age_ms || health->config->min_endpoints ||
                       health->config->attested;
    struct status status;
    struct err err;
    bool good = true;

    if (status_open(&status, health->config, &err) == 0)
        good = check_rhythm(health, &status) && check_told(health, &status) &&
               (!health->config->attested || check_attested(health, &status));
    else if (asked)
        good = fail(health, "%s: %s: %s", err.subject, err_info(err.code)->what, err.reason);
    status_close(&status);
    return good;
}

bool healthcheck_runs(const struct config *config, int64_t deadline, char *reason, size_t size)
{
    struct health health = {.config = config, .deadline = deadline};

    if (check_alive(&health))
        (void)check_status(&health);
    (void)snprintf(reason, size, "%s", health.reason);
    return !health.bad;
}

static int put_line(void *unused, struct bytes line)
{
    (void)unused;
    return fs_write_all(STDOUT_FILENO, line);
}

/* Where nobody reads it, the exit status alone says it. */
static int say(const struct health *health)
{
    static struct aside aside = ASIDE;
    struct buf json = {.public = true};
    char line[sizeof health->reason + 16];

    (void)snprintf(line, sizeof line, "%s%s\n", health->bad ? "unhealthy: " : "healthy",
                   health->bad ? health->reason : "");
    secrecy_mask(line, sizeof line);
    if (output_json) {
        struct json_writer writer = {.out = &json};

        json_open(&writer, NULL, '{');
        json_put_bool(&writer, "healthy", !health->bad);
        json_put_text(&writer, "reason", health->bad ? health->reason : NULL);
        json_close(&writer, '}');
        (void)buf_append_text(&json, "\n");
    }
    aside_start(&aside);
    (void)aside_do(&aside, put_line, NULL, output_json ? buf_bytes(&json) : bytes_of_text(line),
                   SAY_MS);
    buf_free(&json);
    return health->bad ? UNHEALTHY : 0;
}

static int healthcheck(const struct work *work)
{
    struct health health = {.config = work->config, .deadline = work->deadline};

    if (check_sets(&health) && check_alive(&health))
        (void)check_status(&health);
    return say(&health);
}

/* Where a file system hangs, nobody knows. */
int healthcheck_fail(const struct err *err)
{
    struct health health = {0};

    (void)fail(&health, "there was no answer in time: %s", err->reason);
    return say(&health);
}

int command_healthcheck(const struct config *config, unsigned needs)
{
    return supervise(config, needs, healthcheck, NULL) == 0 ? 0 : UNHEALTHY;
}
