/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/schedule.h"

enum { FLOOR = 1000, INTERVAL = 300000 };

static void test_full_jitter_within_the_interval(void **state)
{
    struct schedule schedule = {INTERVAL, FLOOR, 0};

    (void)state;
    assert_int_equal(schedule_next(&schedule, false, 7, 0), 7 + FLOOR);
    assert_int_equal(schedule_next(&schedule, false, 7, UINT32_MAX), 7 + INTERVAL);
    assert_int_equal(schedule_next(&schedule, false, 0, 1U << 31), (FLOOR + INTERVAL) / 2);
}

static void test_back_off_is_capped(void **state)
{
    struct schedule schedule = {INTERVAL, FLOOR, 0};
    int64_t expected = 2 * FLOOR;
    int i;

    (void)state;
    for (i = 0; i < 100; i++) {
        assert_int_equal(schedule_next(&schedule, true, 0, UINT32_MAX), expected);
        expected = 2 * expected < INTERVAL ? 2 * expected : INTERVAL;
    }
    assert_int_equal(schedule_next(&schedule, true, 0, 0), FLOOR);
    assert_int_equal(schedule_next(&schedule, false, 0, UINT32_MAX), INTERVAL);
    assert_int_equal(schedule_next(&schedule, true, 0, UINT32_MAX), 2 * FLOOR);
}

static void test_an_interval_under_the_floor(void **state)
{
    struct schedule schedule = {10, FLOOR, 0};

    (void)state;
    assert_int_equal(schedule_next(&schedule, false, 0, UINT32_MAX), FLOOR);
    assert_int_equal(schedule_next(&schedule, true, 0, UINT32_MAX), FLOOR);
}

static void test_the_first_one_is_spread(void **state)
{
    const struct schedule day = schedule_of(86400000), brief = schedule_of(400);

    (void)state;
    assert_int_equal(day.floor_ms, 5000);
    assert_int_equal(brief.floor_ms, 200);
    assert_int_equal(schedule_first(&day, 7, 0), 7);
    assert_int_equal(schedule_first(&day, 7, UINT32_MAX), 7 + 60000);
    assert_int_equal(schedule_first(&brief, 7, UINT32_MAX), 7 + 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_jitter_within_the_interval),
        cmocka_unit_test(test_back_off_is_capped),
        cmocka_unit_test(test_an_interval_under_the_floor),
        cmocka_unit_test(test_the_first_one_is_spread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
