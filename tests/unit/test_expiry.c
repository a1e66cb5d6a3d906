/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/expiry.h"

enum { HOUR = 3600, DAY = 24 * HOUR, END = 100 * DAY };

/* Goes from one moment that it names to the next one, and gathers what is told. */
static void each_rung_is_told_once(void **state)
{
    static const int64_t rungs[] = {28 * DAY,  7 * DAY,  3 * DAY,  2 * DAY, DAY,
                                    12 * HOUR, 6 * HOUR, 2 * HOUR, HOUR,    0};
    struct expiry expiry = {0};
    int64_t now = 0, next;
    size_t i;

    (void)state;
    assert_false(expiry_due(&expiry, END, now, &next));
    for (i = 0; i < sizeof rungs / sizeof *rungs; i++) {
        assert_int_equal(next, END - rungs[i]);
        assert_false(expiry_due(&expiry, END, next - 1, &next));
        now = next;
        assert_true(expiry_due(&expiry, END, now, &next));
        assert_false(expiry_due(&expiry, END, now, &next));
    }
    assert_int_equal(next, 0);
    assert_false(expiry_due(&expiry, END, now + DAY, &next));
}

static void rungs_that_were_passed_are_one(void **state)
{
    struct expiry expiry = {0};
    int64_t next;

    (void)state;
    assert_true(expiry_due(&expiry, END, END - 30 * HOUR, &next));
    assert_int_equal(next, END - DAY);
    assert_true(expiry_due(&expiry, END, END + 1, &next));
    assert_int_equal(next, 0);
}

static void another_end_begins_anew(void **state)
{
    struct expiry expiry = {0};
    int64_t next;

    (void)state;
    assert_true(expiry_due(&expiry, END, END - HOUR, &next));
    assert_false(expiry_due(&expiry, END + 90 * DAY, END - HOUR, &next));
    assert_true(expiry_due(&expiry, END + 2 * HOUR, END, &next));
}

static void a_clock_that_goes_back_a_little_tells_nothing_again(void **state)
{
    struct expiry expiry = {0};
    int64_t next;

    (void)state;
    assert_true(expiry_due(&expiry, END, END - HOUR, &next));
    assert_false(expiry_due(&expiry, END, END - 2 * HOUR + 1, &next));
    assert_false(expiry_due(&expiry, END, END - HOUR, &next));
    assert_true(expiry_due(&expiry, END, END, &next));
}

/* It was wrong before: what was told then was not true, and will be one day. */
static void a_clock_that_goes_back_far_begins_again_there(void **state)
{
    struct expiry expiry = {0};
    int64_t next;

    (void)state;
    assert_true(expiry_due(&expiry, END, END + 1, &next));
    assert_false(expiry_due(&expiry, END, END - 10 * DAY, &next));
    assert_int_equal(next, END - 7 * DAY);
    assert_true(expiry_due(&expiry, END, END - 7 * DAY, &next));
    assert_false(expiry_due(&expiry, END, END - 7 * DAY, &next));
}

static void nothing_is_known_of_an_end(void **state)
{
    struct expiry expiry = {0};
    int64_t next;

    (void)state;
    assert_false(expiry_due(&expiry, 0, END, &next));
    assert_int_equal(next, 0);
    assert_true(expiry_due(&expiry, END, END, &next));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rung_is_told_once),
        cmocka_unit_test(rungs_that_were_passed_are_one),
        cmocka_unit_test(another_end_begins_anew),
        cmocka_unit_test(a_clock_that_goes_back_a_little_tells_nothing_again),
        cmocka_unit_test(a_clock_that_goes_back_far_begins_again_there),
        cmocka_unit_test(nothing_is_known_of_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
