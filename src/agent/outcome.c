/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/outcome.h"

#include <stddef.h>

const struct outcome_info *outcome_info(enum outcome outcome)
{
    static const struct outcome_info table[OUTCOMES] = {
        [OUTCOME_NONE] = {.name = NULL},
        [OUTCOME_INSTALLED] = {"installed", .success = true, .change = true},
        [OUTCOME_ADOPTED] = {"adopted", .success = true, .change = true},
        [OUTCOME_HEALED] = {"healed", .success = true, .change = true},
        [OUTCOME_OVERLAP_ENDED] = {"ca_overlap_ended", .success = true, .change = true},
        [OUTCOME_UNCHANGED] = {"unchanged", .success = true},
        [OUTCOME_KEPT_STALE] = {"kept_stale", .kept = true},
        [OUTCOME_KEPT_UNPROVEN] = {"kept_unproven", .kept = true},
        [OUTCOME_HELD_BACK] = {"held_back", .success = true},
        [OUTCOME_WAITING] = {"waiting", .success = true},
        [OUTCOME_ROLLED_BACK] = {"rolled_back", .success = true, .change = true},
        [OUTCOME_FAILED] = {"failed"},
    };

    return &table[outcome];
}
