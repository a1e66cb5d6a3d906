/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/retry.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/log.h"
#include "base/random.h"
#include "net/http.h"

enum {
    BASE_MS = 50,
    BASE_THROTTLED_MS = 1000,
    DELAY_MAX_MS = 20000,
    HINT_EXTRA_MS = 5000, /* how much longer than ours a server's own delay may be */
    ROUND_MS = 1000,      /* the bases double from here, round by round */
    COST = 14,
    COST_THROTTLED = 5,
    REWARD = 1,         /* of a success at the first try */
    LAST_TRY_MS = 1000, /* a try that has less than this left is not made */
    YOUNG_MS = 2000,    /* a denial rings somebody's alarm: few tries, far apart */
    YOUNG_TRIES = 6
};

static const char *const throttled_codes[] = {
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
};

/* The internal ones came with 400 in older versions of the service. */
static const char *const transient_codes[] = {
    "InternalFailure", "InternalServiceError",    "PriorRequestNotComplete",
    "RequestTimeout",  "RequestTimeoutException",
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool is_one_of(const char *code, const char *const *codes, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (strcmp(code, codes[i]) == 0)
            return true;
    return false;
}

static enum retry_class classify_transport(const struct http_response *response)
{
    switch (response->result) {
    case HTTP_UNRESOLVED: return RETRY_ROUND;
    case HTTP_UNREACHABLE:
    case HTTP_TIMEOUT:
    case HTTP_ALERT:
    case HTTP_TLS_FAILED:
    case HTTP_CLOSED:
    case HTTP_BROKEN: return RETRY_TRANSIENT;
    case HTTP_PROXY_REFUSED: return response->status >= 500 ? RETRY_TRANSIENT : RETRY_NEVER;
    case HTTP_ANSWERED:
    case HTTP_ADDRESS_DENIED:
    case HTTP_UNTRUSTED:
    case HTTP_TOO_LARGE:
    case HTTP_NO_MEMORY:
    case HTTP_NO_DESCRIPTORS:
    case HTTP_NO_THREADS:
    case HTTP_FAILED: break;
    }
    return RETRY_NEVER;
}

enum retry_class retry_classify(const struct http_response *response, const char *error_code)
{
    const char *code = error_code ? error_code : "";
    int status = response->status;
    unsigned flags = RETRY_NEVER;

    if (response->result != HTTP_ANSWERED)
        return classify_transport(response);
    if (status == 429 || is_one_of(code, throttled_codes, COUNT(throttled_codes)))
        flags |= RETRY_THROTTLED;
    if (status == 500 || status == 502 || status == 503 || status == 504 ||
        is_one_of(code, transient_codes, COUNT(transient_codes)))
        flags |= RETRY_TRANSIENT;
    return (enum retry_class)flags;
}

/* Full jitter over base * 2^(count-1), capped. */
static int64_t jitter(int64_t base, unsigned count, uint32_t random)
{
    int64_t most = base;

    for (; count > 1 && most < DELAY_MAX_MS; count--)
        most *= 2;
    if (most > DELAY_MAX_MS)
        most = DELAY_MAX_MS;
    return (most + 1) * random >> 32;
}

int64_t retry_delay_ms(enum retry_class class, unsigned tries, uint32_t random)
{
    return jitter(class & RETRY_THROTTLED ? BASE_THROTTLED_MS : BASE_MS, tries, random);
}

/* Whether the quota allows another try of the round; takes its tokens. */
static bool take_tokens(struct retry *retry, enum retry_class class)
{
    int cost = class & RETRY_THROTTLED ? COST_THROTTLED : COST;

    if (!retry->quota)
        return true;
    if (retry->quota->spent + cost > RETRY_QUOTA)
        return false;
    retry->quota->spent += cost;
    retry->cost = cost;
    return true;
}

void retry_succeeded(struct retry *retry)
{
    struct retry_quota *quota = retry->quota;

    if (!quota)
        return;
    quota->spent -= retry->cost ? retry->cost : REWARD;
    if (quota->spent < 0)
        quota->spent = 0;
}

/* The server's x-amz-retry-after lengthens a delay, by 5 s at most. */
static int64_t heed_server(int64_t delay, int64_t hint)
{
    if (hint > delay + HINT_EXTRA_MS)
        hint = delay + HINT_EXTRA_MS;
    return hint > delay ? hint : delay;
}

int64_t retry_next(struct retry *retry, enum retry_class class, int64_t hint_ms, uint32_t random)
{
    retry->attempt++;
    retry->tries++;
    if (class == RETRY_NEVER)
        return -1;
    if (class != RETRY_ROUND && (retry->max_attempts == 0 || retry->tries < retry->max_attempts) &&
        take_tokens(retry, class))
        return heed_server(retry_delay_ms(class, retry->tries, random), hint_ms);
    retry->round++;
    retry->tries = 0;
    retry->cost = 0;
    return heed_server(jitter(ROUND_MS, retry->round, random), hint_ms);
}

int64_t retry_young_ms(unsigned tries, int64_t left, uint32_t random)
{
    int64_t most = (int64_t)YOUNG_MS << (tries - 1), delay;

    if (tries >= YOUNG_TRIES || left <= LAST_TRY_MS)
        return -1;
    delay = tries == 1 ? YOUNG_MS : (most + 1) * random >> 32;
    return delay < left - LAST_TRY_MS ? delay : left - LAST_TRY_MS;
}

void retry_begin(const struct retry *retry)
{
    log_event(LOG_LEVEL_INFO, "attempt", log_s("step", retry->step), log_s("object", retry->object),
              log_n("attempt", retry->attempt + 1), log_n("left_ms", clock_left(retry->deadline)));
}

bool retry_wait(struct retry *retry, enum retry_class class, const struct http_response *response,
                const char *cause)
{
    const int64_t hint = decimal_number(response->retry_after, INT64_MAX);
    int64_t left = clock_left(retry->deadline), delay;
    uint32_t random;

    random_bytes(&random, sizeof random);
    delay = retry_next(retry, class, hint, random);
    if (retry->once || delay < 0 || left <= LAST_TRY_MS)
        return false;
    if (delay > left - LAST_TRY_MS)
        delay = left - LAST_TRY_MS;
    log_event(LOG_LEVEL_WARNING, "retry", log_s("step", retry->step),
              log_s("object", retry->object), log_n("attempt", retry->attempt),
              log_s("cause", cause), log_n("delay_ms", delay), log_n("left_ms", left));
    clock_sleep(delay, retry->deadline);
    return true;
}
