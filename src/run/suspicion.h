/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_SUSPICION_H
#define RUN_SUSPICION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Against a set that enclaves refuse, and none accepts. An enclave that starts anew and somebody on
 * the way can look like a refusal, so that it takes three of them, spread over a time, to go back.
 * One that accepts clears the set; silence neither clears nor counts. Zero-initialise it.
 */
struct suspicion {
    char fingerprint[65]; /* of the leaf that it is about */
    unsigned times;       /* refusals that count; 0: no suspicion */
    int64_t last;         /* when the last one came, on clock_ms() */
};

#define SUSPICION_TIMES   3
#define SUSPICION_SPAN_MS ((int64_t)2 * 60 * 1000) /* from the first one to the last */

/* The results of a round of probes for a set. */
struct suspicion_round {
    const char *fingerprint;
    size_t accepted, refused; /* endpoints */
    int64_t now;              /* on clock_ms() */
    int64_t span_ms;          /* instead of SUSPICION_SPAN_MS, where that is shorter */
};

/* Pure: takes a round. True where it is time to go back; the next refusal is the first again. */
bool suspicion_take(struct suspicion *suspicion, const struct suspicion_round *round);

/* When to ask the set's endpoints again, on clock_ms(); INT64_MAX: there is no suspicion. */
int64_t suspicion_next(const struct suspicion *suspicion, int64_t span_ms);

#endif
