/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/decimal.h"

static void test_digits_alone_are_read(void **state)
{
    int64_t value = -1;

    (void)state;
    assert_int_equal(decimal_read(bytes_of_text("0"), &value), 1);
    assert_int_equal(value, 0);
    assert_int_equal(decimal_read(bytes_of_text("0042;"), &value), 4);
    assert_int_equal(value, 42);
    assert_int_equal(decimal_read(bytes_of("1234", 2), &value), 2);
    assert_int_equal(value, 12);
    assert_int_equal(decimal_read(bytes_of_text(""), &value), 0);
    assert_int_equal(decimal_read(bytes_of_text(" 1"), &value), 0);
    assert_int_equal(decimal_read(bytes_of_text("-1"), &value), 0);
}

static void test_what_is_too_large_is_none(void **state)
{
    int64_t value;

    (void)state;
    assert_int_equal(decimal_read(bytes_of_text("9223372036854775807"), &value), 19);
    assert_true(value == INT64_MAX);
    assert_int_equal(decimal_read(bytes_of_text("9223372036854775808"), &value), 19);
    assert_true(value == -1);
    assert_int_equal(decimal_read(bytes_of_text("99999999999999999999999999 "), &value), 26);
    assert_true(value == -1);
}

static void test_a_number_is_the_whole_text(void **state)
{
    static const char *const none[] = {"", " ", "x", "1x", "+1", "-1", "1 ", " 1", "0x1", "1.0"};
    size_t i;

    (void)state;
    assert_int_equal(decimal_number("65535", 65535), 65535);
    assert_int_equal(decimal_number("65536", 65535), -1);
    assert_int_equal(decimal_number("99999999999999999999", 65535), -1);
    assert_int_equal(decimal_number("0", 0), 0);
    for (i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(decimal_number(none[i], INT64_MAX), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digits_alone_are_read),
        cmocka_unit_test(test_what_is_too_large_is_none),
        cmocka_unit_test(test_a_number_is_the_whole_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
