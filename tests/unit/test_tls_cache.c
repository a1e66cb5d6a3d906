/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "net/tls_cache.h"

/* Moments: of the clock that never jumps, in ms, and of the wall clock. */
enum { MADE_MS = 5000, NOW = 1000, END = 2000 };

static struct tls_cache *cache;

static int open_arena(void **state)
{
    struct arena_options options = {.lock_preferred = true};
    struct err err;

    (void)state;
    return arena_open(&options, &err);
}

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
    struct tls_cached cached = {.made_ms = MADE_MS, .not_after = END};

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

static void never_past_the_end_of_a_certificate(void **state)
{
    (void)state;
    keep(1);
    assert_true(take_at(1, MADE_MS, END));
    assert_false(take_at(1, MADE_MS, END + 1));
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

static void the_oldest_makes_room(void **state)
{
    size_t full;

    (void)state;
    for (uint32_t i = 0; i < TLS_CACHE_MAX; i++)
        keep(i);
    full = session_bytes();
    keep(TLS_CACHE_MAX);
    assert_int_equal(session_bytes(), full);
    assert_false(take(0));
    assert_true(take(1));
    assert_true(take(TLS_CACHE_MAX));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
    const struct CMUnitTest tests[] = {
        TEST(only_its_own_key_finds_a_session),
        TEST(every_tenth_handshake_is_full),
        TEST(an_hour_is_the_most),
        TEST(never_past_the_end_of_a_certificate),
        TEST(forgotten_sessions_are_gone),
        TEST(the_oldest_makes_room),
    };

    return cmocka_run_group_tests_name("tls_cache", tests, open_arena, NULL);
}
