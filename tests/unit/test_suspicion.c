/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "service/suspicion.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_over_two_minutes),
        cmocka_unit_test(test_one_that_accepts_clears),
        cmocka_unit_test(test_silence_neither_clears_nor_counts),
        cmocka_unit_test(test_another_leaf_begins_anew),
        cmocka_unit_test(test_a_shorter_span),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
