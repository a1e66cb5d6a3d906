/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_TLS_CACHE_H
#define NET_TLS_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

/*
 * TLS sessions that may be resumed (RFC 5246 section 7.3, RFC 8446 section 2.2): a later handshake
 * with the same server then needs no private key. They are kept here because libcurl's cache does
 * not know what the hook decides. A resumed session's chain is not verified again: the anchors and
 * policy in the key have verified it, so only time can change the result. A session is resumed
 * within the dates of all certificates behind it, for an hour at most, and only so often that every
 * N-th handshake is a full one.
 */
#define TLS_CACHE_LIFE_MS ((int64_t)3600 * 1000)
#define TLS_CACHE_MAX     1024 /* sessions: 176 KiB of locked memory */
#define TLS_CACHE_EVERY   10   /* which handshake is full, where nobody says */

#define TLS_CACHE_SESSION_MAX 96
struct tls_cached {
    uint8_t key[HASH_SIZE]; /* of everything that decides whether it may be resumed */
    uint8_t session[TLS_CACHE_SESSION_MAX];
    uint8_t *ticket; /* of TLS 1.3, on the ordinary heap, since it is public; NULL: of TLS 1.2 */
    size_t ticket_len;
    unsigned uses;      /* since its full handshake */
    int64_t made_ms;    /* of that, clock_ms() */
    int64_t not_before; /* seconds since 1970 */
    int64_t not_after;  /* 0: there is none here */
};

/*
 * How many of those wanted each of so many caches may hold: all together hold TLS_CACHE_MAX, or
 * what fits into an eighth of the memory that may be locked.
 */
size_t tls_cache_room(size_t wanted, size_t caches);

/* Room for count, of which every so many-th handshake is full. NULL: the arena is full. */
struct tls_cache;
struct tls_cache *tls_cache_new(size_t count, unsigned every);
void tls_cache_free(struct tls_cache *cache);

/*
 * Replaces the session under the key, by a copy. A full cache keeps nothing: servers are asked in
 * turn, so if the oldest made room, each would be gone before its turn.
 */
void tls_cache_keep(struct tls_cache *cache, const struct tls_cached *cached);

/*
 * Takes the session under a key for one more resumption at clock_ms() and clock_wall(). One with a
 * ticket is taken out, since each serves once (RFC 8446 section C.4); the ticket is the caller's to
 * free then.
 */
bool tls_cache_take(struct tls_cache *cache, const uint8_t key[HASH_SIZE], int64_t now_ms,
                    int64_t now, struct tls_cached *out);

void tls_cache_forget(struct tls_cache *cache, const uint8_t key[HASH_SIZE]);

/* Forgets those whose time is over. */
void tls_cache_sweep(struct tls_cache *cache, int64_t now_ms, int64_t now);

#endif
