/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "enclave/history.h"

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

/* A machine that has been up for some days; the start of a bucket of both windows. */
#define START ((int64_t)100 * HOUR)

static struct history history;
static struct history_sum sum;

static int set_up(void **state)
{
    (void)state;
    history = (struct history){0};
    return 0;
}

static void add(int64_t now_ms, enum probe_verdict verdict, int64_t latency_ms)
{
    const struct history_entry entry = {
        .now_ms = now_ms,
        .wall = 1000000 + now_ms / 1000,
        .verdict = verdict,
        .latency_ms = latency_ms,
        .reason = verdict == PROBE_ACCEPTED ? NULL : "the reason",
    };

    history_add(&history, &entry);
}

static unsigned asked(int64_t now_ms, enum history_window window)
{
    history_sum(&history, now_ms, window, &sum);
    return sum.asked;
}

static void an_endpoint_never_asked_has_no_numbers(void **state)
{
    (void)state;
    for (int window = 0; window < HISTORY_WINDOWS; window++) {
        assert_int_equal(asked(START, (enum history_window)window), 0);
        assert_int_equal(asked(0, (enum history_window)window), 0);
        assert_int_equal(sum.mean_ms, -1);
        assert_int_equal(sum.worst_ms, -1);
    }
    assert_int_equal(history.last, PROBE_UNASKED);
}

static void answers_are_counted_by_verdict(void **state)
{
    (void)state;
    add(START, PROBE_ACCEPTED, 10);
    add(START + 1, PROBE_ACCEPTED, 31);
    add(START + 7 * MINUTE, PROBE_REFUSED, -1);
    add(START + 8 * MINUTE, PROBE_UNREACHABLE, -1);
    add(START + 8 * MINUTE, PROBE_UNASKED, 5);
    for (int window = 0; window < HISTORY_WINDOWS; window++) {
        assert_int_equal(asked(START + 9 * MINUTE, (enum history_window)window), 4);
        assert_int_equal(sum.accepted, 2);
        assert_int_equal(sum.verdicts[PROBE_ACCEPTED], 2);
        assert_int_equal(sum.verdicts[PROBE_REFUSED], 1);
        assert_int_equal(sum.verdicts[PROBE_UNREACHABLE], 1);
        assert_int_equal(sum.verdicts[PROBE_UNASKED], 0);
        assert_int_equal(sum.mean_ms, 20);
        assert_int_equal(sum.worst_ms, 31);
    }
}

static void an_hour_ago_counts_for_the_day_only(void **state)
{
    (void)state;
    add(START, PROBE_REFUSED, 900);
    add(START + 30 * MINUTE, PROBE_ACCEPTED, 10);
    assert_int_equal(asked(START + 60 * MINUTE - 1, HISTORY_HOUR), 2);
    assert_int_equal(asked(START + 60 * MINUTE, HISTORY_HOUR), 1);
    assert_int_equal(sum.accepted, 1);
    assert_int_equal(sum.worst_ms, 10);
    assert_int_equal(asked(START + 60 * MINUTE, HISTORY_DAY), 2);
    assert_int_equal(asked(START + 24 * HOUR - 1, HISTORY_DAY), 2);
    assert_int_equal(asked(START + 24 * HOUR, HISTORY_DAY), 0);
}

/* One answer a minute over two days: what is left is always the newest hour, the newest day. */
static void windows_roll(void **state)
{
    int64_t now = START;

    (void)state;
    for (; now < START + 48 * HOUR; now += MINUTE) {
        add(now, PROBE_ACCEPTED, 10);
        if (now >= START + 24 * HOUR) {
            assert_in_range(asked(now, HISTORY_HOUR), 56, 60);
            assert_in_range(asked(now, HISTORY_DAY), 23 * 60 + 1, 24 * 60);
        }
    }
}

static void gaps_leave_nothing_behind(void **state)
{
    static const int64_t gaps[] = {5 * MINUTE,         HOUR,
                                   HOUR + 5 * MINUTE,  (int64_t)24 * HOUR,
                                   (int64_t)25 * HOUR, (int64_t)10000 * HOUR};

    (void)state;
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) {
        set_up(NULL);
        for (int k = 0; k < 24 * 12; k++)
            add(START + (int64_t)k * 5 * MINUTE, PROBE_REFUSED, 900);
        add(START + 24 * HOUR - 5 * MINUTE + gaps[i], PROBE_ACCEPTED, 10);
        assert_int_equal(asked(START + 24 * HOUR - 5 * MINUTE + gaps[i], HISTORY_HOUR),
                         gaps[i] < HOUR ? 12 : 1);
        assert_int_equal(sum.accepted, 1);
        if (gaps[i] > (int64_t)24 * HOUR) {
            assert_int_equal(asked(START + 24 * HOUR + gaps[i], HISTORY_DAY), 1);
            assert_int_equal(sum.worst_ms, 10);
        }
    }
}

/* Whoever asks may have looked at the clock before the newest answer came. */
static void nothing_counts_twice(void **state)
{
    int64_t newest = START;
    unsigned hour, day;

    (void)state;
    for (int i = 0; i < 3 * 24 * 60; i += 5, newest += 5 * MINUTE)
        add(newest, PROBE_ACCEPTED, 10);
    hour = asked(newest - 5 * MINUTE, HISTORY_HOUR);
    day = asked(newest - 5 * MINUTE, HISTORY_DAY);
    for (int earlier = 10; earlier < 24 * 60; earlier += 5) {
        assert_in_range(asked(newest - earlier * MINUTE, HISTORY_HOUR), 1, hour);
        assert_in_range(asked(newest - earlier * MINUTE, HISTORY_DAY), 1, day);
    }
}

static void a_machine_may_have_just_started(void **state)
{
    (void)state;
    add(0, PROBE_ACCEPTED, 4);
    add(MINUTE, PROBE_ACCEPTED, 6);
    assert_int_equal(asked(2 * MINUTE, HISTORY_HOUR), 2);
    assert_int_equal(asked(2 * MINUTE, HISTORY_DAY), 2);
    assert_int_equal(sum.mean_ms, 5);
}

static void the_last_failure_is_remembered(void **state)
{
    char reason[2 * HISTORY_REASON_MAX];
    struct history_entry entry = {
        .now_ms = START, .wall = 5000, .verdict = PROBE_UNTRUSTED, .latency_ms = -1};

    (void)state;
    memset(reason, 'r', sizeof reason);
    reason[sizeof reason - 1] = '\0';
    entry.reason = reason;
    history_add(&history, &entry);
    add(START + MINUTE, PROBE_ACCEPTED, 10);
    assert_int_equal(history.last, PROBE_ACCEPTED);
    assert_int_equal(history.last_at, 1000000 + (START + MINUTE) / 1000);
    assert_int_equal(history.failed_at, 5000);
    assert_int_equal(strlen(history.reason), HISTORY_REASON_MAX);
}

/* However often it is asked, and however slow it is. */
static void counts_do_not_wrap(void **state)
{
    (void)state;
    for (int i = 0; i < 70000; i++)
        add(START, PROBE_ACCEPTED, INT32_MAX);
    add(START, PROBE_REFUSED, -1);
    assert_int_equal(asked(START, HISTORY_DAY), UINT16_MAX + 1);
    assert_int_equal(sum.accepted, UINT16_MAX);
    assert_int_equal(sum.mean_ms, UINT16_MAX);
    assert_int_equal(sum.worst_ms, UINT16_MAX);
}

static void a_thousand_endpoints_need_little_memory(void **state)
{
    (void)state;
    assert_in_range(sizeof history, 1, 1200);
}

#define test(name) cmocka_unit_test_setup(name, set_up)

/* What was proved once is good for so long; what was not proved is said at once. */
static void an_attestation_grows_stale(void **state)
{
    struct probe_attested attested = {
        .asked = true, .code = ERR_NONE, .other_root = "root", .at = 5000};
    struct history_entry entry = {
        .now_ms = START, .wall = 5040, .verdict = PROBE_ACCEPTED, .attested = &attested};

    (void)state;
    history_add(&history, &entry);
    assert_true(history.attested.asked);
    assert_string_equal(history.attested.other_root, "root");
    assert_int_equal(history.attested_at, 5000);
    assert_int_equal(history_attestation(&history, 5100, 100), ERR_NONE);
    assert_int_equal(history_attestation(&history, 5101, 100), ERR_ATTEST_STALE);
    entry.wall = 5101;
    history_add(&history, &entry); /* a key that is known proves nothing anew */
    assert_int_equal(history.attested_at, 5000);
    assert_int_equal(history_attestation(&history, 5101, 100), ERR_ATTEST_STALE);
    attested.code = ERR_ATTEST_IMAGE;
    attested.at = entry.wall = 5050;
    history_add(&history, &entry);
    assert_int_equal(history.attested_at, 5000);
    assert_int_equal(history_attestation(&history, 9000, 100), ERR_ATTEST_IMAGE);
    attested = (struct probe_attested){.asked = false};
    history_add(&history, &entry); /* not asked this time: what is known stands */
    assert_int_equal(history_attestation(&history, 5050, 100), ERR_ATTEST_IMAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_attestation_grows_stale, set_up),
        test(an_endpoint_never_asked_has_no_numbers),
        test(answers_are_counted_by_verdict),
        test(an_hour_ago_counts_for_the_day_only),
        test(windows_roll),
        test(gaps_leave_nothing_behind),
        test(nothing_counts_twice),
        test(a_machine_may_have_just_started),
        test(the_last_failure_is_remembered),
        test(counts_do_not_wrap),
        test(a_thousand_endpoints_need_little_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
