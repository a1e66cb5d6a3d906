/* SPDX-License-Identifier: Apache-2.0 */
#include "net/pace.h"

void pace_start(struct pace *pace, int64_t now)
{
    *pace = (struct pace){.looked_at = now, .ready = true};
}

/* What was ready at the last look was served since, so it could not be silent from then on. */
void pace_look(struct pace *pace, int64_t now, bool ready)
{
    const bool silent = !ready && !pace->ready;
    const int64_t passed = now - pace->looked_at;

    pace->waited_ms += silent || passed < PACE_LOOK_MS ? passed : PACE_LOOK_MS;
    pace->silent_ms = silent ? pace->silent_ms + passed : 0;
    pace->looked_at = now;
    pace->ready = ready;
}

int64_t pace_share(int64_t left_ms, uint64_t left, uint64_t at_once)
{
    const uint64_t turns = left > at_once ? (left + at_once - 1) / at_once : 1;
    const int64_t share = left_ms / (int64_t)turns;

    return share > 0 ? share : 1;
}
