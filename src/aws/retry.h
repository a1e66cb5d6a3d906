/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_RETRY_H
#define AWS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct http_response;

/* What a failed exchange means for trying again. Flags: a 503 with a throttling code is both. */
enum retry_class {
    RETRY_NEVER = 0,
    RETRY_TRANSIENT = 1,
    RETRY_THROTTLED = 2,
    RETRY_BOTH = RETRY_TRANSIENT | RETRY_THROTTLED
};

/* By transport result, HTTP status and AWS's error code (may be NULL). */
enum retry_class retry_classify(const struct http_response *response, const char *error_code);

/*
 * Milliseconds to wait before try number attempt + 1 (attempt from 1): full jitter over base *
 * 2^(attempt-1), capped at 20 s; base 50 ms, 1 s when throttled. The SDKs' standard mode as of
 * November 2026.
 */
int64_t retry_delay_ms(enum retry_class class, unsigned attempt);

/* The tries of one step of the work. */
struct retry {
    const char *step;   /* for the log: "get_secret_value" */
    const char *object; /* what is asked for, where that is no secret; or NULL */
    int64_t deadline;   /* on clock_ms() */
    unsigned attempt;   /* tries that have failed so far */
};

/* Before a try: logs that it is made, and how much time is left for it (event "attempt"). */
void retry_begin(const struct retry *retry);

/*
 * After a failed try: logs it with its cause (event "retry") and sleeps, for at least as long as
 * the server asked. False, at once, where another try is pointless or could not end in time.
 */
bool retry_wait(struct retry *retry, enum retry_class class, const struct http_response *response,
                const char *cause);

#endif
