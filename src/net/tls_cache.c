/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

struct entry {
    struct tls_cached cached;
    struct entry *next;
};

struct tls_cache {
    struct entry *newest;
    size_t count;
};

struct tls_cache *tls_cache_new(void)
{
    return arena_alloc(sizeof(struct tls_cache), ARENA_SESSION);
}

static void drop(struct tls_cache *cache, struct entry **place)
{
    struct entry *entry = *place;

    *place = entry->next;
    cache->count--;
    free(entry->cached.ticket);
    arena_free(entry);
}

void tls_cache_free(struct tls_cache *cache)
{
    while (cache && cache->newest)
        drop(cache, &cache->newest);
    arena_free(cache);
}

/* Where the pointer to the entry under the key stands; *place is NULL where there is none. */
static struct entry **find_entry(struct tls_cache *cache, const uint8_t key[HASH_SIZE])
{
    struct entry **place = &cache->newest;

    while (*place && memcmp((*place)->cached.key, key, HASH_SIZE) != 0)
        place = &(*place)->next;
    return place;
}

static struct entry **oldest(struct tls_cache *cache)
{
    struct entry **place = &cache->newest;

    while ((*place)->next)
        place = &(*place)->next;
    return place;
}

static bool copy_ticket(struct tls_cached *cached)
{
    uint8_t *copy = malloc(cached->ticket_len);

    if (copy)
        memcpy(copy, cached->ticket, cached->ticket_len);
    cached->ticket = copy;
    return copy != NULL;
}

void tls_cache_keep(struct tls_cache *cache, const struct tls_cached *cached)
{
    struct entry *entry;

    tls_cache_forget(cache, cached->key);
    if (cache->count == TLS_CACHE_MAX)
        drop(cache, oldest(cache));
    entry = arena_alloc(sizeof *entry, ARENA_SESSION);
    if (!entry)
        return;
    entry->cached = *cached;
    if (cached->ticket && !copy_ticket(&entry->cached)) {
        arena_free(entry);
        return;
    }
    entry->next = cache->newest;
    cache->newest = entry;
    cache->count++;
}

bool tls_cache_take(struct tls_cache *cache, const uint8_t key[HASH_SIZE], int64_t now_ms,
                    int64_t now, struct tls_cached *out)
{
    struct entry **place = find_entry(cache, key);
    struct entry *entry = *place;

    if (!entry)
        return false;
    if (entry->cached.uses == TLS_CACHE_USES ||
        now_ms - entry->cached.made_ms >= TLS_CACHE_LIFE_MS || now > entry->cached.not_after) {
        drop(cache, place);
        return false;
    }
    entry->cached.uses++;
    *out = entry->cached;
    if (out->ticket) {
        entry->cached.ticket = NULL;
        drop(cache, place);
    }
    return true;
}

void tls_cache_forget(struct tls_cache *cache, const uint8_t key[HASH_SIZE])
{
    struct entry **place = find_entry(cache, key);

    if (*place)
        drop(cache, place);
}
