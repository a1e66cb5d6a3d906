/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/pace.h"

enum { START = 5000, LOOK = PACE_LOOK_MS };

static struct pace started(void)
{
    struct pace pace;

    pace_start(&pace, START);
    return pace;
}

/* Whoever says nothing has all the time counted, however seldom we look. */
static void test_silence_counts_in_full(void **state)
{
    struct pace pace = started();

    (void)state;
    pace_look(&pace, START + 10, PACE_NOTHING);
    assert_int_equal(pace.waited_ms, 10);
    pace_look(&pace, START + 60, PACE_NOTHING);
    pace_look(&pace, START + 30000, PACE_NOTHING);
    assert_int_equal(pace.waited_ms, 30000);
}

/* A processor that is taken away for seconds at a time costs a peer that is served little. */
static void test_it_waits_for_us(void **state)
{
    struct pace pace = started();
    int64_t now = START;
    int i;

    (void)state;
    for (i = 0; i < 10; i++) {
        pace_look(&pace, now += 20000, PACE_SOMETHING); /* its bytes lay there */
        pace_look(&pace, now += 20000, PACE_NOTHING); /* and we answered them, nobody knows when */
    }
    assert_int_equal(pace.waited_ms, 20 * LOOK);
}

/* A byte now and then gains a dripping peer nothing while we look as often as ever. */
static void test_drops_do_not_stop_the_clock(void **state)
{
    struct pace pace = started();
    int64_t now = START;
    int i;

    (void)state;
    for (i = 0; i < 1000; i++)
        pace_look(&pace, now += 5 + i % (LOOK - 5), i % 3 == 0 ? PACE_SOMETHING : PACE_NOTHING);
    assert_int_equal(pace.waited_ms, now - START);
}

/* And where we look seldom, each drop gains at most the time until the look after the next. */
static void test_drops_have_a_bound(void **state)
{
    struct pace pace = started();
    int64_t now = START;
    int looks = 0;

    (void)state;
    while (pace.waited_ms < 5000 && looks < 1000) {
        pace_look(&pace, now += 60000, PACE_SOMETHING);
        looks++;
    }
    assert_int_equal(looks, 5000 / LOOK);
}

/* What cannot be told counts as silence, and not for more than one look's time. */
static void test_what_cannot_be_told(void **state)
{
    struct pace pace = started();

    (void)state;
    pace_look(&pace, START + 30, PACE_UNKNOWN);
    pace_look(&pace, START + 20000, PACE_UNKNOWN);
    assert_int_equal(pace.waited_ms, 30 + LOOK);
    assert_int_equal(pace.silent_ms, 30 + LOOK);
    pace_look(&pace, START + 20010, PACE_SOMETHING);
    assert_int_equal(pace.silent_ms, 0);
    assert_int_equal(pace.waited_ms, 40 + LOOK);
}

static void test_time_is_shared(void **state)
{
    (void)state;
    assert_int_equal(pace_share(60000, 1, 3), 60000);
    assert_int_equal(pace_share(60000, 3, 3), 60000);
    assert_int_equal(pace_share(60000, 4, 3), 30000);
    assert_int_equal(pace_share(54000, 41, 3), 54000 / 14);
    assert_int_equal(pace_share(100, 1024, 1), 1);
    assert_int_equal(pace_share(0, 5, 3), 1);
}

/* One after the other, each using up its share, all have their turn. */
static void test_the_last_has_its_turn(void **state)
{
    int64_t left_ms = 54000;
    uint64_t left;

    (void)state;
    for (left = 1024; left > 0; left--) {
        int64_t share = pace_share(left_ms, left, 1);

        assert_true(share >= 54000 / 1024);
        left_ms -= share;
    }
    assert_true(left_ms >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence_counts_in_full),
        cmocka_unit_test(test_it_waits_for_us),
        cmocka_unit_test(test_drops_do_not_stop_the_clock),
        cmocka_unit_test(test_drops_have_a_bound),
        cmocka_unit_test(test_what_cannot_be_told),
        cmocka_unit_test(test_time_is_shared),
        cmocka_unit_test(test_the_last_has_its_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
