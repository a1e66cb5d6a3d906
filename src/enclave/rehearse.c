/* SPDX-License-Identifier: Apache-2.0 */
#include "enclave/rehearse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/random.h"
#include "config/config.h"
#include "enclave/probe.h"
#include "host/install.h"
#include "host/installed.h"
#include "identity/identity.h"

/* An enclave that starts with its host may need a moment. */
enum { TRIES = 3, RETRY_BASE_MS = 500 };

/*
 * Few at once, since a fetch has little locked memory, and little of what they answer. A part of
 * the time is left for the install.
 */
enum { PARALLEL = 3, BODY_MAX = 4096, INSTALL_SHARE = 10 };

struct tally {
    size_t verdict[PROBE_VERDICTS];
};

static struct tally count_verdicts(const struct probe *probes, size_t count)
{
    struct tally tally = {{0}};
    size_t i;

    for (i = 0; i < count; i++)
        tally.verdict[probes[i].verdict]++;
    return tally;
}

/* The first endpoint for which the private key made a wrong signature; count: there is none. */
static size_t find_damage(const struct probe_request *all, const struct probe *probes)
{
    size_t i = 0;

    while (i < all->count && !probes[i].signing_failed)
        i++;
    return i;
}

/* Whether another try could change the outcome: only unreachable ones stand in the way. */
static bool is_open(const struct probe_request *all, const struct probe *probes)
{
    struct tally tally = count_verdicts(probes, all->count);
    size_t unknown = tally.verdict[PROBE_UNREACHABLE] + tally.verdict[PROBE_UNASKED];
    bool every = all->config->rehearse == REHEARSE_REQUIRE;

    return unknown > 0 && find_damage(all, probes) == all->count &&
           unknown + (every ? tally.verdict[PROBE_ACCEPTED] : 0) == all->count;
}

/*
 * Asks all of them, and those that could not be reached again. Each time each has its share of the
 * time that is left, so that none waits in vain behind others that say nothing.
 */
static int ask_all(const struct probe_request *all, struct probe *probes, struct err *err)
{
    unsigned attempt;
    size_t i;

    for (attempt = 1;; attempt++) {
        log_event(LOG_LEVEL_INFO, "rehearsal", log_n("endpoints", (int64_t)all->count),
                  log_n("attempt", attempt), log_n("left_ms", clock_left(all->deadline)));
        if (probe_endpoints(all, probes, err) < 0)
            return -1;
        if (!is_open(all, probes) || attempt == TRIES || clock_left(all->deadline) == 0)
            return 0;
        clock_sleep(random_below(RETRY_BASE_MS << attempt), all->deadline);
        for (i = 0; i < all->count; i++)
            if (probes[i].verdict == PROBE_UNREACHABLE)
                probes[i].verdict = PROBE_UNASKED;
    }
}

static void tells_nothing(struct probe *probe)
{
    size_t len = strlen(probe->reason);

    probe->verdict = PROBE_UNREACHABLE;
    (void)snprintf(probe->reason + len, sizeof probe->reason - len,
                   "; the installed identity is treated alike, so nothing is known about this one");
}

/*
 * Servers that verify late (nginx, Node) refuse by an answer or by closing, and so does an
 * application that refuses everybody. The identity in use tells the two apart: what treats it the
 * same says nothing about the next one.
 */
static int settle_doubts(const struct probe_request *all, const struct identity *installed,
                         struct probe *probes, struct err *err)
{
    struct probe_request one = *all;
    size_t i;

    one.count = 1;
    one.identity = installed;
    for (i = 0; i < all->count; i++) {
        struct probe with_installed = {.verdict = PROBE_UNASKED};

        if (probes[i].verdict != PROBE_DOUBTED)
            continue;
        probes[i].verdict = PROBE_REFUSED;
        if (!installed)
            continue;
        one.endpoints = &all->endpoints[i];
        log_event(LOG_LEVEL_INFO, "compare_installed", log_s("endpoint", one.endpoints->text));
        if (probe_endpoints(&one, &with_installed, err) < 0)
            return -1;
        if (with_installed.verdict == PROBE_DOUBTED || with_installed.verdict == PROBE_REFUSED)
            tells_nothing(&probes[i]);
    }
    return 0;
}

static int try_all(const struct probe_request *all, const struct install_target *target,
                   struct probe *probes, struct err *err)
{
    struct identity *installed = NULL;
    struct err none;
    int result;

    if (ask_all(all, probes, err) < 0)
        return -1;
    if (count_verdicts(probes, all->count).verdict[PROBE_DOUBTED] > 0)
        installed = installed_identity(target, &none);
    result = settle_doubts(all, installed, probes, err);
    identity_free(installed);
    return result;
}

static int refuse(const struct probe_request *all, const struct probe *probes,
                  enum probe_verdict verdict, struct err *err)
{
    static const enum err_code codes[PROBE_VERDICTS] = {
        [PROBE_UNASKED] = ERR_DEADLINE,
        [PROBE_REFUSED] = ERR_ENCLAVE_REFUSED,
        [PROBE_NOT_MUTUAL] = ERR_ENCLAVE_REFUSED,
        [PROBE_UNTRUSTED] = ERR_ENCLAVE_UNTRUSTED,
        [PROBE_UNREACHABLE] = ERR_ENCLAVE_UNREACHABLE,
    };
    size_t i = 0;

    while (probes[i].verdict != verdict)
        i++;
    return err_set(err, codes[verdict], all->endpoints[i].text, "%s", probes[i].reason);
}

static int decide(const struct probe_request *all, const struct probe *probes, enum rehearsal *out,
                  struct err *err)
{
    struct tally tally = count_verdicts(probes, all->count);
    bool every = all->config->rehearse == REHEARSE_REQUIRE;
    static const enum probe_verdict against[] = {PROBE_REFUSED, PROBE_NOT_MUTUAL, PROBE_UNTRUSTED};
    size_t i = find_damage(all, probes), accepted = tally.verdict[PROBE_ACCEPTED];

    /* Whatever others say: it would be installed as it is in memory. */
    if (i < all->count)
        return err_set(err, ERR_KEY_INVALID, all->endpoints[i].text, "%s", probes[i].reason);
    if (accepted == all->count || (accepted > 0 && !every)) {
        *out = REHEARSAL_PROVEN;
        if (accepted < all->count)
            log_event(LOG_LEVEL_WARNING, "rehearsal_mixed", log_n("accepted", (int64_t)accepted),
                      log_n("endpoints", (int64_t)all->count));
        return 0;
    }
    for (i = 0; i < sizeof against / sizeof *against; i++)
        if (tally.verdict[against[i]] > 0)
            return refuse(all, probes, against[i], err);
    if (every)
        return refuse(all, probes,
                      tally.verdict[PROBE_UNREACHABLE] > 0 ? PROBE_UNREACHABLE : PROBE_UNASKED,
                      err);
    *out = REHEARSAL_UNPROVEN;
    return 0;
}

int rehearse(const struct config *config, const struct identity *next,
             const struct install_target *target, struct rehearsed *out, struct err *err)
{
    struct probe_request all = {
        .config = config,
        .endpoints = config->endpoints,
        .count = config->endpoint_count,
        .identity = next,
        .parallel = PARALLEL,
        .body_max = BODY_MAX,
        .deadline = target->deadline - clock_left(target->deadline) / INSTALL_SHARE,
    };
    struct probe *probes; /* public, and may be many */
    int result;

    out->outcome = REHEARSAL_SKIPPED;
    if (all.count == 0 || config->rehearse == REHEARSE_OFF || next->client.chain_count == 0)
        return 0;
    probes = calloc(all.count, sizeof *probes);
    if (!probes)
        return err_set(err, ERR_SYSTEM, NULL, "no room to ask %zu endpoints", all.count);
    result = try_all(&all, target, probes, err);
    if (result == 0)
        result = decide(&all, probes, &out->outcome, err);
    if (out->probes)
        memcpy(out->probes, probes, all.count * sizeof *probes);
    free(probes);
    return result;
}

bool enclave_accepts(const struct config *config, const struct identity *identity, int64_t deadline)
{
    struct probe_request all = {
        .config = config,
        .endpoints = config->endpoints,
        .count = config->endpoint_count,
        .identity = identity,
        .parallel = PARALLEL,
        .body_max = BODY_MAX,
        .deadline = deadline,
    };
    struct probe *probes = calloc(all.count + 1, sizeof *probes);
    struct err none;
    bool accepts = probes && probe_endpoints(&all, probes, &none) == 0 &&
                   count_verdicts(probes, all.count).verdict[PROBE_ACCEPTED] > 0;

    free(probes);
    return accepts;
}
