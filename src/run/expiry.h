/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_EXPIRY_H
#define RUN_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The ladder of warnings before a certificate ends: 28, 7, 3, 2, 1 days, 12, 6, 2, 1 hours, and the
 * end. Each rung is told once for each end, whatever the interval of anything else; and once more
 * where the clock was set back by hours in between.
 */
struct expiry {
    int64_t end;   /* what is told of, seconds since 1970; 0: nothing yet */
    unsigned rung; /* the last one told, counted from the top; 0: none */
};

/*
 * Pure: takes the end that holds now. True where a rung was reached that was not told: the caller
 * tells it. *next is when there will be another one, 0: never.
 */
bool expiry_due(struct expiry *expiry, int64_t end, int64_t now, int64_t *next);

#endif
