/* SPDX-License-Identifier: Apache-2.0 */
#include "run/seen.h"

#include <string.h>

#include "base/clock.h"
#include "config/config.h"
#include "enclave/history.h"
#include "run/watch.h"

bool seen_valid(const struct seen *seen, size_t count, int64_t seconds)
{
    const int64_t until = clock_wall() + seconds;
    size_t i;

    for (i = 0; i < count; i++) {
        const struct target_state *state = &seen->sets[i].state;

        if (state->err.code != ERR_NONE || (seconds > 0 && state->not_after < until))
            return false;
    }
    return true;
}

void seen_take_cycle(struct seen *seen, size_t i, const struct agent_set *told)
{
    struct seen_set *set = &seen->sets[i];

    set->outcome = told->outcome;
    set->err = told->err;
    memcpy(set->left, set->state.facts.set, sizeof set->left);
    memcpy(set->region, told->region, sizeof set->region);
    set->waits_until = told->waits_until;
    set->fetched_at = clock_wall();
    if (outcome_info(told->outcome)->success)
        set->succeeded_at = set->fetched_at;
}

static void take_probes(struct seen *seen, size_t i, const struct watch *watch)
{
    size_t e;

    for (e = 0; e < watch->endpoints; e++) {
        const struct probe *probe = &watch->probes[i * watch->endpoints + e];

        history_add(&seen->histories[e],
                    &(const struct history_entry){clock_ms(), clock_wall(), probe->verdict,
                                                  probe_latency(probe), probe->reason,
                                                  &probe->attested});
    }
}

bool seen_take_rehearsal(struct seen *seen, size_t i, const struct watch *watch)
{
    const struct probe *probes = watch->probes + i * watch->endpoints;
    struct seen_set *set = &seen->sets[i];
    size_t e, accepted = 0;

    for (e = 0; e < watch->endpoints; e++) {
        if (probes[e].verdict == PROBE_UNASKED)
            return false;
        accepted += probes[e].verdict == PROBE_ACCEPTED;
    }
    take_probes(seen, i, watch);
    set->asked = true;
    set->accepted = accepted;
    set->rehearsed_at = clock_ms();
    return true;
}

void seen_take_round(struct seen *seen, size_t i, const struct watch *watch)
{
    struct seen_set *set = &seen->sets[i];

    set->asked = watch->asked[i];
    set->accepted = watch->accepted[i];
    if (set->asked)
        take_probes(seen, i, watch);
    if (!watch->rolled_back[i])
        return;
    set->rehearsed_at = 0;
    set->outcome = OUTCOME_ROLLED_BACK;
    memcpy(set->left, set->state.facts.set, sizeof set->left);
}

enum err_code seen_attestation(const struct seen *seen, const struct config *config,
                               size_t endpoint)
{
    return history_attestation(&seen->histories[endpoint], clock_wall(),
                               2 * config->attest_interval_ms / 1000 + 60);
}
