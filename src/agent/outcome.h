/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_OUTCOME_H
#define AGENT_OUTCOME_H

#include <stdbool.h>

/* How a cycle ended for a set. */
enum outcome {
    OUTCOME_NONE, /* it has not yet */
    OUTCOME_INSTALLED,
    OUTCOME_ADOPTED,
    OUTCOME_HEALED,
    OUTCOME_OVERLAP_ENDED,
    OUTCOME_UNCHANGED,
    OUTCOME_KEPT_STALE,
    OUTCOME_KEPT_UNPROVEN,
    OUTCOME_HELD_BACK,
    OUTCOME_WAITING,
    OUTCOME_ROLLED_BACK,
    OUTCOME_FAILED,
    OUTCOMES
};

struct outcome_info {
    const char *name; /* in log, status and metrics */
    bool success;     /* AWS has said what to install, and it is installed, held back, or waits */
    bool kept;        /* another turn in the same cycle may do better */
    bool change;      /* files have changed: the hook runs, with this name */
};
const struct outcome_info *outcome_info(enum outcome outcome);

#endif
