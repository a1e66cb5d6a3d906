/* SPDX-License-Identifier: Apache-2.0 */
#include "net/pace.h"

void pace_start(struct pace *pace, int64_t now)
{
    *pace = (struct pace){.looked_at = now, .ready = true};
}

/* What was ready at the last look was served since, so it could not be silent from then on. */
void pace_look(struct pace *pace, int64_t now, enum pace_seen seen)
{
    const bool silent = seen == PACE_NOTHING && !pace->ready;
    const int64_t passed = now - pace->looked_at;
    const int64_t waited = silent || passed < PACE_LOOK_MS ? passed : PACE_LOOK_MS;

    pace->waited_ms += waited;
    pace->silent_ms = seen == PACE_SOMETHING ? 0 : pace->silent_ms + waited;
    pace->looked_at = now;
    pace->ready = seen != PACE_NOTHING;
}

int64_t pace_share(int64_t left_ms, uint64_t left, uint64_t at_once)
{
    const uint64_t turns = left > at_once ? (left + at_once - 1) / at_once : 1;
    const int64_t share = left_ms / (int64_t)turns;

    return share > 0 ? share : 1;
}
