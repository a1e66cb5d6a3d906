/* SPDX-License-Identifier: Apache-2.0 */
#include "enclave/history.h"

#include <stdio.h>
#include <string.h>

static const struct {
    int64_t width_ms;
    int64_t count;
    size_t first; /* of the window's buckets */
} windows[HISTORY_WINDOWS] = {
    [HISTORY_HOUR] = {(int64_t)5 * 60 * 1000, 12, 0},
    [HISTORY_DAY] = {(int64_t)60 * 60 * 1000, 24, 12},
};

static size_t place_of(enum history_window window, int64_t number)
{
    return windows[window].first + (size_t)(number % windows[window].count);
}

/* The bucket of now; those that time went past are cleared. */
static struct history_bucket *advance(struct history *history, enum history_window window,
                                      int64_t now_ms)
{
    const int64_t number = now_ms / windows[window].width_ms;
    int64_t *newest = &history->newest[window];

    if (number - *newest > windows[window].count)
        *newest = number - windows[window].count;
    while (*newest < number)
        history->buckets[place_of(window, ++*newest)] = (struct history_bucket){0};
    return &history->buckets[place_of(window, *newest)];
}

/* What is full stays as it is; 65,535 latencies of 65,535 ms fit into total_ms. */
static void count_in(struct history_bucket *bucket, const struct history_entry *entry)
{
    const uint32_t ms =
        entry->latency_ms < UINT16_MAX ? (uint32_t)entry->latency_ms : (uint32_t)UINT16_MAX;
    uint16_t *count =
        &bucket->verdicts[(entry->verdict < HISTORY_VERDICTS ? entry->verdict : PROBE_UNREACHABLE) -
                          1];

    if (*count == UINT16_MAX)
        return;
    (*count)++;
    if (entry->latency_ms < 0 || bucket->timed == UINT16_MAX)
        return;
    bucket->timed++;
    bucket->total_ms += ms;
    if (ms > bucket->worst_ms)
        bucket->worst_ms = ms;
}

void history_add(struct history *history, const struct history_entry *entry)
{
    int window;

    if (entry->verdict == PROBE_UNASKED)
        return;
    for (window = 0; window < HISTORY_WINDOWS; window++)
        count_in(advance(history, (enum history_window)window, entry->now_ms), entry);
    if (entry->attested && entry->attested->asked) {
        history->attested = *entry->attested;
        if (history->attested.code == ERR_NONE)
            history->attested_at = entry->attested->at;
    }
    history->last = entry->verdict;
    history->last_at = entry->wall;
    if (entry->verdict == PROBE_ACCEPTED)
        return;
    history->failed_at = entry->wall;
    (void)snprintf(history->reason, sizeof history->reason, "%s",
                   entry->reason ? entry->reason : "");
}

enum err_code history_attestation(const struct history *history, int64_t wall, int64_t most_s)
{
    return history->attested.code == ERR_NONE && wall - history->attested_at > most_s
               ? ERR_ATTEST_STALE
               : history->attested.code;
}

static void sum_up(const struct history_bucket *bucket, struct history_sum *out)
{
    int verdict;

    for (verdict = PROBE_UNASKED + 1; verdict < HISTORY_VERDICTS; verdict++) {
        out->verdicts[verdict] += bucket->verdicts[verdict - 1];
        out->asked += bucket->verdicts[verdict - 1];
    }
    out->accepted += bucket->verdicts[PROBE_ACCEPTED - 1];
    if (bucket->timed > 0 && out->worst_ms < bucket->worst_ms)
        out->worst_ms = bucket->worst_ms;
}

void history_sum(const struct history *history, int64_t now_ms, enum history_window window,
                 struct history_sum *out)
{
    const int64_t count = windows[window].count, newest = history->newest[window];
    int64_t number = now_ms / windows[window].width_ms - count + 1, total = 0, timed = 0;

    *out = (struct history_sum){.mean_ms = -1, .worst_ms = -1};
    if (number < newest - count + 1)
        number = newest - count + 1;
    for (; number <= newest; number++) {
        const struct history_bucket *bucket;

        if (number < 0)
            continue;
        bucket = &history->buckets[place_of(window, number)];
        sum_up(bucket, out);
        total += bucket->total_ms;
        timed += bucket->timed;
    }
    if (timed > 0)
        out->mean_ms = total / timed;
}
