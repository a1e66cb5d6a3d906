/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_SEEN_H
#define RUN_SEEN_H

#include "agent/agent.h"
#include "run/expiry.h"
#include "run/target_state.h"

struct history;
struct watch;

/* What run has seen of each set and each endpoint: main's own, taken over from jobs that are over.
 */
struct seen_set {
    struct target_state state;    /* as of the last job */
    enum outcome outcome;         /* of the last cycle, or of a roll-back since */
    struct err err;               /* its error */
    char left[INSTALL_NAME_SIZE]; /* the set that was installed after that */
    int64_t waits_until;          /* a new version waits for its wave, seconds since 1970; 0: no */
    char region[REGION_MAX];      /* that answered in the last cycle; "": none did */
    int64_t fetched_at;           /* the end of the last cycle, seconds since 1970; 0: none yet */
    int64_t succeeded_at;         /* of the last cycle in which AWS said what to install */
    struct expiry leaf, ca;
    int64_t rehearsed_at; /* when enclaves were last asked before an install; 0: not of late */
    size_t accepted;      /* endpoints, in the last round of probes */
    bool asked;           /* there was one, and it asked them */
};

struct seen {
    struct seen_set sets[CONFIG_SETS_MAX];
    struct history *histories; /* one for each endpoint */
    bool begun;                /* what was there at the start is known */
    bool ready;                /* every set was valid once */
};

/* Whether each of so many sets is valid, for so many seconds more. */
bool seen_valid(const struct seen *seen, size_t count, int64_t seconds);

/* What a cycle says of set i. */
void seen_take_cycle(struct seen *seen, size_t i, const struct agent_set *told);
/* What enclaves said to it before it was installed, if all were asked: as good as a round. */
bool seen_take_rehearsal(struct seen *seen, size_t i, const struct watch *watch);
/* What they said in a round. */
void seen_take_round(struct seen *seen, size_t i, const struct watch *watch);

/* What an endpoint has attested, as long as that says something of now. */
enum err_code seen_attestation(const struct seen *seen, const struct config *config,
                               size_t endpoint);

#endif
