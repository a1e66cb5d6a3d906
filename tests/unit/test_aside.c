/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "base/aside.h"

/* Work that does not end before somebody writes into the pipe: as a file system that hangs. */
static int ends[2];

static int hang(void *user, struct bytes data)
{
    char byte;

    (void)data;
    *(int *)user = read(ends[0], &byte, 1) == 1;
    return 0;
}

static int fail_with(void *user, struct bytes data)
{
    assert_true(bytes_equal_text(data, "data"));
    errno = *(int *)user;
    return -1;
}

static void a_result_comes_back(void **state)
{
    struct aside aside = ASIDE;
    int wanted = ENOSPC, i;

    (void)state;
    for (i = 0; i < 2; i++) { /* by who asks, and by the thread */
        errno = 0;
        assert_int_equal(aside_do(&aside, fail_with, &wanted, bytes_of_text("data"), 60000), -1);
        assert_int_equal(errno, ENOSPC);
        aside_start(&aside);
    }
    aside_stop(&aside);
    assert_int_equal(aside_do(&aside, fail_with, &wanted, bytes_of_text("data"), 60000), -1);
}

static void what_hangs_is_not_waited_for(void **state)
{
    struct aside aside = ASIDE;
    const struct bytes none = {0};
    int done = 0, wanted = EIO;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    aside_start(&aside);
    assert_int_equal(aside_do(&aside, hang, &done, none, 50), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_true(aside_is_stuck(&aside));
    /* Without any patience: an hour's is not had again. */
    assert_int_equal(aside_do(&aside, hang, &done, none, 3600 * 1000), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(write(ends[1], "x", 1), 1);
    while (aside_is_stuck(&aside))
        (void)usleep(1000);
    assert_int_equal(done, 1);
    assert_int_equal(aside_do(&aside, fail_with, &wanted, bytes_of_text("data"), 60000), -1);
    assert_int_equal(errno, EIO);
    aside_stop(&aside);
    close(ends[0]);
    close(ends[1]);
}

static void one_that_hangs_can_be_left_behind(void **state)
{
    static struct aside aside = ASIDE;
    const struct bytes none = {0};
    static int done;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    aside_start(&aside);
    assert_int_equal(aside_do(&aside, hang, &done, none, 50), -1);
    aside_stop(&aside);
    assert_int_equal(aside_do(&aside, hang, &done, none, 3600 * 1000), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(write(ends[1], "x", 1), 1);
    while (aside_is_stuck(&aside))
        (void)usleep(1000);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_comes_back),
        cmocka_unit_test(what_hangs_is_not_waited_for),
        cmocka_unit_test(one_that_hangs_can_be_left_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
