/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/agent_parts.h"
#include "base/clock.h"
#include "base/log.h"
#include "identity/identity.h"
#include "install/install_rollback.h"
#include "install/install_state.h"
#include "install/installed.h"

enum {
    /* An installed identity with less life than this, or than a tenth of its own, is no longer
       worth keeping in place of another. */
    KEEP_MARGIN_S = 3600,
    KEEP_MARGIN_SHARE = 10,
    /* A version that failed is tried again after one interval, two, four, so many at most. */
    AGAIN_MAX = 12,
    /* One that was rolled back by itself, after an hour, or so many intervals if that is less. */
    CHANCE_MS = 60 * 60 * 1000
};

static int64_t keep_margin(const struct identity *identity)
{
    const int64_t share = (identity->not_after - identity->not_before) / KEEP_MARGIN_SHARE;

    return share < KEEP_MARGIN_S ? share : KEEP_MARGIN_S;
}

/* Whether what is installed was made of other secrets: another environment's, as like as not. */
static bool is_of_others(const struct delivery *delivery, char other[INSTALL_OTHER_MAX])
{
    struct install_source sources[CONFIG_SECRETS_MAX];

    set_sources(delivery->set, delivery->origins, sources);
    return install_origin(&delivery->target, NULL, sources, delivery->set->secret_count, other) ==
           INSTALL_OF_OTHERS;
}

/*
 * The installed identity, where it is whole, of these secrets and of whom it should be; else NULL,
 * and err says why not.
 */
static struct identity *sound_identity(const struct delivery *delivery, struct err *err)
{
    struct identity *identity = NULL;
    char other[INSTALL_OTHER_MAX];
    struct installed facts;
    const char *forbidden;

    (void)install_facts(&delivery->target, &facts);
    forbidden = version_forbidden(delivery->config, &facts);
    if (is_of_others(delivery, other))
        (void)err_set(err, ERR_IDENTITY_UNEXPECTED, delivery->target.dir, "it was made of %s",
                      other);
    else if (forbidden)
        (void)err_set(err, ERR_IDENTITY_UNEXPECTED, delivery->target.dir,
                      "version %s is forbidden by --forbid-version", forbidden);
    else if (install_check(&delivery->target, err) == 0)
        identity = installed_identity(&delivery->target, err);
    if (identity && delivery_expect(delivery, identity, err) < 0) {
        identity_free(identity);
        identity = NULL;
    }
    return identity;
}

/* The same, where it will serve for so many seconds, and a while more. */
static struct identity *serving_for(const struct delivery *delivery, int64_t seconds,
                                    struct err *err)
{
    struct identity *identity = sound_identity(delivery, err);
    char not_after[CLOCK_TEXT_MAX];

    if (!identity || identity->not_after - clock_wall() - seconds >= keep_margin(identity))
        return identity;
    clock_format(not_after, identity->not_after);
    (void)err_set(err, ERR_CERTIFICATE_EXPIRED, delivery->target.dir, "its certificate ends at %s",
                  not_after);
    identity_free(identity);
    return NULL;
}

static struct identity *serving_identity(const struct delivery *delivery, struct err *err)
{
    return serving_for(delivery, 0, err);
}

bool keep_serves(const struct delivery *delivery, int64_t seconds)
{
    struct err unfit;
    struct identity *identity = serving_for(delivery, seconds, &unfit);

    identity_free(identity);
    return identity;
}

/* Adds to why AWS could not be asked that what is installed is no substitute. */
static void explain_unfit(const struct err *unfit, struct err *err)
{
    const size_t len = strlen(err->reason);

    if (unfit->code != ERR_NO_IDENTITY)
        (void)snprintf(err->reason + len, sizeof err->reason - len,
                       "; what is installed is no substitute: %s", unfit->reason);
}

bool keep_stale(const struct delivery *delivery, struct err *err)
{
    struct identity *identity;
    struct err unfit;

    if (!delivery->config->keep_if_unreachable || delivery->config->dry_run ||
        err_info(err->code)->class != ERR_IS_PASSING)
        return false;
    identity = serving_identity(delivery, &unfit);
    if (!identity) {
        explain_unfit(&unfit, err);
        return false;
    }
    delivery->record->outcome = OUTCOME_KEPT_STALE;
    delivery->record->err = *err;
    log_event(LOG_LEVEL_WARNING, "kept_stale", log_s("set", delivery_name(delivery)),
              log_s("fingerprint", identity->fingerprint), log_s("code", err_info(err->code)->name),
              log_s("subject", err->subject), log_s("reason", err->reason));
    identity_free(identity);
    return true;
}

/* Trust that ends by itself needs no proof of what remains. */
static bool is_installed(const struct delivery *delivery, const struct identity *installed)
{
    const struct identity *next = delivery->identity;

    return strcmp(next->fingerprint, installed->fingerprint) == 0 &&
           (delivery->overlap.only_ended ||
            bytes_equal(buf_bytes(&next->file[BUNDLE_CA_CERT]),
                        buf_bytes(&installed->file[BUNDLE_CA_CERT])));
}

/* What serves now is not replaced by what nobody has tried; nor is what cannot be looked at for a
 * shortage of this host's. */
int keep_unproven(const struct delivery *delivery, struct err *err)
{
    struct err unfit;
    struct identity *installed = serving_identity(delivery, &unfit);
    bool keep = installed && !is_installed(delivery, installed);

    if (!installed && err_info(unfit.code)->class == ERR_OF_HOST) {
        *err = unfit;
        return -1;
    }
    if (keep)
        delivery->record->outcome = OUTCOME_KEPT_UNPROVEN;
    log_event(LOG_LEVEL_WARNING, keep ? "kept_unproven" : "unproven",
              log_s("set", delivery_name(delivery)),
              log_s("fingerprint", keep ? installed->fingerprint : NULL),
              log_s("reason", "no endpoint could be reached to try the identity"));
    identity_free(installed);
    return keep;
}

void note_untried(const struct delivery *delivery)
{
    if (delivery->rehearsal == REHEARSAL_SKIPPED && !delivery->recalled && !delivery->again &&
        delivery->identity->client.chain_count > 0)
        log_event(LOG_LEVEL_INFO, "unproven", log_s("set", delivery_name(delivery)),
                  log_s("reason", delivery->config->rehearse == REHEARSE_OFF
                                      ? "rehearse is off"
                                      : "no endpoint is configured"));
}

/* Of a version that went wrong after all: it may have another chance once no enclave takes what
 * is installed instead of it. */
static bool serves_instead(const struct delivery *delivery)
{
    struct err unfit;
    struct identity *installed = serving_identity(delivery, &unfit);
    /* Where none could be asked, nothing is known against it. */
    bool serves = installed && enclave_accepts(delivery->config, installed,
                                               delivery->target.deadline, &unfit) != 0;

    identity_free(installed);
    return serves;
}

/* Whether a version that was rolled back by itself was not tried for long. */
static bool is_due(const struct delivery *delivery, const struct install_state *state)
{
    const int64_t intervals = AGAIN_MAX * delivery->config->interval_ms;
    const int64_t since = clock_wall() - state->tried;

    return since < 0 || since * 1000 >= (intervals < CHANCE_MS ? intervals : CHANCE_MS);
}

/* Noted before it is done: a chance that cannot be noted would be one in each cycle. */
static bool take_chance(struct delivery *delivery)
{
    const struct install_state_change change = {.rolled_back = delivery->version,
                                                .tried = clock_wall()};
    struct err err;

    delivery->again = install_state_update(&delivery->target, &change, &err) == 0;
    if (delivery->again)
        log_event(LOG_LEVEL_INFO, "tried_again", log_s("set", delivery_name(delivery)));
    return delivery->again;
}

/* Whether the version is known to be the installed one. */
static bool is_known(const struct delivery *delivery)
{
    struct installed facts;

    return install_facts(&delivery->target, &facts) &&
           strcmp(facts.version, delivery->version) == 0;
}

/* Whether the agent's state keeps a version from being tried. */
static bool is_held_back(struct delivery *delivery)
{
    struct install_state state;
    struct err none;

    /* What is installed already is looked at, and healed, as any other. */
    if (is_known(delivery))
        return false;
    if (install_state_read(&delivery->target, &state, &none) < 0)
        return false;
    if (strcmp(state.held_back, delivery->version) == 0)
        return true;
    if (strcmp(state.rolled_back, delivery->version) != 0)
        return false;
    if (serves_instead(delivery))
        return !(is_due(delivery, &state) && take_chance(delivery));
    delivery->again = keep_serves(delivery, 0); /* forward only where an enclave accepts it */
    return false;
}

const char *version_forbidden(const struct config *config, const struct installed *facts)
{
    size_t i, v;

    for (i = 0; i < config->forbidden_count; i++)
        for (v = 0; v < facts->version_count; v++)
            if (strcmp(config->forbidden[i], facts->version_ids[v]) == 0)
                return config->forbidden[i];
    return NULL;
}

bool keep_back(const struct delivery *delivery, const struct err *err)
{
    if (!delivery->again || err_info(err->code)->class != ERR_OF_ENCLAVE)
        return false;
    log_event(LOG_LEVEL_WARNING, "still_refused", log_s("set", delivery_name(delivery)),
              log_s("code", err_info(err->code)->name), log_s("reason", err->reason));
    return true;
}

int keep_held_back(const struct delivery *delivery, struct err *err)
{
    struct identity *identity = sound_identity(delivery, err);
    const size_t len = identity ? 0 : strlen(err->reason);

    if (!identity)
        (void)snprintf(err->reason + len, sizeof err->reason - len,
                       "; the secret's version was rolled back, and is held back; to install it "
                       "nevertheless, name it by --version-id");
    identity_free(identity);
    return len == 0 ? 0 : -1;
}

/* Whether what is installed is whole, or cannot be looked at for a shortage of this host's, and is
 * not known to be this version. */
static bool is_replacing(const struct delivery *delivery)
{
    struct err unfit;
    struct identity *installed = sound_identity(delivery, &unfit);
    const bool replacing =
        (installed || err_info(unfit.code)->class == ERR_OF_HOST) && !is_known(delivery);

    identity_free(installed);
    return replacing;
}

enum untried keep_from(struct delivery *delivery)
{
    const char *version = delivery->version;

    if (delivery->untried != UNTRIED_UNKNOWN)
        return delivery->untried;
    delivery->untried = UNTRIED_NO;
    if (delivery->record->refused.times > 0 &&
        strcmp(delivery->record->refused.version, version) == 0 &&
        clock_left(delivery->record->refused.until) > 0)
        delivery->untried = UNTRIED_REFUSED;
    else if (delivery->replica && is_replacing(delivery))
        delivery->untried = UNTRIED_REPLICA;
    else if (!delivery->config->version_id && !delivery->config->dry_run && is_held_back(delivery))
        delivery->untried = UNTRIED_HELD_BACK;
    else if (wave_waits(delivery))
        delivery->untried = UNTRIED_WAITING;
    return delivery->untried;
}

/* Whether trying the version again soon would end the same. */
static bool is_final(const struct err *err)
{
    const enum err_class class = err_info(err->code)->class;

    return err->code != ERR_ENCLAVE_UNREACHABLE &&
           (class == ERR_OF_IDENTITY || class == ERR_OF_ENCLAVE);
}

void remember_failure(const struct delivery *delivery, const struct err *err)
{
    struct agent_set *record = delivery->record;
    int64_t intervals = 1;
    unsigned i;

    if (!delivery->agent->stays || !delivery->version[0] || delivery->recalled ||
        delivery->untried == UNTRIED_REFUSED || !is_final(err))
        return;
    if (strcmp(record->refused.version, delivery->version) != 0)
        record->refused.times = 0;
    for (i = 0; i < record->refused.times && intervals < AGAIN_MAX; i++)
        intervals *= 2;
    if (intervals > AGAIN_MAX)
        intervals = AGAIN_MAX;
    memcpy(record->refused.version, delivery->version, sizeof record->refused.version);
    record->refused.err = *err;
    record->refused.times++;
    record->refused.until = clock_ms() + intervals * delivery->config->interval_ms;
}
