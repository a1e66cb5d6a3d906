/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/retry.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "net/http.h"

static enum retry_class classify(int status, const char *code)
{
    const struct http_response response = {.result = HTTP_ANSWERED, .status = status};

    return retry_classify(&response, code);
}

static void test_classified_by_code(void **state)
{
    (void)state;
    assert_int_equal(classify(400, "ThrottlingException"), RETRY_THROTTLED);
    assert_int_equal(classify(400, "TooManyRequestsException"), RETRY_THROTTLED);
    assert_int_equal(classify(509, "BandwidthLimitExceeded"), RETRY_THROTTLED);
    assert_int_equal(classify(400, "RequestTimeout"), RETRY_TRANSIENT);
    assert_int_equal(classify(400, "InternalServiceError"), RETRY_TRANSIENT);
    assert_int_equal(classify(400, "PriorRequestNotComplete"), RETRY_BOTH);
    assert_int_equal(classify(503, "SlowDown"), RETRY_BOTH);
    assert_int_equal(classify(400, "AccessDeniedException"), RETRY_NEVER);
    assert_int_equal(classify(400, "throttlingexception"), RETRY_NEVER);
}

static void test_classified_by_status(void **state)
{
    (void)state;
    assert_int_equal(classify(500, NULL), RETRY_TRANSIENT);
    assert_int_equal(classify(502, NULL), RETRY_TRANSIENT);
    assert_int_equal(classify(503, ""), RETRY_TRANSIENT);
    assert_int_equal(classify(504, "Whatever"), RETRY_TRANSIENT);
    assert_int_equal(classify(429, NULL), RETRY_THROTTLED);
    assert_int_equal(classify(501, NULL), RETRY_NEVER);
    assert_int_equal(classify(400, NULL), RETRY_NEVER);
    assert_int_equal(classify(200, NULL), RETRY_NEVER);
}

static void test_classified_by_transport(void **state)
{
    static const struct {
        enum http_result result;
        enum retry_class class;
    } cases[] = {
        {HTTP_UNRESOLVED, RETRY_ROUND},     {HTTP_UNREACHABLE, RETRY_TRANSIENT},
        {HTTP_TIMEOUT, RETRY_TRANSIENT},    {HTTP_CLOSED, RETRY_TRANSIENT},
        {HTTP_BROKEN, RETRY_TRANSIENT},     {HTTP_UNTRUSTED, RETRY_NEVER},
        {HTTP_ADDRESS_DENIED, RETRY_NEVER}, {HTTP_TOO_LARGE, RETRY_NEVER},
        {HTTP_NO_MEMORY, RETRY_NEVER},      {HTTP_FAILED, RETRY_NEVER},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        /* a status that came before the connection broke decides nothing */
        const struct http_response response = {.result = cases[i].result, .status = 200};

        assert_int_equal(retry_classify(&response, NULL), cases[i].class);
    }
}

static uint32_t random_32(void)
{
    uint32_t random;

    random_bytes(&random, sizeof random);
    return random;
}

static int64_t longest_delay(enum retry_class class, unsigned attempt)
{
    int64_t longest = 0, delay;
    int i;

    for (i = 0; i < 2000; i++) {
        delay = retry_delay_ms(class, attempt, random_32());
        assert_true(delay >= 0);
        if (delay > longest)
            longest = delay;
    }
    return longest;
}

/* Of 2000 draws, the longest is within a twentieth of the bound, all but surely. */
static void assert_jitter_up_to(enum retry_class class, unsigned attempt, int64_t bound)
{
    int64_t longest = longest_delay(class, attempt);

    assert_in_range(longest, bound - bound / 20 - 1, bound);
}

static void test_full_jitter(void **state)
{
    (void)state;
    assert_jitter_up_to(RETRY_TRANSIENT, 1, 50);
    assert_jitter_up_to(RETRY_TRANSIENT, 4, 400);
    assert_jitter_up_to(RETRY_TRANSIENT, 9, 12800);
    assert_jitter_up_to(RETRY_TRANSIENT, 10, 20000);
    assert_jitter_up_to(RETRY_TRANSIENT, 4000000000U, 20000);
    assert_jitter_up_to(RETRY_THROTTLED, 1, 1000);
    assert_jitter_up_to(RETRY_THROTTLED, 3, 4000);
    assert_jitter_up_to(RETRY_BOTH, 1, 1000);
}

/* With all random bits set a delay is as long as it may be. */
static int64_t next(struct retry *retry, enum retry_class class)
{
    return retry_next(retry, class, 0, UINT32_MAX);
}

static void test_rounds(void **state)
{
    struct retry retry = {.max_attempts = 3};

    (void)state;
    assert_int_equal(next(&retry, RETRY_TRANSIENT), 50);
    assert_int_equal(next(&retry, RETRY_TRANSIENT), 100);
    assert_int_equal(next(&retry, RETRY_TRANSIENT), 1000); /* the round is over */
    assert_int_equal(next(&retry, RETRY_THROTTLED), 1000);
    assert_int_equal(next(&retry, RETRY_THROTTLED), 2000);
    assert_int_equal(next(&retry, RETRY_TRANSIENT), 2000);
    assert_int_equal(retry.attempt, 6);
    assert_int_equal(retry.round, 2);
    assert_int_equal(next(&retry, RETRY_ROUND), 4000); /* one try is its whole round */
    assert_int_equal(next(&retry, RETRY_NEVER), -1);
    retry = (struct retry){.max_attempts = 1, .round = 20};
    assert_int_equal(next(&retry, RETRY_TRANSIENT), 20000);
}

static void test_quota(void **state)
{
    struct retry_quota quota = {0};
    struct retry retry = {.max_attempts = 1000, .quota = &quota};
    unsigned i;

    (void)state;
    for (i = 0; i < 35; i++) /* 35 * 14 = 490 */
        assert_in_range(retry_next(&retry, RETRY_TRANSIENT, 0, 0), 0, 20000);
    assert_int_equal(quota.spent, 490);
    assert_int_equal(next(&retry, RETRY_TRANSIENT), 1000); /* 14 are not there: a new round */
    assert_int_equal(retry.round, 1);
    assert_int_equal(next(&retry, RETRY_THROTTLED), 1000); /* 5 are */
    assert_int_equal(quota.spent, 495);
    retry_succeeded(&retry);
    assert_int_equal(quota.spent, 490);
    retry = (struct retry){.max_attempts = 3, .quota = &quota};
    retry_succeeded(&retry);
    assert_int_equal(quota.spent, 489);
    quota.spent = 0;
    retry_succeeded(&retry);
    assert_int_equal(quota.spent, 0);
}

static void test_hint(void **state)
{
    struct retry retry = {.max_attempts = 3};

    (void)state;
    assert_int_equal(retry_next(&retry, RETRY_TRANSIENT, 3000, UINT32_MAX), 3000);
    assert_int_equal(retry_next(&retry, RETRY_TRANSIENT, 60000, UINT32_MAX), 5100);
    assert_int_equal(retry_next(&retry, RETRY_TRANSIENT, -7, UINT32_MAX), 1000);
}

static void test_wait_stops_for_good(void **state)
{
    const struct http_response response = {0};
    struct retry retry = {.step = "test", .deadline = clock_ms() + 60000};

    (void)state;
    assert_false(retry_wait(&retry, RETRY_NEVER, &response, "denied"));
    assert_int_equal(retry.attempt, 1);
    retry.deadline = clock_ms() + 500; /* too little for a try */
    assert_false(retry_wait(&retry, RETRY_TRANSIENT, &response, "closed"));
    assert_int_equal(retry.attempt, 2);
}

static void test_wait_leaves_time_for_a_try(void **state)
{
    const struct http_response response = {.retry_after = "999999"};
    struct retry retry = {.step = "test", .deadline = clock_ms() + 1200};

    (void)state;
    assert_true(retry_wait(&retry, RETRY_THROTTLED, &response, "throttled"));
    assert_int_equal(clock_left(retry.deadline), 1000);
}

static void test_wait_heeds_the_server(void **state)
{
    const struct http_response numbered = {.retry_after = "150"};
    const struct http_response other = {.retry_after = "soon"};
    struct retry retry = {.step = "test", .deadline = clock_ms() + 60000};
    int64_t start = clock_ms();

    (void)state;
    assert_true(retry_wait(&retry, RETRY_TRANSIENT, &numbered, "busy")); /* ours: 50 at most */
    assert_int_equal(clock_ms() - start, 150);
    start = clock_ms();
    assert_true(retry_wait(&retry, RETRY_TRANSIENT, &other, "busy"));
    assert_in_range(clock_ms() - start, 0, 100);
}

/* The first after 2 s, then anything up to the double each time, and no seventh try. */
static void test_young(void **state)
{
    const int64_t much = RETRY_YOUNG_MS;
    unsigned tries;

    (void)state;
    assert_int_equal(retry_young_ms(1, much, 0), 2000);
    assert_int_equal(retry_young_ms(1, much, UINT32_MAX), 2000);
    for (tries = 2; tries < 6; tries++) {
        assert_int_equal(retry_young_ms(tries, much, 0), 0);
        assert_int_equal(retry_young_ms(tries, much, UINT32_MAX), 1000 << tries);
    }
    assert_int_equal(retry_young_ms(6, much, 0), -1);
}

static void test_young_leaves_time_for_a_try(void **state)
{
    (void)state;
    assert_int_equal(retry_young_ms(1, 1000, 0), -1);
    assert_int_equal(retry_young_ms(1, 2500, 0), 1500);
    assert_int_equal(retry_young_ms(5, 9000, UINT32_MAX), 8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classified_by_code),
        cmocka_unit_test(test_classified_by_status),
        cmocka_unit_test(test_classified_by_transport),
        cmocka_unit_test(test_full_jitter),
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_hint),
        cmocka_unit_test(test_wait_stops_for_good),
        cmocka_unit_test(test_wait_leaves_time_for_a_try),
        cmocka_unit_test(test_wait_heeds_the_server),
        cmocka_unit_test(test_young),
        cmocka_unit_test(test_young_leaves_time_for_a_try),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
