/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "install/install_rollback.h"
#include "install/install_state.h"
#include "install_fixture.h"
#include "install_trace.h"

/* Roll-back and memory, disturbed at each of their calls. */

enum { CALLS_MAX = 2000 };

#define OLD_SET "..set-0123456789abcdef"
#define NEW_SET "..set-fedcba9876543210"
#define HELD    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static int rollback_here(struct fixture *fixture, int unused)
{
    (void)unused;
    fixture->err = (struct err){0};
    return install_rollback(&fixture->target, NULL, &fixture->err);
}

static int tell_here(struct fixture *fixture, int new)
{
    const struct install_state_change change = {.told = new ? NEW_SET : OLD_SET,
                                                .held_back = new ? NULL : HELD};

    fixture->err = (struct err){0};
    return install_state_update(&fixture->target, &change, &fixture->err);
}

static int remember_here(struct fixture *fixture, int unused)
{
    (void)unused;
    return install_state_read(&fixture->target, &fixture->memory, &fixture->err);
}

/* Set 1 has one name more than set 2, so that links come and go as well. */
static void two_sets_there(struct fixture *fixture)
{
    fixture->file_count = 4;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    fixture->file_count = 3;
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
}

static void check_rollback(struct fixture *fixture, const struct disturbance *disturbance,
                           int outcome)
{
    int pair = pinned_pair(fixture);

    if (outcome == 0 ? pair != 1 : pair != 1 && pair != 2)
        fail_msg("call %d, outcome %d: %d is in place (%s)", disturbance->call, outcome, pair,
                 fixture->err.reason);
    if (disturbance->error && outcome == -1) {
        assert_int_equal(pair, 2);
        assert_int_equal(count_sets(fixture), 2); /* nothing is swept */
    }
    fixture->file_count = pair == 1 ? 4 : 3;
    if (pair == 1 && outcome == 0)
        assert_installed(fixture, 1);
    if (pair == 2) { /* it can be tried again */
        fixture->file_count = 4;
        assert_int_equal(fixture_run(fixture, rollback_here, 0), 0);
    }
    assert_true(fixture_install(fixture, 1) >= 0);
    assert_installed(fixture, 1);
    assert_int_equal(count_sets(fixture), 1);
}

static void disturb_rollback(int error)
{
    bool more = true;
    int outcome, kept = 0, n;

    for (n = 1; more && n < CALLS_MAX; n++) {
        const struct disturbance disturbance = {rollback_here, 0, n, error};
        void *own;

        assert_int_equal(fixture_setup(&own), 0);
        two_sets_there(own);
        more = trace_disturb(own, &disturbance, &outcome);
        kept += pinned_pair(own) == 2;
        check_rollback(own, &disturbance, outcome);
        fixture_teardown(&own);
    }
    assert_false(more);
    assert_true(kept > 20 && n - kept > 5); /* it was truly traced, before and behind the swap */
}

static void rollback_killed_at_each_call(void **state)
{
    (void)state;
    disturb_rollback(0);
}

static void rollback_failing_at_each_call(void **state)
{
    (void)state;
#ifndef __x86_64__
    print_message("skipped: calls are made to fail on x86_64 only\n");
    skip();
#endif
    disturb_rollback(EIO);
}

/* The old or the new one, never none; a leftover goes with the next install. */
static void check_memory(struct fixture *fixture, const struct disturbance *disturbance,
                         int outcome)
{
    assert_int_equal(fixture_run(fixture, remember_here, 0), 0);
    if (strcmp(fixture->memory.told, NEW_SET) != 0 &&
        (outcome == 0 || strcmp(fixture->memory.told, OLD_SET) != 0))
        fail_msg("call %d, outcome %d: \"%s\" is remembered (%s)", disturbance->call, outcome,
                 fixture->memory.told, fixture->err.reason);
    if (disturbance->error == 0 || geteuid() == 0) { /* else geteuid(2) was made to fail as well */
        assert_string_equal(fixture->memory.held_back, HELD);
        assert_false(was_logged(fixture, "state_ignored"));
    }
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(count_of_prefix(fixture, "..tmp-"), 0);
    assert_int_equal(fixture_run(fixture, tell_here, 1), 0);
    assert_int_equal(fixture_run(fixture, remember_here, 0), 0);
    assert_string_equal(fixture->memory.told, NEW_SET);
}

static void disturb_memory(int error)
{
    bool more = true;
    int outcome, n;

    for (n = 1; more && n < CALLS_MAX; n++) {
        const struct disturbance disturbance = {tell_here, 1, n, error};
        void *own;

        assert_int_equal(fixture_setup(&own), 0);
        assert_int_equal(fixture_run(own, tell_here, 0), 0);
        more = trace_disturb(own, &disturbance, &outcome);
        check_memory(own, &disturbance, outcome);
        fixture_teardown(&own);
    }
    assert_false(more);
    assert_true(n > 15);
}

static void memory_killed_at_each_call(void **state)
{
    (void)state;
    disturb_memory(0);
}

static void memory_failing_at_each_call(void **state)
{
    (void)state;
#ifndef __x86_64__
    print_message("skipped: calls are made to fail on x86_64 only\n");
    skip();
#endif
    disturb_memory(ENOSPC);
}

static void both_are_durable_before_they_are_reported(void **state)
{
    struct fixture *fixture = *state;

    two_sets_there(fixture);
    assert_int_equal(trace_durability(fixture, rollback_here, 0, "..data"), 1);
    assert_int_equal(pinned_pair(fixture), 1);
    assert_int_equal(trace_durability(fixture, tell_here, 1, "..agent"), 1);
    assert_int_equal(trace_durability(fixture, tell_here, 1, "..agent"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rollback_killed_at_each_call),
        cmocka_unit_test(rollback_failing_at_each_call),
        cmocka_unit_test(memory_killed_at_each_call),
        cmocka_unit_test(memory_failing_at_each_call),
        cmocka_unit_test_setup_teardown(both_are_durable_before_they_are_reported, fixture_setup,
                                        fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
