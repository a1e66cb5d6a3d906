/* SPDX-License-Identifier: Apache-2.0 */
#include "run/suspicion.h"

#include <string.h>

/* The least between two refusals that count. */
static int64_t least_gap(int64_t span_ms)
{
    const int64_t span = span_ms < SUSPICION_SPAN_MS ? span_ms : SUSPICION_SPAN_MS;

    return span / (SUSPICION_TIMES - 1);
}

bool suspicion_take(struct suspicion *suspicion, const struct suspicion_round *round)
{
    if (round->accepted > 0 || strcmp(suspicion->fingerprint, round->fingerprint) != 0)
        *suspicion = (struct suspicion){0};
    if (round->accepted > 0 || round->refused == 0 ||
        (suspicion->times > 0 && round->now - suspicion->last < least_gap(round->span_ms)))
        return false;
    memcpy(suspicion->fingerprint, round->fingerprint, strlen(round->fingerprint) + 1);
    suspicion->last = round->now;
    suspicion->times = suspicion->times % SUSPICION_TIMES + 1;
    return suspicion->times == SUSPICION_TIMES;
}

int64_t suspicion_next(const struct suspicion *suspicion, int64_t span_ms)
{
    return suspicion->times > 0 ? suspicion->last + least_gap(span_ms) : INT64_MAX;
}
