/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/resource.h>

#include "base/arena.h"
#include "base/err.h"
#include "net/tls_cache.h"
#include "samples.h"

/* Moments: of the clock that never jumps, in ms, and of the wall clock. */
enum { MADE_MS = 5000, BEGIN = 500, NOW = 1000, END = 2000 };

static struct tls_cache *cache;

static int make(void **state)
{
    (void)state;
    cache = tls_cache_new(TLS_CACHE_MAX, TLS_CACHE_EVERY);
    return cache ? 0 : -1;
}

static size_t session_bytes(void)
{
    struct arena_stats stats;

    arena_stats(&stats);
    return stats.tagged[ARENA_SESSION];
}

static int unmake(void **state)
{
    (void)state;
    tls_cache_free(cache);
    return session_bytes() == 0 ? 0 : -1;
}

/* A session under the key of a number. */
static struct tls_cached session_of(uint32_t number)
{
    struct tls_cached cached = {.made_ms = MADE_MS, .not_before = BEGIN, .not_after = END};

    memcpy(cached.key, &number, sizeof number);
    memset(cached.session, (int)(number % 251) + 1, sizeof cached.session);
    return cached;
}

static void keep(uint32_t number)
{
    struct tls_cached cached = session_of(number);

    tls_cache_keep(cache, &cached);
}

static bool take_at(uint32_t number, int64_t now_ms, int64_t now)
{
    struct tls_cached expected = session_of(number);
    struct tls_cached taken = {0};

    if (!tls_cache_take(cache, expected.key, now_ms, now, &taken))
        return false;
    assert_memory_equal(taken.session, expected.session, sizeof taken.session);
    return true;
}

static bool take(uint32_t number)
{
    return take_at(number, MADE_MS + 1, NOW);
}

static void only_its_own_key_finds_a_session(void **state)
{
    (void)state;
    assert_false(take(1));
    keep(1);
    keep(2);
    assert_true(take(1));
    assert_true(take(2));
    assert_false(take(3));
}

static void every_tenth_handshake_is_full(void **state)
{
    (void)state;
    keep(1);
    for (int i = 0; i < 9; i++)
        assert_true(take(1));
    assert_false(take(1));
    keep(1);
    assert_true(take(1));
}

static void an_hour_is_the_most(void **state)
{
    (void)state;
    keep(1);
    assert_true(take_at(1, MADE_MS + 3599999, NOW));
    assert_false(take_at(1, MADE_MS + 3600000, NOW));
    assert_false(take(1)); /* it is gone */
}

static void only_within_the_dates_of_all_certificates(void **state)
{
    (void)state;
    keep(1);
    assert_true(take_at(1, MADE_MS, END));
    assert_false(take_at(1, MADE_MS, END + 1));
    keep(1);
    assert_true(take_at(1, MADE_MS, BEGIN));
    assert_false(take_at(1, MADE_MS, BEGIN - 1));
    assert_false(take(1)); /* it is gone */
}

/* Of ten, nine resume; of two, one; of one, none. */
static void as_often_as_was_asked_for(void **state)
{
    static const unsigned every[] = {1, 2, 10, 100};

    (void)state;
    for (size_t i = 0; i < sizeof every / sizeof *every; i++) {
        tls_cache_free(cache);
        cache = tls_cache_new(1, every[i]);
        assert_non_null(cache);
        keep(1);
        for (unsigned n = 1; n < every[i]; n++)
            assert_true(take(1));
        assert_false(take(1));
    }
}

static void what_is_over_is_swept(void **state)
{
    struct tls_cached longer = session_of(2);

    (void)state;
    keep(1);
    longer.not_after = END + 10;
    tls_cache_keep(cache, &longer);
    tls_cache_sweep(cache, MADE_MS + 1, END + 1);
    assert_true(take_at(2, MADE_MS, NOW));
    assert_false(take(1));
    tls_cache_sweep(cache, MADE_MS + 3600000, NOW);
    assert_false(take(2));
}

/* All of a session is zero once it is gone. */
static void nothing_is_left_of_it(void **state)
{
    enum { COUNT = 3 };
    struct tls_cached zero = {.uses = 0};
    struct tls_cached *places;
    char *block;

    (void)state;
    tls_cache_free(cache);
    cache = tls_cache_new(COUNT, 10);
    assert_non_null(cache);
    block = (char *)cache;
    for (uint32_t i = 0; i < COUNT; i++)
        keep(i);
    tls_cache_forget(cache, session_of(0).key);
    assert_false(take_at(1, MADE_MS, END + 1));
    tls_cache_sweep(cache, MADE_MS, END + 1);
    places = (struct tls_cached *)(void *)(block + session_bytes() - COUNT * sizeof zero);
    for (size_t i = 0; i < COUNT; i++)
        assert_memory_equal(&places[i], &zero, sizeof zero);
}

static void forgotten_sessions_are_gone(void **state)
{
    struct tls_cached cached = session_of(1);

    (void)state;
    keep(1);
    keep(2);
    tls_cache_forget(cache, cached.key);
    tls_cache_forget(cache, cached.key);
    assert_false(take(1));
    assert_true(take(2));
}

/* Servers are asked in turn: if the oldest made room, each would be gone before its turn. */
static void who_is_there_stays(void **state)
{
    size_t full;

    (void)state;
    for (uint32_t i = 0; i < TLS_CACHE_MAX; i++)
        keep(i);
    full = session_bytes();
    keep(TLS_CACHE_MAX);
    assert_int_equal(session_bytes(), full);
    assert_false(take(TLS_CACHE_MAX));
    for (uint32_t i = 0; i < TLS_CACHE_MAX; i++)
        assert_true(take(i));
    tls_cache_forget(cache, session_of(7).key);
    keep(TLS_CACHE_MAX);
    assert_true(take(TLS_CACHE_MAX));
}

/* An eighth of what may be locked, and 1,024 of them at most, among all caches. */
static void the_room_follows_the_limit(void **state)
{
    static const struct {
        rlim_t limit;
        size_t wanted, caches, room;
    } cases[] = {
        {RLIM_INFINITY, 2000, 1, TLS_CACHE_MAX},
        {8388608, 1000, 1, 1000},
        {8388608, 1000, 16, TLS_CACHE_MAX / 16},
        {65536, 1000, 1, 65536 / 8 / sizeof(struct tls_cached)},
        {65536, 20, 4, 65536 / 8 / sizeof(struct tls_cached) / 4},
        {0, 1000, 1, 0},
    };
    struct rlimit before, limit;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        limit = (struct rlimit){cases[i].limit, before.rlim_max};
        if (cases[i].limit > before.rlim_max || setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
            continue;
        assert_int_equal(tls_cache_room(cases[i].wanted, cases[i].caches), cases[i].room);
    }
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

static void without_room_nothing_is_kept(void **state)
{
    (void)state;
    tls_cache_free(cache);
    cache = tls_cache_new(0, 10);
    assert_non_null(cache);
    keep(1);
    assert_false(take(1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
    const struct CMUnitTest tests[] = {
        TEST(only_its_own_key_finds_a_session),
        TEST(every_tenth_handshake_is_full),
        TEST(an_hour_is_the_most),
        TEST(only_within_the_dates_of_all_certificates),
        TEST(as_often_as_was_asked_for),
        TEST(what_is_over_is_swept),
        TEST(nothing_is_left_of_it),
        TEST(forgotten_sessions_are_gone),
        TEST(who_is_there_stays),
        TEST(the_room_follows_the_limit),
        TEST(without_room_nothing_is_kept),
    };

    return cmocka_run_group_tests_name("tls_cache", tests, samples_setup, NULL);
}
