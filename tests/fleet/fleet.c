/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/wave.h"
#include "aws/retry.h"
#include "config/config.h"
#include "run/schedule.h"

/*
 * A fleet under a simulated clock: each host's cycles are timed by the agent's own schedule and its
 * tries by the agent's own retries; AWS is a service that answers, or fails at once, which draws
 * more requests than one that hangs. Usage: fleet SERIES, a file that gets requests by the second.
 */
enum {
    HOSTS = 10000,
    MINUTE = 60000,
    HORIZON = 90 * MINUTE,
    SECONDS = HORIZON / 1000,
    INTERVAL = 5 * MINUTE,
    DEADLINE = MINUTE, /* of one cycle */
    LATENCY = 80,      /* of one request, at most */
    LAST_TRY = 1000,
    GET_QUOTA = 10000, /* requests a second for account and region, as published */
    DESCRIBE_QUOTA = 40000,
    SHARE = 10 /* of a quota, that the fleet may take */
};

enum operation { DESCRIBE, GET, OPERATIONS };

static const struct config at_once = {0};
static const struct config waves = {
    .waves = {{10, 0}, {50, 10 * MINUTE}, {100, 60 * MINUTE}},
    .wave_count = 3,
};

static const struct scenario {
    const char *name, *text;
    int64_t change;          /* when the secret changes */
    int64_t fails, recovers; /* when AWS does */
    int64_t counted;         /* from when on peaks count */
    bool pushed;             /* all are told of the change */
    const struct config *config;
} scenarios[] = {
    {"start", "all of them started, a secret changed before", 0, 0, 0, 0, false, &at_once},
    {"change", "one secret changed", 10 * MINUTE, 0, 0, 10 * MINUTE, false, &at_once},
    {"push", "one secret changed, and all were told", 10 * MINUTE, 0, 0, 10 * MINUTE, true,
     &at_once},
    {"waves", "the same in waves, 10%:0s,50%:10m,100%:1h", 10 * MINUTE, 0, 0, 10 * MINUTE, true,
     &waves},
    {"outage", "an outage of 30 minutes ended, a secret changed within", 20 * MINUTE, 10 * MINUTE,
     40 * MINUTE, 40 * MINUTE, false, &at_once},
};

static const int64_t points[] = {MINUTE, 11 * MINUTE, 61 * MINUTE}; /* from counted on */
enum { POINTS = sizeof points / sizeof *points };

struct host {
    int64_t at, deadline; /* of the next request, of the cycle; 0: no cycle goes on */
    enum operation operation;
    bool changed;       /* it has the secret's new version */
    int64_t seen, wait; /* when it saw that first; 0: not yet; and what its wave waits from then */
    struct schedule schedule;
    struct retry retry;
    struct retry_quota quota;
    int next; /* host of the same millisecond, -1: none */
};

struct fleet {
    const struct scenario *scenario;
    struct host hosts[HOSTS];
    int calendar[HORIZON]; /* the first host of each millisecond, -1: none */
    unsigned series[OPERATIONS][SECONDS];
    int64_t last_change;      /* when the last host got the new version */
    unsigned changed[POINTS]; /* how many had it by then */
    uint64_t seed;
};

static uint32_t draw(struct fleet *fleet) /* splitmix64 */
{
    uint64_t z = fleet->seed += 0x9E3779B97F4A7C15;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return (uint32_t)(z >> 32);
}

static void plan(struct fleet *fleet, struct host *host, int64_t at)
{
    host->at = at;
    if (at >= HORIZON)
        return;
    host->next = fleet->calendar[at];
    fleet->calendar[at] = (int)(host - fleet->hosts);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* As take_cycle() plans the next one: a wave's end brings it forward, and so does a push. */
static void finish(struct fleet *fleet, struct host *host, bool failed)
{
    const struct scenario *scenario = fleet->scenario;
    int64_t at = schedule_next(&host->schedule, failed, host->at, draw(fleet));

    host->deadline = 0;
    if (host->seen && !host->changed)
        at = sooner(at, host->seen + host->wait);
    if (scenario->pushed && host->at < scenario->change && at > scenario->change)
        at = sooner(at, schedule_first(&host->schedule, scenario->change, draw(fleet)));
    plan(fleet, host, at);
}

/* As client.c begins a call. */
static void begin(struct host *host, enum operation operation)
{
    host->operation = operation;
    host->retry = (struct retry){.max_attempts = 3, .quota = &host->quota};
}

/* As retry_wait() goes on after a failed try. */
static void fail(struct fleet *fleet, struct host *host)
{
    int64_t left = host->deadline - host->at;
    int64_t delay = retry_next(&host->retry, RETRY_TRANSIENT, 0, draw(fleet));

    if (left <= LAST_TRY) {
        finish(fleet, host, true);
        return;
    }
    plan(fleet, host, host->at + (delay < left - LAST_TRY ? delay : left - LAST_TRY) + 1);
}

/* Whether a host that sees the new version may have it. */
static bool may_change(struct fleet *fleet, struct host *host)
{
    char name[32];

    if (host->changed || host->at < fleet->scenario->change)
        return false;
    if (!host->seen) {
        (void)snprintf(name, sizeof name, "i-%017x", (unsigned)(host - fleet->hosts));
        host->wait = 1000 * wave_delay(fleet->scenario->config, name, "new");
        host->seen = host->at;
    }
    return host->at >= host->seen + host->wait;
}

static void change(struct fleet *fleet, struct host *host)
{
    size_t i;

    host->changed = true;
    fleet->last_change = host->at;
    for (i = 0; i < POINTS; i++)
        fleet->changed[i] += host->at - fleet->scenario->counted <= points[i];
}

static void succeed(struct fleet *fleet, struct host *host)
{
    retry_succeeded(&host->retry);
    if (host->operation == DESCRIBE && may_change(fleet, host)) {
        begin(host, GET);
        plan(fleet, host, host->at + 1 + draw(fleet) % LATENCY);
        return;
    }
    if (host->operation == GET)
        change(fleet, host);
    finish(fleet, host, false);
}

static void request(struct fleet *fleet, struct host *host)
{
    const struct scenario *scenario = fleet->scenario;

    if (!host->deadline) {
        host->deadline = host->at + DEADLINE;
        host->quota = (struct retry_quota){0};
        begin(host, DESCRIBE);
    }
    fleet->series[host->operation][host->at / 1000]++;
    if (host->at >= scenario->fails && host->at < scenario->recovers)
        fail(fleet, host);
    else
        succeed(fleet, host);
}

static void run(struct fleet *fleet)
{
    int at, i;

    for (at = 0; at < HORIZON; at++)
        fleet->calendar[at] = -1;
    for (i = 0; i < HOSTS; i++) {
        fleet->hosts[i].schedule = schedule_of(INTERVAL);
        plan(fleet, &fleet->hosts[i], schedule_first(&fleet->hosts[i].schedule, 0, draw(fleet)));
    }
    for (at = 0; at < HORIZON; at++)
        while ((i = fleet->calendar[at]) >= 0) {
            fleet->calendar[at] = fleet->hosts[i].next;
            request(fleet, &fleet->hosts[i]);
        }
}

static unsigned peak(const struct fleet *fleet, enum operation operation)
{
    unsigned most = 0;
    int64_t second;

    for (second = fleet->scenario->counted / 1000; second < SECONDS; second++)
        if (fleet->series[operation][second] > most)
            most = fleet->series[operation][second];
    return most;
}

static double percent(const struct fleet *fleet, size_t point)
{
    return 100.0 * fleet->changed[point] / HOSTS;
}

static bool report(const struct fleet *fleet, FILE *series)
{
    unsigned describe = peak(fleet, DESCRIBE), get = peak(fleet, GET);
    bool good = describe <= DESCRIBE_QUOTA / SHARE && get <= GET_QUOTA / SHARE &&
                fleet->changed[POINTS - 1] == HOSTS;
    int second;

    printf("  %s  %d hosts, every %d s, after %s: at most %u DescribeSecret a second (of %d) and "
           "%u GetSecretValue (of %d); %.0f %% have it within 1 m, %.0f %% within 11 m, the last "
           "one %lld s later\n",
           good ? "ok  " : "FAIL", HOSTS, INTERVAL / 1000, fleet->scenario->text, describe,
           DESCRIBE_QUOTA / SHARE, get, GET_QUOTA / SHARE, percent(fleet, 0), percent(fleet, 1),
           (long long)(fleet->last_change - fleet->scenario->counted) / 1000);
    for (second = 0; second < SECONDS; second++)
        fprintf(series, "%s\t%d\t%u\t%u\n", fleet->scenario->name, second,
                fleet->series[DESCRIBE][second], fleet->series[GET][second]);
    return good;
}

int main(int argc, char **argv)
{
    const size_t count = sizeof scenarios / sizeof scenarios[0];
    struct fleet *fleet = calloc(1, sizeof *fleet);
    FILE *series = argc == 2 ? fopen(argv[1], "w") : NULL;
    size_t i, passed = 0;

    if (!fleet || !series) {
        fprintf(stderr, "usage: fleet SERIES\n");
        return 2;
    }
    for (i = 0; i < count; i++) {
        memset(fleet, 0, sizeof *fleet);
        fleet->scenario = &scenarios[i];
        fleet->seed = i + 1;
        run(fleet);
        passed += report(fleet, series);
    }
    free(fleet);
    printf("%zu passed, %zu failed\n", passed, count - passed);
    return fclose(series) == 0 && passed == count ? 0 : 1;
}
