/* SPDX-License-Identifier: Apache-2.0 */
/* The way back: by hand, by itself, and what becomes of the version that was left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent_fixture.h"
#include "base/clock.h"
#include "samples.h"

enum { HOUR_MS = 60 * 60 * 1000 };

static struct err err;

static int64_t deadline(void)
{
    return clock_ms() + FAKE_DEADLINE_MS;
}

/* "leaf" is version v1, "client" is v2 and installed. */
static int set_up(void **state)
{
    if (fake_setup(state) < 0)
        return -1;
    fake->config.rollback_on_failure = ROLLBACK_REFUSED;
    fake->accepts = 1;
    assert_fake_ends(0, "installed", "leaf");
    fake->secrets[0].version = "v2";
    fake->secrets[0].leaf = "client";
    assert_fake_ends(0, "installed", "client");
    fake->rehearsals = 0;
    return 0;
}

static void assert_back(void)
{
    assert_int_equal(agent_rollback(&fake->agent, deadline()), 0);
    assert_string_equal(fake_outcome(0), "rolled_back");
    assert_string_equal(fake_installed(""), "leaf");
    assert_false(fake->agent.writing);
}

static void assert_rolls_back(void)
{
    assert_int_equal(agent_rollback_set(&fake->agent, 0, deadline(), &err), 0);
    assert_string_equal(fake_installed(""), "leaf");
    assert_false(fake->agent.writing);
}

static void assert_no_rollback(enum err_code code)
{
    assert_int_equal(agent_rollback_set(&fake->agent, 0, deadline(), &err), -1);
    assert_int_equal(err.code, code);
    assert_string_equal(fake_installed(""), "client");
}

static void assert_stays(enum err_code code)
{
    assert_int_equal(agent_rollback(&fake->agent, deadline()), fake_status_of(code));
    assert_string_equal(fake_installed(""), "client");
}

static void what_was_left_by_hand_is_held_back(void **state)
{
    (void)state;
    assert_back();
    assert_int_equal(fake->rehearsals, 1);
    assert_int_equal(fake->acceptances, 0);
    fake->secrets[0].gets = 0;
    assert_fake_ends(0, "held_back", "leaf");
    assert_fake_ends(0, "held_back", "leaf");
    assert_int_equal(fake->secrets[0].gets, 0); /* not even asked for */
    fake->secrets[0].version = "v3";
    assert_fake_ends(0, "installed", "client");
    fake->secrets[0].version = "v2"; /* another one has come: this one may again */
    fake->secrets[0].leaf = "leaf";
    assert_fake_ends(0, "installed", "leaf");
}

static void what_is_held_back_comes_where_it_is_named(void **state)
{
    (void)state;
    assert_back();
    fake->config.version_id = "v2";
    assert_fake_ends(0, "installed", "client");
}

static void a_dry_run_tries_what_is_held_back(void **state)
{
    (void)state;
    assert_back();
    fake->config.dry_run = true;
    fake->rehearsals = 0;
    assert_int_equal(fake_cycle(), 0);
    assert_int_equal(fake->rehearsals, 1);
    assert_string_equal(fake_installed(""), "leaf");
}

/* What exits 0 has looked at what is installed. */
static void what_stands_in_its_place_has_to_be_whole(void **state)
{
    char path[160];

    (void)state;
    assert_back();
    (void)snprintf(path, sizeof path, "%s/..data/client.key", fake->dir);
    assert_int_equal(unlink(path), 0);
    assert_true(fake_cycle() != 0);
    assert_string_equal(fake_outcome(0), "failed");
    assert_non_null(strstr(fake->agent.sets[0].err.reason, "held back; to install it"));
}

static void what_stands_in_its_place_has_to_be_expected(void **state)
{
    (void)state;
    assert_back();
    fake->config.expect_subject = "CN=ECS-Client";
    assert_fake_ends(fake_status_of(ERR_IDENTITY_UNEXPECTED), "failed", "leaf");
}

static void nobody_goes_back_to_what_an_enclave_refuses(void **state)
{
    (void)state;
    fake->rehearsal = -1;
    fake->rehearsal_code = ERR_ENCLAVE_REFUSED;
    assert_stays(ERR_ENCLAVE_REFUSED);
    fake->rehearsal = REHEARSAL_UNPROVEN; /* the policy decides */
    assert_back();
}

static void nobody_goes_back_to_what_is_forbidden_or_not_expected(void **state)
{
    (void)state;
    fake->config.forbidden[0] = "v1";
    fake->config.forbidden_count = 1;
    assert_stays(ERR_NO_PREVIOUS);
    assert_no_rollback(ERR_NO_PREVIOUS);
    assert_non_null(strstr(err.reason, "v1"));
    fake->config.forbidden_count = 0;
    fake->config.expect_subject = "CN=ECS-Client";
    assert_no_rollback(ERR_NO_PREVIOUS);
    assert_non_null(strstr(err.reason, "not the expected one"));
    assert_int_equal(fake->rehearsals, 0);
    assert_int_equal(fake->acceptances, 0);
}

static void nobody_goes_back_to_another_environment(void **state)
{
    (void)state;
    fake->config.sets[0].secrets[0] = "two";
    assert_no_rollback(ERR_NO_PREVIOUS);
    assert_non_null(strstr(err.reason, "made of"));
}

static void nobody_goes_back_to_what_has_expired(void **state)
{
    (void)state;
    fake_set_wall(fake_not_after("leaf") + 1);
    assert_int_equal(agent_rollback_set(&fake->agent, 0, deadline(), &err), -1);
    assert_string_equal(fake_installed(""), "client");
}

static void there_is_one_set_before_only(void **state)
{
    (void)state;
    assert_back();
    assert_int_equal(agent_rollback(&fake->agent, deadline()), fake_status_of(ERR_NO_PREVIOUS));
    assert_string_equal(fake_installed(""), "leaf");
}

static void each_set_goes_back_by_itself(void **state)
{
    (void)state;
    fake->config.set_count = 2; /* of the second there is none before */
    assert_fake_ends(0, "unchanged", "client");
    assert_int_equal(agent_rollback(&fake->agent, deadline()), fake_status_of(ERR_NO_PREVIOUS));
    assert_string_equal(fake_installed(""), "leaf");
    assert_string_equal(fake_installed("b"), "leaf");
}

static void by_itself_it_goes_back_to_what_works(void **state)
{
    (void)state;
    fake->accepts = 0;
    assert_no_rollback(ERR_ENCLAVE_REFUSED);
    fake->accepts = -1;
    assert_no_rollback(ERR_ENCLAVE_UNREACHABLE);
    fake->accepts = 1;
    assert_rolls_back();
    assert_int_equal(fake->rehearsals, 0);
}

/* Once for a version: what comes back by another chance is not left again. */
static void by_itself_it_leaves_a_version_once(void **state)
{
    (void)state;
    assert_rolls_back();
    fake->config.version_id = "v2";
    fake->rehearsal = REHEARSAL_PROVEN;
    fake->accepts = 0; /* nobody takes what is installed instead */
    fake->config.version_id = NULL;
    assert_fake_ends(0, "installed", "client");
    fake->accepts = 1;
    assert_no_rollback(ERR_NO_PREVIOUS);
    assert_non_null(strstr(err.reason, "once already"));
    assert_back(); /* by hand it does */
}

static void what_was_left_by_itself_waits_for_its_chance(void **state)
{
    (void)state;
    assert_rolls_back();
    fake->agent.stays = true;
    fake->secrets[0].gets = fake->acceptances = 0;
    assert_fake_ends(0, "held_back", "leaf");
    assert_int_equal(fake->secrets[0].gets, 0);
    assert_int_equal(fake->acceptances, 1); /* what is installed instead has to work */
    clock_sleep(HOUR_MS - 1000, INT64_MAX);
    assert_fake_ends(0, "held_back", "leaf");
    fake->rehearsal = -1; /* its chance: it is refused still */
    fake->rehearsal_code = ERR_ENCLAVE_REFUSED;
    fake->rehearsals = 0;
    clock_sleep(1000, INT64_MAX);
    assert_fake_ends(0, "held_back", "leaf");
    assert_int_equal(fake->rehearsals, 1);
    assert_fake_ends(0, "held_back", "leaf"); /* and the next one is an hour away */
    assert_int_equal(fake->rehearsals, 1);
    fake->rehearsal = REHEARSAL_PROVEN;
    clock_sleep(HOUR_MS, INT64_MAX);
    assert_fake_ends(0, "installed", "client");
}

static void a_short_interval_brings_the_chance_sooner(void **state)
{
    (void)state;
    fake->config.interval_ms = 10000;
    assert_rolls_back();
    clock_sleep(12 * 10000 - 1000, INT64_MAX);
    assert_fake_ends(0, "held_back", "leaf");
    clock_sleep(1000, INT64_MAX);
    assert_fake_ends(0, "installed", "client");
}

static void a_clock_that_was_set_back_brings_the_chance(void **state)
{
    (void)state;
    assert_rolls_back();
    fake_set_wall(SAMPLES_NOW - 1);
    assert_fake_ends(0, "installed", "client");
}

/* Where nothing rehearses, an enclave is asked all the same. */
static void its_chance_is_an_enclave_that_accepts(void **state)
{
    (void)state;
    assert_rolls_back();
    fake->rehearsal = REHEARSAL_SKIPPED;
    clock_sleep(HOUR_MS, INT64_MAX);
    fake->acceptances = 0;
    fake->accepts = -1; /* what is installed serves: nothing is known against it */
    assert_fake_ends(0, "held_back", "leaf");
    assert_int_equal(fake->acceptances, 2);
    fake->accepts = 0; /* neither is accepted */
    assert_fake_ends(0, "held_back", "leaf");
    fake->accepts = 1;
    clock_sleep(HOUR_MS, INT64_MAX);
    assert_fake_ends(0, "installed", "client");
}

static void what_no_enclave_accepts_gives_way_at_once(void **state)
{
    (void)state;
    assert_rolls_back();
    fake->accepts = 0;
    assert_fake_ends(0, "installed", "client");
}

static void what_expires_gives_way_at_once(void **state)
{
    (void)state;
    assert_rolls_back();
    fake_set_wall(fake_not_after("leaf") - 60);
    fake->acceptances = 0;
    assert_fake_ends(0, "installed", "client");
    assert_int_equal(fake->acceptances, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fake_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_left_by_hand_is_held_back),
        TEST(what_is_held_back_comes_where_it_is_named),
        TEST(a_dry_run_tries_what_is_held_back),
        TEST(what_stands_in_its_place_has_to_be_whole),
        TEST(what_stands_in_its_place_has_to_be_expected),
        TEST(nobody_goes_back_to_what_an_enclave_refuses),
        TEST(nobody_goes_back_to_what_is_forbidden_or_not_expected),
        TEST(nobody_goes_back_to_another_environment),
        TEST(nobody_goes_back_to_what_has_expired),
        TEST(there_is_one_set_before_only),
        TEST(each_set_goes_back_by_itself),
        TEST(by_itself_it_goes_back_to_what_works),
        TEST(by_itself_it_leaves_a_version_once),
        TEST(what_was_left_by_itself_waits_for_its_chance),
        TEST(a_short_interval_brings_the_chance_sooner),
        TEST(a_clock_that_was_set_back_brings_the_chance),
        TEST(its_chance_is_an_enclave_that_accepts),
        TEST(what_no_enclave_accepts_gives_way_at_once),
        TEST(what_expires_gives_way_at_once),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
