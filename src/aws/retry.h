/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_RETRY_H
#define AWS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct http_response;

/*
 * The SDKs' standard mode as of November 2026
 * (https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html): a few tries a
 * round, and a quota on retries that all requests of one conversation share. Around it, since a
 * host cannot do without its identity, rounds of such tries until the deadline.
 */

/* What a failed exchange means for trying again. Flags: a 503 with a throttling code is both. */
enum retry_class {
    RETRY_NEVER = 0,
    RETRY_TRANSIENT = 1,
    RETRY_THROTTLED = 2,
    RETRY_BOTH = RETRY_TRANSIENT | RETRY_THROTTLED,
    RETRY_ROUND = 4 /* once a round: a name, whose look-up has its own tries */
};

/* By transport result, HTTP status and AWS's error code (may be NULL). */
enum retry_class retry_classify(const struct http_response *response, const char *error_code);

/*
 * Milliseconds to wait after so many tries (from 1): full jitter over base * 2^(tries-1), capped at
 * 20 s; base 50 ms, 1 s when throttled. random: any 32 bits.
 */
int64_t retry_delay_ms(enum retry_class class, unsigned tries, uint32_t random);

/* Tokens for retries. Zero-initialised, it is full. */
#define RETRY_QUOTA 500
struct retry_quota {
    int spent;
};

/* The tries of one step of the work. */
struct retry {
    const char *step;          /* for the log: "get_secret_value" */
    const char *object;        /* the object of the request, where that is no secret; or NULL */
    int64_t deadline;          /* on clock_ms() */
    unsigned max_attempts;     /* tries of a round; 0: one round without end */
    struct retry_quota *quota; /* NULL: none */
    bool once;                 /* one try, whatever comes of it */
    unsigned attempt;          /* tries that have failed so far */
    unsigned round;            /* rounds that have failed so far */
    unsigned tries;            /* of this round */
    int cost;                  /* tokens that the last retry took */
};

/*
 * The pure part of it: counts a failed try, and says how long to wait for the next one, for at
 * least as long as the server asked (hint_ms; 0: it did not). -1: another try is pointless.
 */
int64_t retry_next(struct retry *retry, enum retry_class class, int64_t hint_ms, uint32_t random);

/*
 * Milliseconds to wait, after so many tries (from 1), for what AWS does not know everywhere yet
 * (error_meaning.h), with so many left of the time for it: 2 s, then full jitter over 4 s, 8 s, 16
 * s and 32 s. -1: six tries were enough, or another one could not end in time.
 */
#define RETRY_YOUNG_MS INT64_C(120000) /* all of it, at most */
int64_t retry_young_ms(unsigned tries, int64_t left, uint32_t random);

/* After a try that succeeded: gives tokens back. */
void retry_succeeded(struct retry *retry);

/* Before a try: logs that it is made, and how much time is left for it (event "attempt"). */
void retry_begin(const struct retry *retry);

/*
 * After a failed try: logs it with its cause (event "retry") and sleeps as retry_next() says.
 * False, at once, where another try is pointless or could not end in time.
 */
bool retry_wait(struct retry *retry, enum retry_class class, const struct http_response *response,
                const char *cause);

#endif
