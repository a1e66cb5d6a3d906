/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_AGENT_PARTS_H
#define AGENT_AGENT_PARTS_H

#include "agent/agent.h"
#include "aws/secretsmanager.h"
#include "enclave/rehearse.h"
#include "identity/bundle.h"
#include "install/ca_overlap.h"

struct identity;

/* What the parts of the agent share. */

/* Why a version is not even tried. */
enum untried {
    UNTRIED_UNKNOWN, /* not looked at yet */
    UNTRIED_NO,
    UNTRIED_REFUSED,   /* it failed not long ago */
    UNTRIED_HELD_BACK, /* it was rolled back */
    UNTRIED_REPLICA, /* a replica has it, and would replace the installed version; a replica may be
                        behind */
    UNTRIED_WAITING  /* its wave has not come yet */
};

/* One set on its way through the cycle. */
struct delivery {
    struct agent *agent;
    const struct config *config;
    const struct config_set *set;
    struct agent_set *record; /* what comes of it */
    struct install_target target;
    struct secret_version *origins; /* one for each secret of the set */
    char version[65];               /* of all of them; "" while one is not known */
    bool recalled;                  /* it is the installed version */
    bool describe_denied;
    const struct err *replica; /* why a replica was asked; NULL: none was */
    enum untried untried;
    bool again; /* it was rolled back by itself, and may have another chance by a rehearsal */
    struct bundle bundle;
    struct identity *identity;
    struct ca_overlap overlap;
    enum rehearsal rehearsal;
};

/*
 * agent.c: the mission, for one set: 0 where it is installed, unchanged or kept; -1 with err. Says
 * in agent_set whether it is due another turn.
 */
int deliver_set(struct agent *agent, size_t i, struct secretsmanager *manager, int64_t deadline,
                struct err *err);

/* What a set is called in the log: its subdirectory, else the directory. */
const char *delivery_name(const struct delivery *delivery);

/* Whether an identity is the one that the configuration asks for. */
int delivery_expect(const struct delivery *delivery, const struct identity *identity,
                    struct err *err);

/*
 * agent_prefetch.c: before a question about the delivery's secret i, asks AWS side by side for that
 * and for what the next ones will ask first.
 */
void prefetch(const struct delivery *delivery, struct secretsmanager *manager, size_t i,
              bool describes);

/*
 * agent_obtain.c: the set's secrets, or the version of them that is not to be tried. From the disk,
 * where nothing has changed; not at all, where that version is known to be bad; else from AWS,
 * where it may be another region by now that answers, and another version that it has.
 */
int obtain(struct delivery *delivery, struct secretsmanager *manager, struct err *err);

/* Whether the installed set may be all that a set needs; fills its facts. */
bool may_recall(const struct agent_set *record, const struct install_target *target,
                size_t secret_count, struct installed *facts);

/* The set's secrets: by ARN where AWS has given it, else as configured. */
void set_sources(const struct config_set *set, const struct secret_version *origins,
                 struct install_source sources[CONFIG_SECRETS_MAX]);

/* Whether forbid-version names one of these versions; which one, else NULL. */
const char *version_forbidden(const struct config *config, const struct installed *facts);

/*
 * agent_keep.c: when the installed set stays.
 *
 * keep_stale(): AWS cannot be reached, and the installed set is whole, valid and of these secrets;
 * else false, and err says why it is no substitute.
 *
 * keep_unproven(): no enclave could be reached. 1: the installed set stays; 0: the new one may be
 * installed; -1 with err.
 *
 * keep_from(): why the version is not even tried.
 *
 * keep_held_back(): 0 where the installed set may stay in place of a version that is held back; -1
 * with err.
 *
 * keep_back(): whether a version that was rolled back automatically has had its chance, and is
 * still refused.
 */
bool keep_stale(const struct delivery *delivery, struct err *err);
int keep_unproven(const struct delivery *delivery, struct err *err);
enum untried keep_from(struct delivery *delivery);
int keep_held_back(const struct delivery *delivery, struct err *err);
bool keep_back(const struct delivery *delivery, const struct err *err);

/* Logs "unproven" where the configuration has no enclave asked about the new identity. */
void note_untried(const struct delivery *delivery);

/* Whether the installed set stays valid for so many seconds and the margin of keep_stale(). */
bool keep_serves(const struct delivery *delivery, int64_t seconds);

/*
 * agent_wave.c: in run, a version waits for its wave (wave.h) while the installed set is still
 * good.
 *
 * wave_waits(): whether it waits; notes that beside the set. wave_log(): logs it. wave_end():
 * nothing waits any more.
 */
bool wave_waits(const struct delivery *delivery);
void wave_log(const struct delivery *delivery);
void wave_end(const struct delivery *delivery);

/*
 * agent_young.c: a first install waits for a role, a policy or a secret that was made a minute ago
 * (err.h: young).
 *
 * young_waits(): whether to wait after this failure.
 *
 * young_sleep(): logs the reason, and sleeps until the next turn of the sets that are due. False,
 * at once, where none is due, or the time for waiting is over.
 *
 * young_explain(): adds to an error how long the agent has waited.
 */
struct young {
    int64_t deadline;     /* of the cycle; on clock_ms(), as all of them */
    int64_t since, until; /* of the waiting; since the first young_sleep() */
    unsigned tries;       /* that have failed */
};
bool young_waits(const struct delivery *delivery, const struct err *err);
bool young_sleep(struct young *young, const struct agent *agent);
void young_explain(const struct young *young, struct err *err);

/* Remembers a version that failed, so that it is not tried in each cycle. */
void remember_failure(const struct delivery *delivery, const struct err *err);

#endif
