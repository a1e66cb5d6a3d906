/* SPDX-License-Identifier: Apache-2.0 */
#include "run/expiry.h"

#define HOUR INT64_C(3600)
#define DAY  (24 * HOUR)

static const int64_t rungs[] = {28 * DAY,  7 * DAY,  3 * DAY,  2 * DAY, DAY,
                                12 * HOUR, 6 * HOUR, 2 * HOUR, HOUR,    0};

enum { RUNGS = sizeof rungs / sizeof *rungs };

bool expiry_due(struct expiry *expiry, int64_t end, int64_t now, int64_t *next)
{
    unsigned rung = 0;
    bool due;

    while (rung < RUNGS && end - now <= rungs[rung])
        rung++;
    *next = rung < RUNGS ? end - rungs[rung] : 0;
    if (end == 0) {
        *next = 0;
        return false;
    }
    if (end != expiry->end)
        expiry->rung = 0;
    /* A clock that is set back far makes what was told untrue, so that it will be told again in its
     * time; one that is set back a little does not. */
    while (expiry->rung > 0 && end - now > rungs[expiry->rung - 1] + HOUR)
        expiry->rung--;
    due = rung > expiry->rung;
    if (due)
        expiry->rung = rung;
    expiry->end = end;
    return due;
}
