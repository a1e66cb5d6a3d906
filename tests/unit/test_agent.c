/* SPDX-License-Identifier: Apache-2.0 */
/* The order of things: what is asked, proved, kept and installed, cycle by cycle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/target.h"
#include "agent_fixture.h"
#include "base/clock.h"
#include "enclave/probe.h"
#include "samples.h"

enum { HOUR_S = 3600, DAY_MS = 24 * 60 * 60 * 1000, USUAL = 0 };

static void next_version(const char *version, const char *leaf)
{
    fake->secrets[0].version = version;
    fake->secrets[0].leaf = leaf;
}

static const char *text_of(int64_t seconds)
{
    static char text[CLOCK_TEXT_MAX];

    clock_format(text, seconds);
    return text;
}

static void a_first_set_is_proved_and_installed(void **state)
{
    (void)state;
    assert_fake_ends(0, "installed", "leaf");
    assert_int_equal(fake->secrets[0].describes, 0); /* there is nothing to compare with */
    assert_int_equal(fake->secrets[0].gets, 1);
    assert_int_equal(fake->rehearsals, 1);
    assert_true(fake->rehearsed.pins);
    assert_null(fake->rehearsed.probes);
    assert_true(fake->agent.sets[0].rehearsed);
    assert_false(fake->agent.sets[0].due);
    assert_string_equal(fake_logged("identity", "set"), fake->dir);
    assert_string_equal(fake_logged("identity", "not_after"), text_of(fake_not_after("leaf")));
    assert_string_equal(fake_logged("secret", "version_id"), "v1");
    assert_string_equal(fake_logged("installed", "dir"), fake->dir);
    assert_string_equal(fake_logged("dry_run", "outcome"), "");
}

static void what_has_not_changed_is_not_asked_for(void **state)
{
    (void)state;
    assert_fake_ends(0, "installed", "leaf");
    assert_fake_ends(0, "unchanged", "leaf");
    assert_int_equal(fake->secrets[0].describes, 1);
    assert_int_equal(fake->secrets[0].gets, 1);
    assert_int_equal(fake->rehearsals, 2); /* an enclave may have changed */
    next_version("v2", "client");
    assert_fake_ends(0, "installed", "client");
    assert_int_equal(fake->secrets[0].gets, 2);
}

/* In run it is the probes that look at what is installed. */
static void run_rehearses_what_is_new_alone(void **state)
{
    struct probe probes[2] = {{.status = 0}};

    (void)state;
    fake->agent.stays = true;
    fake->agent.probes = probes;
    assert_fake_ends(0, "installed", "leaf");
    assert_false(fake->rehearsed.pins);
    assert_ptr_equal(fake->rehearsed.probes, probes);
    assert_true(fake->agent.sets[0].rehearsed);
    assert_fake_ends(0, "unchanged", "leaf");
    assert_int_equal(fake->rehearsals, 1);
    assert_false(fake->agent.sets[0].rehearsed);
}

static void describe_that_is_denied_is_not_asked_for_a_day(void **state)
{
    (void)state;
    assert_fake_ends(0, "installed", "leaf");
    fake->secrets[0].describe_denied = true;
    fake->secrets[0].get = ERR_AWS_DENIED; /* all is denied: nothing is known of that one alone */
    assert_fake_ends(fake_status_of(ERR_AWS_DENIED), "failed", "leaf");
    fake->secrets[0].get = ERR_NONE;
    assert_fake_ends(0, "unchanged", "leaf");
    assert_int_equal(fake->secrets[0].describes, 2);
    assert_fake_ends(0, "unchanged", "leaf");
    assert_int_equal(fake->secrets[0].describes, 2);
    assert_int_equal(fake->secrets[0].gets, 4);
    clock_sleep(DAY_MS, INT64_MAX);
    assert_fake_ends(0, "unchanged", "leaf");
    assert_int_equal(fake->secrets[0].describes, 3);
    agent_forget(&fake->agent); /* somebody asks for a fresh look */
    assert_fake_ends(0, "unchanged", "leaf");
    assert_int_equal(fake->secrets[0].describes, 4);
}

static void where_aws_cannot_be_asked_the_installed_set_stays(void **state)
{
    (void)state;
    fake->secrets[0].get = fake->secrets[0].describe = ERR_AWS_UNREACHABLE;
    assert_fake_ends(fake_status_of(ERR_AWS_UNREACHABLE), "failed", "");
    assert_null(strstr(fake->agent.sets[0].err.reason, "substitute"));
    fake->secrets[0].get = fake->secrets[0].describe = ERR_NONE;
    assert_fake_ends(0, "installed", "leaf");
    fake->secrets[0].describe = ERR_AWS_UNREACHABLE;
    assert_fake_ends(0, "kept_stale", "leaf");
    assert_int_equal(fake->agent.sets[0].err.code, ERR_AWS_UNREACHABLE);
    fake->secrets[0].describe = ERR_NONE;
    assert_fake_ends(0, "unchanged", "leaf");
    assert_int_equal(fake->agent.sets[0].err.code, ERR_NONE);
    next_version("v2", "client");
    fake->secrets[0].get = ERR_AWS_UNREACHABLE;
    assert_fake_ends(0, "kept_stale", "leaf");
    fake->secrets[0].get = ERR_AWS_DENIED; /* somebody must mend that */
    assert_fake_ends(fake_status_of(ERR_AWS_DENIED), "failed", "leaf");
    fake->secrets[0].get = ERR_AWS_UNREACHABLE;
    fake->config.keep_if_unreachable = false;
    assert_fake_ends(fake_status_of(ERR_AWS_UNREACHABLE), "failed", "leaf");
}

static void what_is_installed_is_a_substitute_while_it_serves(void **state)
{
    const char *const forbidden = "v1";

    (void)state;
    assert_fake_ends(0, "installed", "leaf");
    fake->secrets[0].describe = ERR_AWS_UNREACHABLE;
    fake_set_wall(fake_not_after("leaf") - HOUR_S);
    assert_fake_ends(0, "kept_stale", "leaf");
    fake_set_wall(fake_not_after("leaf") - HOUR_S + 1);
    assert_fake_ends(fake_status_of(ERR_AWS_UNREACHABLE), "failed", "leaf");
    assert_non_null(strstr(fake->agent.sets[0].err.reason, "no substitute: its certificate ends"));
    fake_set_wall(SAMPLES_NOW);
    fake->config.expect_subject = "CN=Somebody";
    assert_fake_ends(fake_status_of(ERR_AWS_UNREACHABLE), "failed", "leaf");
    fake->config.expect_subject = NULL;
    fake->config.forbidden[0] = forbidden;
    fake->config.forbidden_count = 1;
    assert_fake_ends(fake_status_of(ERR_AWS_UNREACHABLE), "failed", "leaf");
    assert_non_null(strstr(fake->agent.sets[0].err.reason, "v1 is forbidden"));
    fake->config.forbidden[0] = "v";
    assert_fake_ends(0, "kept_stale", "leaf");
    fake->config.sets[0].secrets[0] = "two"; /* another environment's */
    fake->secrets[1].describe = ERR_AWS_UNREACHABLE;
    assert_fake_ends(fake_status_of(ERR_AWS_UNREACHABLE), "failed", "leaf");
    assert_non_null(strstr(fake->agent.sets[0].err.reason, "made of"));
}

/* In run a set is not rehearsed while anchors are only kept, and is when they go. */
static void anchors_that_are_kept_end_by_themselves(void **state)
{
    (void)state;
    fake->config.ca_overlap_ms = 2 * HOUR_S * 1000;
    fake->agent.stays = true;
    assert_fake_ends(0, "installed", "leaf");
    next_version("v2", "leaf");
    fake->secrets[0].ca = "other-ca.pem";
    assert_fake_ends(0, "installed", "leaf");
    assert_int_equal(fake->rehearsals, 2);
    assert_string_equal(fake_logged("ca_overlap", "until"), text_of(SAMPLES_NOW + 2 * HOUR_S));
    assert_fake_ends(0, "unchanged", "leaf");
    assert_int_equal(fake->rehearsals, 2);
    clock_sleep((int64_t)2 * HOUR_S * 1000, INT64_MAX);
    assert_fake_ends(0, "ca_overlap_ended", "leaf");
    assert_int_equal(fake->rehearsals, 3);
    assert_fake_ends(0, "unchanged", "leaf");
    assert_int_equal(fake->rehearsals, 3);
}

static void what_an_enclave_refuses_is_not_installed(void **state)
{
    (void)state;
    fake->rehearsal = -1;
    fake->rehearsal_code = ERR_ENCLAVE_REFUSED;
    assert_fake_ends(fake_status_of(ERR_ENCLAVE_REFUSED), "failed", "");
    assert_fake_ends(fake_status_of(ERR_ENCLAVE_REFUSED), "failed", "");
    assert_int_equal(fake->rehearsals, 2); /* fetch has no memory of it */
    fake->rehearsal = USUAL;
    assert_fake_ends(0, "installed", "leaf");
}

static void assert_tried(unsigned rehearsals)
{
    assert_int_equal(fake_cycle(), fake_status_of(ERR_ENCLAVE_REFUSED));
    assert_int_equal(fake->agent.sets[0].err.code, ERR_ENCLAVE_REFUSED);
    assert_int_equal(fake->rehearsals, rehearsals);
}

/* In run a version that failed is tried again after one interval, two, four, twelve at most. */
static void a_version_that_failed_is_tried_ever_less_often(void **state)
{
    static const int64_t intervals[] = {1, 2, 4, 8, 12, 12};
    unsigned i, times = 1;

    (void)state;
    assert_fake_ends(0, "installed", "leaf");
    fake->agent.stays = true;
    fake->rehearsals = 0;
    fake->rehearsal = -1;
    fake->rehearsal_code = ERR_ENCLAVE_REFUSED;
    next_version("v2", "client");
    assert_tried(times);
    for (i = 0; i < sizeof intervals / sizeof *intervals; i++) {
        clock_sleep(intervals[i] * FAKE_INTERVAL_MS - 1, INT64_MAX);
        assert_tried(times);
        clock_sleep(1, INT64_MAX);
        assert_tried(++times);
    }
    next_version("v3", "client"); /* another one has its own count */
    assert_tried(++times);
    clock_sleep(FAKE_INTERVAL_MS, INT64_MAX);
    assert_tried(++times);
    assert_tried(times);
    agent_forget(&fake->agent);
    assert_tried(++times);
    assert_string_equal(fake_installed(""), "leaf");
}

static void an_enclave_that_cannot_be_reached_is_tried_each_time(void **state)
{
    (void)state;
    fake->agent.stays = true;
    fake->rehearsal = -1;
    fake->rehearsal_code = ERR_ENCLAVE_UNREACHABLE;
    assert_fake_ends(fake_status_of(ERR_ENCLAVE_UNREACHABLE), "failed", "");
    assert_fake_ends(fake_status_of(ERR_ENCLAVE_UNREACHABLE), "failed", "");
    assert_int_equal(fake->rehearsals, 2);
}

static void nothing_unproven_over_something_good(void **state)
{
    (void)state;
    fake->rehearsal = REHEARSAL_UNPROVEN;
    assert_fake_ends(0, "installed", "leaf"); /* a first boot does not depend on the enclave */
    assert_fake_ends(0, "unchanged", "leaf");
    next_version("v2", "client");
    assert_fake_ends(0, "kept_unproven", "leaf");
    fake_set_wall(fake_not_after("leaf") - HOUR_S + 1);
    assert_fake_ends(0, "installed", "client");
    next_version("v3", "client"); /* another version of the same */
    assert_fake_ends(0, "installed", "client");
}

static void a_dry_run_proves_and_changes_nothing(void **state)
{
    (void)state;
    fake->config.dry_run = true;
    assert_fake_ends(0, "", "");
    assert_false(fake->rehearsed.pins);
    assert_string_equal(fake_logged("dry_run", "outcome"), "proven");
    fake->rehearsal = REHEARSAL_SKIPPED;
    assert_fake_ends(0, "", "");
    assert_string_equal(fake_logged("dry_run", "outcome"), "sound");
    fake->secrets[0].get = ERR_VERSION_PENDING;
    assert_int_equal(fake_cycle(), fake_status_of(ERR_VERSION_PENDING));
    assert_string_equal(fake_logged("dry_run", "outcome"), "not_yet");
    fake->secrets[0].get = ERR_NONE;
    fake->rehearsal = REHEARSAL_UNPROVEN;
    assert_fake_ends(fake_status_of(ERR_ENCLAVE_UNREACHABLE), "failed", "");
    fake->config.dry_run = false;
    assert_fake_ends(0, "installed", "leaf");
    fake->config.dry_run = true;
    fake->secrets[0].describe = ERR_AWS_UNREACHABLE;
    assert_fake_ends(fake_status_of(ERR_AWS_UNREACHABLE), "failed", "leaf");
}

static void who_is_not_expected_is_not_installed(void **state)
{
    (void)state;
    fake->config.expect_subject = "CN=Somebody";
    assert_fake_ends(fake_status_of(ERR_IDENTITY_UNEXPECTED), "failed", "");
    fake->config.expect_subject = "CN=Leaf";
    assert_fake_ends(0, "installed", "leaf");
    fake->config.forbidden[0] = "v0";
    fake->config.forbidden[1] = "v2";
    fake->config.forbidden_count = 2;
    assert_fake_ends(0, "unchanged", "leaf");
    next_version("v2", "leaf");
    assert_fake_ends(fake_status_of(ERR_IDENTITY_UNEXPECTED), "failed", "leaf");
    assert_int_equal(fake->rehearsals, 2);
}

/* A clock in the past has until the deadline to be set. */
static void a_certificate_from_the_future_is_waited_for(void **state)
{
    int64_t begun = clock_ms();

    (void)state;
    fake_set_wall(fake_not_before("leaf") - 5);
    assert_fake_ends(0, "installed", "leaf");
    assert_in_range(clock_ms() - begun, 4000, 6000);
    fake_set_wall(fake_not_before("leaf") - 2 * HOUR_S);
    next_version("v2", "leaf");
    begun = clock_ms();
    assert_int_equal(fake_cycle(), fake_status_of(ERR_CERTIFICATE_NOT_YET_VALID));
    assert_in_range(clock_ms() - begun, FAKE_DEADLINE_MS, FAKE_DEADLINE_MS + 1000);
    /* Who stays looks again anyway. */
    fake->agent.stays = true;
    begun = clock_ms();
    assert_int_equal(fake_cycle(), fake_status_of(ERR_CERTIFICATE_NOT_YET_VALID));
    assert_int_equal(clock_ms(), begun);
    fake_set_wall(fake_not_before("leaf") - FAKE_DEADLINE_MS / 1000);
    (void)fake_cycle(); /* up to the last moment */
    assert_in_range(clock_ms() - begun, FAKE_DEADLINE_MS - 1000, FAKE_DEADLINE_MS);
    fake_set_wall(fake_not_before("leaf") - 5);
    assert_int_equal(fake_cycle(), 0);
}

static void what_aws_does_not_know_yet_is_waited_for(void **state)
{
    int64_t begun = clock_ms();

    (void)state;
    fake->secrets[0].get = ERR_SECRET_NOT_FOUND;
    fake->secrets[0].young = true;
    assert_fake_ends(fake_status_of(ERR_SECRET_NOT_FOUND), "failed", "");
    assert_in_range(fake->secrets[0].gets, 2, 7);
    assert_int_equal(fake->renewals, fake->secrets[0].gets - 1);
    assert_in_range(clock_ms() - begun, 2000, FAKE_DEADLINE_MS);
    assert_non_null(strstr(fake->agent.sets[0].err.reason, "; waited "));
    assert_in_range(atoi(strstr(fake->agent.sets[0].err.reason, "; waited ") + 9),
                    (clock_ms() - begun - 500) / 1000, (clock_ms() - begun + 500) / 1000);
    assert_string_equal(fake_logged("aws_wait", "code"), "secret_not_found");
    /* Not in a dry run, not where something good is installed, and not in later cycles. */
    fake->secrets[0].gets = 0;
    fake->config.dry_run = true;
    fake->agent.sets[0] = (struct agent_set){.due = false};
    assert_int_equal(fake_cycle(), fake_status_of(ERR_SECRET_NOT_FOUND));
    assert_int_equal(fake->secrets[0].gets, 1);
    assert_null(strstr(fake->agent.sets[0].err.reason, "; waited "));
    fake->config.dry_run = false;
    fake->secrets[0].get = ERR_NONE;
    assert_fake_ends(0, "installed", "leaf");
    fake->secrets[0].get = ERR_SECRET_NOT_FOUND;
    fake->secrets[0].gets = 0;
    fake->agent.sets[0] = (struct agent_set){.due = false};
    next_version("v2", "leaf");
    assert_int_equal(fake_cycle(), fake_status_of(ERR_SECRET_NOT_FOUND));
    assert_int_equal(fake->secrets[0].gets, 1);
}

static void one_set_that_waits_does_not_hold_up_another(void **state)
{
    (void)state;
    fake->config.set_count = 2;
    fake->secrets[0].get = ERR_SECRET_NOT_FOUND;
    fake->secrets[0].young = true;
    assert_int_equal(fake_cycle(), fake_status_of(ERR_SECRET_NOT_FOUND));
    assert_string_equal(fake_installed("b"), "leaf");
    assert_string_equal(fake_outcome(1), "installed");
    assert_int_equal(fake->secrets[1].gets, 1);
}

/* A turn that the deadline cut short says nothing new. */
static void the_deadline_is_not_why_aws_does_not_know_it(void **state)
{
    (void)state;
    fake->secrets[0].get = ERR_SECRET_NOT_FOUND;
    fake->secrets[0].young = true;
    fake->secrets[0].patience = 2;
    assert_fake_ends(fake_status_of(ERR_SECRET_NOT_FOUND), "failed", "");
    assert_int_equal(fake->secrets[0].gets, 3);
}

static void a_set_that_is_slow_and_installed_has_had_its_turn(void **state)
{
    (void)state;
    fake->config.set_count = 2;
    fake->secrets[0].hangs = true;
    assert_int_equal(fake_cycle(), 0);
    assert_string_equal(fake_outcome(0), "installed");
    assert_int_equal(fake->secrets[0].gets, 1);
    assert_int_equal(fake->secrets[0].describes, 0);
}

/* Whose turn lasts to the deadline has had all there is. */
static void a_set_alone_has_one_turn(void **state)
{
    (void)state;
    fake->secrets[0].takes_ms = FAKE_DEADLINE_MS - 3000;
    fake->secrets[0].get = ERR_AWS_DENIED;
    assert_fake_ends(fake_status_of(ERR_AWS_DENIED), "failed", "");
    assert_int_equal(fake->secrets[0].gets, 1);
}

static void one_set_that_hangs_does_not_take_the_time_of_another(void **state)
{
    const int64_t begun = clock_ms();

    (void)state;
    fake->config.set_count = 2;
    fake->secrets[0].hangs = true;
    fake->secrets[0].get = ERR_DEADLINE;
    assert_int_equal(fake_cycle(), fake_status_of(ERR_DEADLINE));
    assert_string_equal(fake_outcome(0), "failed");
    assert_string_equal(fake_installed("b"), "leaf");
    assert_int_equal(fake->secrets[0].gets, 2); /* it goes on in what the other one left */
    assert_int_equal(fake->secrets[1].gets, 1);
    assert_in_range(clock_ms() - begun, FAKE_DEADLINE_MS - 1000, FAKE_DEADLINE_MS);
}

static void the_worst_status_of_all_sets_is_the_cycles(void **state)
{
    (void)state;
    fake->config.set_count = 2;
    fake->secrets[0].get = ERR_AWS_DENIED;
    assert_int_equal(fake_cycle(), fake_status_of(ERR_AWS_DENIED));
    assert_string_equal(fake_installed("b"), "leaf");
    assert_int_equal(fake->secrets[0].gets, 1); /* it had its turn */
    fake->secrets[0].get = ERR_NONE;
    fake->secrets[1].describe = ERR_AWS_DENIED;
    assert_int_equal(fake_cycle(), fake_status_of(ERR_AWS_DENIED));
    assert_string_equal(fake_outcome(0), "installed");
    assert_string_equal(fake_outcome(1), "failed");
}

static void a_cycle_that_fails_sweeps_what_is_over(void **state)
{
    (void)state;
    assert_fake_ends(0, "installed", "leaf");
    next_version("v2", "client");
    assert_fake_ends(0, "installed", "client");
    fake->config.keep_previous_ms = 0;
    fake->secrets[0].describe = ERR_AWS_DENIED;
    assert_fake_ends(fake_status_of(ERR_AWS_DENIED), "failed", "client");
    assert_int_equal(agent_rollback(&fake->agent, clock_ms() + FAKE_DEADLINE_MS),
                     fake_status_of(ERR_NO_PREVIOUS));
}

/* How many secrets it is of is known without AWS. */
static void a_set_of_more_secrets_is_another_one(void **state)
{
    (void)state;
    assert_fake_ends(0, "installed", "leaf");
    fake->config.sets[0].secrets[1] = "two";
    fake->config.sets[0].secret_count = 2;
    assert_true(fake_cycle() != 0); /* both hold the same fields */
    assert_int_equal(fake->secrets[0].describes, 0);
    assert_int_equal(fake->secrets[1].gets, 1);
}

static void only_three_commands_change_a_target(void **state)
{
    static const struct {
        const char *command;
        bool looks_only;
    } cases[] = {{"fetch", false},  {"run", false},        {"purge", false}, {"probe", true},
                 {"inspect", true}, {"healthcheck", true}, {NULL, true}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake->config.command = cases[i].command;
        assert_int_equal(agent_target(&fake->config, "", 5).looks_only, cases[i].looks_only);
    }
    fake->config.rollback_on_failure = ROLLBACK_NEVER;
    assert_false(agent_target(&fake->config, "", 5).keep_newest);
    fake->config.rollback_on_failure = ROLLBACK_REFUSED;
    assert_true(agent_target(&fake->config, "", 5).keep_newest);
}

static void where_nothing_can_be_asked_all_sets_fail(void **state)
{
    (void)state;
    fake->config.set_count = 2;
    fake->start = ERR_CONFIG;
    assert_int_equal(fake_cycle(), fake_status_of(ERR_CONFIG));
    assert_string_equal(fake_outcome(0), "failed");
    assert_string_equal(fake_outcome(1), "failed");
    assert_int_equal(fake->agent.sets[1].err.code, ERR_CONFIG);
    assert_true(fake->agent.sets[1].failed);
    assert_int_equal(fake->secrets[0].gets, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_first_set_is_proved_and_installed),
        TEST(what_has_not_changed_is_not_asked_for),
        TEST(run_rehearses_what_is_new_alone),
        TEST(describe_that_is_denied_is_not_asked_for_a_day),
        TEST(where_aws_cannot_be_asked_the_installed_set_stays),
        TEST(what_is_installed_is_a_substitute_while_it_serves),
        TEST(anchors_that_are_kept_end_by_themselves),
        TEST(what_an_enclave_refuses_is_not_installed),
        TEST(a_version_that_failed_is_tried_ever_less_often),
        TEST(an_enclave_that_cannot_be_reached_is_tried_each_time),
        TEST(nothing_unproven_over_something_good),
        TEST(a_dry_run_proves_and_changes_nothing),
        TEST(who_is_not_expected_is_not_installed),
        TEST(a_certificate_from_the_future_is_waited_for),
        TEST(what_aws_does_not_know_yet_is_waited_for),
        TEST(one_set_that_waits_does_not_hold_up_another),
        TEST(the_deadline_is_not_why_aws_does_not_know_it),
        TEST(a_set_that_is_slow_and_installed_has_had_its_turn),
        TEST(a_set_alone_has_one_turn),
        TEST(one_set_that_hangs_does_not_take_the_time_of_another),
        TEST(the_worst_status_of_all_sets_is_the_cycles),
        TEST(a_cycle_that_fails_sweeps_what_is_over),
        TEST(a_set_of_more_secrets_is_another_one),
        TEST(only_three_commands_change_a_target),
        TEST(where_nothing_can_be_asked_all_sets_fail),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
