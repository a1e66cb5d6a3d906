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
#include "enclave/attestation.h"
#include "enclave/pins.h"
#include "enclave/probe.h"
#include "identity/identity.h"
#include "install/install.h"
#include "install/installed.h"

/* An enclave that starts with its host may need a moment. */
enum { TRIES = 3, RETRY_BASE_MS = 500, PAUSES = 4 /* that grow, each twice the one before */ };

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

static bool says_nothing(enum probe_verdict verdict)
{
    return verdict == PROBE_UNREACHABLE || verdict == PROBE_SILENT;
}

/*
 * Whether another try could change the outcome: only those that say nothing stand in the way. Who
 * fell silent is asked until the deadline, who cannot be reached a few times.
 */
static bool is_open(const struct probe_request *all, const struct probe *probes, unsigned attempt)
{
    struct tally tally = count_verdicts(probes, all->count);
    size_t nothing = tally.verdict[PROBE_UNREACHABLE] + tally.verdict[PROBE_SILENT] +
                     tally.verdict[PROBE_UNASKED];
    bool every = all->config->rehearse == REHEARSE_REQUIRE;

    return nothing > 0 && (attempt < TRIES || tally.verdict[PROBE_SILENT] > 0) &&
           find_damage(all, probes) == all->count &&
           nothing + (every ? tally.verdict[PROBE_ACCEPTED] : 0) == all->count;
}

static void add_reason(struct probe *probe, enum probe_verdict verdict, const char *reason)
{
    size_t len = strlen(probe->reason);

    probe->verdict = verdict;
    (void)snprintf(probe->reason + len, sizeof probe->reason - len,
                   "; the installed identity is %s", reason);
}

/*
 * Servers that verify late (nginx, Node) refuse by an answer or by closing, some refuse by silence,
 * and so does an application that refuses everybody. The identity in use tells them apart: what
 * accepts it has refused the next one, what does not says nothing about either.
 */
static void settle_probe(struct probe *probe, const struct probe *with_installed)
{
    if (with_installed->verdict == PROBE_ACCEPTED || with_installed->verdict == PROBE_UNATTESTED)
        add_reason(probe, PROBE_REFUSED, "accepted there");
    else if (probe->verdict == PROBE_DOUBTED)
        add_reason(probe, PROBE_UNREACHABLE,
                   "not accepted there either, so nothing is known about this one");
}

static int ask_with(const struct identity *installed, const struct probe_request *all, size_t i,
                    struct probe *out, struct err *err)
{
    struct probe_request one = *all;

    one.endpoints = &all->endpoints[i];
    one.count = 1;
    one.identity = installed;
    *out = (struct probe){.verdict = PROBE_UNASKED};
    log_event(LOG_LEVEL_INFO, "compare_installed", log_s("endpoint", one.endpoints->text));
    return probe_endpoints(&one, out, err);
}

/* Tries the installed identity where the next one met a verdict that may mean several things. */
static int compare(const struct probe_request *all, const struct install_target *target,
                   enum probe_verdict verdict, struct probe *probes, struct err *err)
{
    struct identity *installed = NULL;
    struct probe with_installed;
    int result = 0;
    size_t i;

    if (count_verdicts(probes, all->count).verdict[verdict] > 0) {
        installed = installed_identity(target, err);
        if (!installed && err_info(err->code)->class == ERR_OF_HOST)
            return -1;
    }
    for (i = 0; i < all->count && result == 0; i++) {
        if (probes[i].verdict != verdict)
            continue;
        if (installed) {
            result = ask_with(installed, all, i, &with_installed, err);
            settle_probe(&probes[i], &with_installed);
        } else if (verdict == PROBE_DOUBTED) {
            probes[i].verdict = PROBE_REFUSED;
        }
    }
    identity_free(installed);
    return result;
}

/* Asks those that said nothing once more. What one said before stands where it is not reached. */
static int ask_again(const struct probe_request *all, struct probe *probes, struct err *err)
{
    struct probe *before = calloc(all->count, sizeof *before);
    int result;
    size_t i;

    if (!before)
        return err_set(err, ERR_MEMORY_FULL, NULL, "no room to ask %zu endpoints", all->count);
    memcpy(before, probes, all->count * sizeof *before);
    for (i = 0; i < all->count; i++)
        if (says_nothing(probes[i].verdict))
            probes[i] = (struct probe){.verdict = PROBE_UNASKED};
    result = probe_endpoints(all, probes, err);
    for (i = 0; i < all->count; i++)
        if (probes[i].verdict == PROBE_UNASKED)
            probes[i] = before[i];
    free(before);
    return result;
}

/*
 * Asks all of them, and those that said nothing again. Each time each has its share of the time
 * that is left, so that none waits in vain behind others that say nothing.
 */
static int ask_all(const struct probe_request *all, const struct install_target *target,
                   struct probe *probes, struct err *err)
{
    unsigned attempt;
    int result;

    for (attempt = 1;; attempt++) {
        log_event(LOG_LEVEL_INFO, "rehearsal",
                  log_s("set", *target->sub ? target->sub : target->dir),
                  log_n("endpoints", (int64_t)all->count), log_n("attempt", attempt),
                  log_n("left_ms", clock_left(all->deadline)));
        result = attempt == 1 ? probe_endpoints(all, probes, err) : ask_again(all, probes, err);
        if (result == 0 && is_open(all, probes, attempt))
            result = compare(all, target, PROBE_SILENT, probes, err);
        if (result < 0)
            return -1;
        if (!is_open(all, probes, attempt))
            return 0;
        clock_sleep(random_below(RETRY_BASE_MS << (attempt < PAUSES ? attempt : PAUSES)),
                    all->deadline);
        if (clock_left(all->deadline) == 0)
            return 0;
    }
}

/* Why we do not accept an enclave's certificate. */
static enum err_code cause_of(enum verify_status status)
{
    switch (status) {
    case VERIFY_NO_ISSUER:
    case VERIFY_BAD_SIGNATURE: return CAUSE_ENCLAVE_CA;
    case VERIFY_EXPIRED:
    case VERIFY_NOT_YET_VALID: return CAUSE_ENCLAVE_DATES;
    case VERIFY_NAME_MISMATCH:
    case VERIFY_COMMON_NAME_ONLY: return CAUSE_ENCLAVE_NAME;
    case VERIFY_LIMIT: return CAUSE_ENCLAVE_CHAIN;
    default: return CAUSE_ENCLAVE_CERTIFICATE;
    }
}

int probe_blame(const struct endpoint *endpoint, const struct probe *probe, struct err *err)
{
    static const enum err_code codes[PROBE_VERDICTS] = {
        [PROBE_UNASKED] = ERR_DEADLINE,           [PROBE_REFUSED] = ERR_ENCLAVE_REFUSED,
        [PROBE_DOUBTED] = ERR_ENCLAVE_REFUSED,    [PROBE_NOT_MUTUAL] = CAUSE_NOT_MUTUAL,
        [PROBE_SILENT] = ERR_ENCLAVE_UNREACHABLE, [PROBE_UNREACHABLE] = ERR_ENCLAVE_UNREACHABLE,
    };
    const enum probe_verdict verdict = probe->verdict;
    enum err_code code = codes[verdict];

    if (verdict == PROBE_UNATTESTED || verdict == PROBE_ACCEPTED)
        code = probe->attested.code;
    else if (verdict == PROBE_UNTRUSTED)
        code = cause_of(probe->verify);
    else if ((verdict == PROBE_SILENT || verdict == PROBE_UNREACHABLE) && probe->cause)
        code = probe->cause;
    return err_set(err, code, endpoint->text, "%s", probe->reason);
}

static int refuse(const struct probe_request *all, const struct probe *probes,
                  enum probe_verdict verdict, struct err *err)
{
    size_t i = 0;

    while (probes[i].verdict != verdict)
        i++;
    return probe_blame(&all->endpoints[i], &probes[i], err);
}

static int decide(const struct probe_request *all, const struct probe *probes, enum rehearsal *out,
                  struct err *err)
{
    struct tally tally = count_verdicts(probes, all->count);
    bool every = all->config->rehearse == REHEARSE_REQUIRE;
    static const enum probe_verdict against[] = {PROBE_REFUSED, PROBE_NOT_MUTUAL, PROBE_UNTRUSTED,
                                                 PROBE_UNATTESTED};
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
                      tally.verdict[PROBE_SILENT] > 0        ? PROBE_SILENT
                      : tally.verdict[PROBE_UNREACHABLE] > 0 ? PROBE_UNREACHABLE
                                                             : PROBE_UNASKED,
                      err);
    *out = REHEARSAL_UNPROVEN;
    return 0;
}

/* Of those that were attested just now. */
static void write_pins(const struct probe_request *all, const struct probe *probes)
{
    struct attested *attested = calloc(all->count, sizeof *attested);
    size_t i;

    for (i = 0; attested && i < all->count; i++)
        if (probes[i].attested.asked && probes[i].attested.code == ERR_NONE)
            attested_add(&attested[i], &probes[i].attested, clock_ms());
    pins_write(all->config, attested);
    free(attested);
}

static struct probe_request all_of(const struct config *config, const struct identity *identity,
                                   int64_t deadline)
{
    return (struct probe_request){
        .config = config,
        .endpoints = config->endpoints,
        .count = config->endpoint_count,
        .identity = identity,
        .parallel = PARALLEL,
        .body_max = BODY_MAX,
        .deadline = deadline,
    };
}

int rehearse(const struct config *config, const struct identity *next,
             const struct install_target *target, struct rehearsed *out, struct err *err)
{
    struct probe_request all =
        all_of(config, next, target->deadline - clock_left(target->deadline) / INSTALL_SHARE);
    struct probe *probes; /* public, and may be many */
    int result;

    out->outcome = REHEARSAL_SKIPPED;
    if (all.count == 0 || config->rehearse == REHEARSE_OFF || next->client.chain_count == 0)
        return 0;
    probes = calloc(all.count, sizeof *probes);
    if (!probes)
        return err_set(err, ERR_MEMORY_FULL, NULL, "no room to ask %zu endpoints", all.count);
    result = ask_all(&all, target, probes, err);
    if (result == 0)
        result = compare(&all, target, PROBE_DOUBTED, probes, err);
    if (result == 0)
        result = decide(&all, probes, &out->outcome, err);
    if (result == 0 && out->pins && config->attest_pins)
        write_pins(&all, probes);
    if (out->probes)
        memcpy(out->probes, probes, all.count * sizeof *probes);
    free(probes);
    return result;
}

int enclave_accepts(const struct config *config, const struct identity *identity, int64_t deadline,
                    struct err *err)
{
    struct probe_request all = all_of(config, identity, deadline);
    struct probe *probes = calloc(all.count + 1, sizeof *probes);
    int accepts = -1;

    if (!probes)
        (void)err_set(err, ERR_MEMORY_FULL, NULL, "no room to ask %zu endpoints", all.count);
    else if (probe_endpoints(&all, probes, err) == 0)
        accepts = count_verdicts(probes, all.count).verdict[PROBE_ACCEPTED] > 0;
    free(probes);
    return accepts;
}
