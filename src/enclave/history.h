/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENCLAVE_HISTORY_H
#define ENCLAVE_HISTORY_H

#include <stdint.h>

#include "enclave/probe.h"

/*
 * What one endpoint has answered over the last hour and day, in about 1 KiB: counts in buckets of 5
 * minutes and of an hour, and the last answer. Zero-initialise it. Reads no clock.
 */
enum history_window { HISTORY_HOUR, HISTORY_DAY, HISTORY_WINDOWS };

#define HISTORY_REASON_MAX 160
#define HISTORY_BUCKETS    (12 + 24)
#define HISTORY_VERDICTS   (PROBE_UNREACHABLE + 1) /* silence counts as that */
struct history {
    struct history_bucket {
        uint16_t verdicts[HISTORY_VERDICTS - 1]; /* from PROBE_ACCEPTED on */
        uint16_t timed;                          /* those with a latency */
        uint32_t total_ms, worst_ms;             /* of these */
    } buckets[HISTORY_BUCKETS];
    int64_t newest[HISTORY_WINDOWS];     /* the number of the bucket that was last added to */
    enum probe_verdict last;             /* PROBE_UNASKED: it was never asked */
    int64_t last_at;                     /* seconds since 1970 */
    int64_t failed_at;                   /* when it last did not accept; 0: never */
    char reason[HISTORY_REASON_MAX + 1]; /* of that */
    /* Of the last time that it was asked what it has attested. */
    struct probe_attested attested;
    int64_t attested_at; /* when what proved all was judged, last; 0: never */
};

/* One answer. Where it is PROBE_UNASKED nothing is added. */
struct history_entry {
    int64_t now_ms; /* clock_ms() */
    int64_t wall;   /* clock_wall() */
    enum probe_verdict verdict;
    int64_t latency_ms; /* -1: none was measured */
    const char *reason; /* cut at HISTORY_REASON_MAX bytes; NULL where it accepted */
    const struct probe_attested *attested; /* NULL: attestation is off */
};
void history_add(struct history *history, const struct history_entry *entry);

/* What it has attested: ERR_ATTEST_STALE where that was more than so many seconds ago. */
enum err_code history_attestation(const struct history *history, int64_t wall, int64_t most_s);

/*
 * Sums up the bucket of now_ms and those before it that make a window: an hour is 55 to 60 minutes,
 * a day is 23 to 24 hours. Counts stop at 65,535 a bucket, latencies at as many ms.
 */
struct history_sum {
    unsigned asked, accepted;
    unsigned verdicts[HISTORY_VERDICTS];
    int64_t mean_ms, worst_ms; /* -1: no latency was measured */
};
void history_sum(const struct history *history, int64_t now_ms, enum history_window window,
                 struct history_sum *out);

#endif
