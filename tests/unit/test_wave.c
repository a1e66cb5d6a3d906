/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/wave.h"
#include "config/config.h"

enum { HOSTS = 10000 };

static const struct config three = {
    .waves = {{10, 0}, {50, 600000}, {100, 3600000}},
    .wave_count = 3,
};

static int64_t delay_of(const struct config *config, int host, const char *version)
{
    char name[32];

    (void)snprintf(name, sizeof name, "i-%017x", (unsigned)host);
    return wave_delay(config, name, version);
}

/* Of chance: the bounds are six standard deviations away. */
static void each_wave_has_its_share(void **state)
{
    int count[3] = {0};

    (void)state;
    for (int host = 0; host < HOSTS; host++) {
        const int64_t delay = delay_of(&three, host, "one");

        assert_true(delay == 0 || delay == 600 || delay == 3600);
        count[delay == 0 ? 0 : delay == 600 ? 1 : 2]++;
        assert_int_equal(delay_of(&three, host, "one"), delay);
    }
    assert_in_range(count[0], 820, 1180);
    assert_in_range(count[1], 3706, 4294);
    assert_in_range(count[2], 4700, 5300);
}

static void who_is_first_is_another_one_each_time(void **state)
{
    int both = 0;

    (void)state;
    for (int host = 0; host < HOSTS; host++)
        both += delay_of(&three, host, "one") == 0 && delay_of(&three, host, "two") == 0;
    assert_in_range(both, 40, 160); /* a tenth of a tenth */
}

static void known_places(void **state)
{
    static const struct config quarters = {
        .waves = {{25, 1000}, {50, 2000}, {75, 3000}, {100, 4000}},
        .wave_count = 4,
    };

    (void)state;
    /* By the first four bytes of SHA-256 of "HOST\nVERSION", as a number. */
    assert_int_equal(wave_delay(&quarters, "a", "2"), 1); /* 16 of a hundred */
    assert_int_equal(wave_delay(&quarters, "a", "1"), 2); /* 30 of a hundred */
    assert_int_equal(wave_delay(&quarters, "b", "1"), 3); /* 69 of a hundred */
    assert_int_equal(wave_delay(&quarters, "b", "2"), 4); /* 81 of a hundred */
}

static void who_has_no_waves_does_not_wait(void **state)
{
    static const struct config none = {0}, all = {.waves = {{100, 1500}}, .wave_count = 1};

    (void)state;
    assert_int_equal(wave_delay(&none, "a", "1"), 0);
    assert_int_equal(wave_delay(&all, "a", "1"), 2); /* whole seconds */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wave_has_its_share),
        cmocka_unit_test(who_is_first_is_another_one_each_time),
        cmocka_unit_test(known_places),
        cmocka_unit_test(who_has_no_waves_does_not_wait),
    };

    return cmocka_run_group_tests_name("wave", tests, NULL, NULL);
}
