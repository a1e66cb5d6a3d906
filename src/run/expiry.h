/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_EXPIRY_H
#define RUN_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The warnings before a certificate ends: 28, 7, 3, 2, 1 days, 12, 6, 2, 1 hours, and the end. Each
 * comes once for each end, whatever the intervals are; and once more where the clock was set back
 * by hours in between.
 */
struct expiry {
    int64_t end;   /* the end that the warnings are about, seconds since 1970; 0: nothing yet */
    unsigned rung; /* the last warning given, counted from the first; 0: none */
};

/*
 * Pure: takes the present end. True where a new warning is due: the caller gives it. *next is when
 * there will be another one, 0: never.
 */
bool expiry_due(struct expiry *expiry, int64_t end, int64_t now, int64_t *next);

#endif
