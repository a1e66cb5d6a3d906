/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/arena.h"

/* The part of all memory that may be locked: the rest is for those who make a handshake. */
enum { SHARE = 8 };

struct tls_cache {
    size_t count;
    unsigned every;
    struct tls_cached sessions[]; /* not_after 0: none */
};

size_t tls_cache_room(size_t wanted, size_t caches)
{
    size_t most = TLS_CACHE_MAX;
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
        limit.rlim_cur / SHARE < most * sizeof(struct tls_cached))
        most = (size_t)limit.rlim_cur / SHARE / sizeof(struct tls_cached);
    return wanted < most / caches ? wanted : most / caches;
}

struct tls_cache *tls_cache_new(size_t count, unsigned every)
{
    const size_t size = sizeof(struct tls_cached);
    struct tls_cache *cache = arena_alloc(sizeof *cache + count * size, ARENA_SESSION);

    if (!cache)
        return NULL;
    cache->count = count;
    cache->every = every;
    return cache;
}

static void drop(struct tls_cached *cached)
{
    free(cached->ticket);
    wipe(cached, sizeof *cached);
}

void tls_cache_free(struct tls_cache *cache)
{
    size_t i;

    for (i = 0; cache && i < cache->count; i++)
        drop(&cache->sessions[i]);
    arena_free(cache);
}

/* The session under the key; NULL: there is none. */
static struct tls_cached *find(struct tls_cache *cache, const uint8_t key[HASH_SIZE])
{
    struct tls_cached *cached = cache->sessions, *end = cached + cache->count;

    for (; cached < end; cached++)
        if (cached->not_after && memcmp(cached->key, key, HASH_SIZE) == 0)
            return cached;
    return NULL;
}

void tls_cache_keep(struct tls_cache *cache, const struct tls_cached *cached)
{
    struct tls_cached *place = find(cache, cached->key);
    uint8_t *ticket = NULL;
    size_t i;

    if (place)
        drop(place);
    for (i = 0; !place && i < cache->count; i++)
        if (!cache->sessions[i].not_after)
            place = &cache->sessions[i];
    if (place && cached->ticket)
        ticket = malloc(cached->ticket_len);
    if (!place || (cached->ticket && !ticket))
        return;
    if (ticket)
        memcpy(ticket, cached->ticket, cached->ticket_len);
    *place = *cached;
    place->ticket = ticket;
}

/* Whether it may be resumed no more. */
static bool is_over(const struct tls_cached *cached, int64_t now_ms, int64_t now)
{
    return now_ms - cached->made_ms >= TLS_CACHE_LIFE_MS || now < cached->not_before ||
           now > cached->not_after;
}

bool tls_cache_take(struct tls_cache *cache, const uint8_t key[HASH_SIZE], int64_t now_ms,
                    int64_t now, struct tls_cached *out)
{
    struct tls_cached *cached = find(cache, key);

    if (!cached)
        return false;
    if (cached->uses + 1 >= cache->every || is_over(cached, now_ms, now)) {
        drop(cached);
        return false;
    }
    cached->uses++;
    *out = *cached;
    if (out->ticket) {
        cached->ticket = NULL;
        drop(cached);
    }
    return true;
}

void tls_cache_forget(struct tls_cache *cache, const uint8_t key[HASH_SIZE])
{
    struct tls_cached *cached = find(cache, key);

    if (cached)
        drop(cached);
}

void tls_cache_sweep(struct tls_cache *cache, int64_t now_ms, int64_t now)
{
    size_t i;

    for (i = 0; i < cache->count; i++)
        if (cache->sessions[i].not_after && is_over(&cache->sessions[i], now_ms, now))
            drop(&cache->sessions[i]);
}
