/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "config/config.h"
#include "run/suspicion.h"
#include "run/watch.h"

enum { MINUTE = 60 * 1000, DAY = 24 * 60 * MINUTE };

static const char leaf[] = "aa", other[] = "bb";

static bool take(struct suspicion *suspicion, const char *fingerprint, size_t accepted,
                 size_t refused, int64_t now)
{
    return suspicion_take(
        suspicion, &(const struct suspicion_round){fingerprint, accepted, refused, now, DAY});
}

static void test_three_over_two_minutes(void **state)
{
    struct suspicion suspicion = {.times = 0};
    int64_t now;

    (void)state;
    assert_true(suspicion_next(&suspicion, DAY) == INT64_MAX);
    for (now = 0; now < 2 * MINUTE; now += 1000)
        assert_false(take(&suspicion, leaf, 0, 3, 7 + now));
    assert_int_equal(suspicion_next(&suspicion, DAY), 7 + 2 * MINUTE);
    assert_true(take(&suspicion, leaf, 0, 1, 7 + now));
    assert_false(take(&suspicion, leaf, 0, 1, 8 + now));
    assert_false(take(&suspicion, leaf, 0, 1, 7 + now + MINUTE));
    assert_int_equal(suspicion.times, 1);
}

static void test_one_that_accepts_clears(void **state)
{
    struct suspicion suspicion = {.times = 0};

    (void)state;
    assert_false(take(&suspicion, leaf, 0, 1, 0));
    assert_false(take(&suspicion, leaf, 0, 1, MINUTE));
    assert_false(take(&suspicion, leaf, 1, 1, 2 * MINUTE));
    assert_true(suspicion_next(&suspicion, DAY) == INT64_MAX);
    assert_false(take(&suspicion, leaf, 0, 1, 3 * MINUTE));
    assert_int_equal(suspicion.times, 1);
}

static void test_silence_neither_clears_nor_counts(void **state)
{
    struct suspicion suspicion = {.times = 0};

    (void)state;
    assert_false(take(&suspicion, leaf, 0, 1, 0));
    assert_false(take(&suspicion, leaf, 0, 0, MINUTE));
    assert_false(take(&suspicion, leaf, 0, 1, 2 * MINUTE));
    assert_true(take(&suspicion, leaf, 0, 1, 3 * MINUTE));
}

static void test_another_leaf_begins_anew(void **state)
{
    struct suspicion suspicion = {.times = 0};

    (void)state;
    assert_false(take(&suspicion, leaf, 0, 1, 0));
    assert_false(take(&suspicion, leaf, 0, 1, MINUTE));
    assert_false(take(&suspicion, other, 0, 1, 2 * MINUTE));
    assert_int_equal(suspicion.times, 1);
}

static void test_a_shorter_span(void **state)
{
    struct suspicion suspicion = {.times = 0};
    struct suspicion_round round = {leaf, 0, 1, 0, 100};

    (void)state;
    assert_false(suspicion_take(&suspicion, &round));
    assert_int_equal(suspicion_next(&suspicion, 100), 50);
    round.now = 50;
    assert_false(suspicion_take(&suspicion, &round));
    round.now = 100;
    assert_true(suspicion_take(&suspicion, &round));
}

/* A moment that passed in silence is not due again: rounds without a pause would be the end of it.
 */
static void test_silence_is_not_asked_again_at_once(void **state)
{
    const struct config config = {.set_count = 2, .interval_ms = DAY};
    struct watch watch = {.endpoints = 1};
    const int64_t now = clock_ms();

    (void)state;
    assert_int_equal(watch_next(&watch, &config), INT64_MAX);
    (void)take(&watch.suspicions[0], leaf, 0, 1, now - 5 * MINUTE);
    assert_int_equal(watch_next(&watch, &config), INT64_MAX);
    (void)take(&watch.suspicions[1], leaf, 0, 1, now);
    assert_int_equal(watch_next(&watch, &config), now + MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_over_two_minutes),
        cmocka_unit_test(test_one_that_accepts_clears),
        cmocka_unit_test(test_silence_neither_clears_nor_counts),
        cmocka_unit_test(test_another_leaf_begins_anew),
        cmocka_unit_test(test_a_shorter_span),
        cmocka_unit_test(test_silence_is_not_asked_again_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
