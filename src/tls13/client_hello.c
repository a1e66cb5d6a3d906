/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "tls13/impl.h"

/*
 * A ClientHello in the output buffer, which is changed in place (4.1.2): version, random, session
 * ID, suites, compression methods, extensions.
 */
struct hello {
    struct tls13 *tls;
    uint8_t *data;
    size_t len, room;
    size_t suites, extensions; /* where their lengths stand */
};

enum { SESSION_ID_AT = HEADER_SIZE + 2 + RANDOM_SIZE, SUITE_COUNT = 3 };

/* By BearSSL, or by this file: it is well-formed. */
static void find_parts(struct hello *hello)
{
    hello->suites = SESSION_ID_AT + 1U + hello->data[SESSION_ID_AT];
    hello->extensions = hello->suites + 2 + get16(hello->data + hello->suites) + 2;
}

/* Puts new bytes in the place of old ones. */
static void replace(struct hello *hello, size_t at, size_t old, const void *data, size_t len)
{
    if (hello->len - old + len > hello->room) {
        tls13_fail(hello->tls, BR_ERR_TOO_LARGE);
        return;
    }
    memmove(hello->data + at + len, hello->data + at + old, hello->len - at - old);
    if (len > 0)
        memcpy(hello->data + at, data, len);
    hello->len += len - old;
}

/* Where an extension begins, of what size it is; the end and 0 where it is none. */
static size_t find_extension(const struct hello *hello, unsigned type, size_t *size)
{
    size_t at;

    for (at = hello->extensions + 2; at < hello->len; at += *size) {
        *size = 4U + get16(hello->data + at + 2);
        if (get16(hello->data + at) == type)
            return at;
    }
    *size = 0;
    return at;
}

/* Its head in front of an extension's content. */
static void put_extension(struct hello *hello, unsigned type, const uint8_t *data, size_t len)
{
    uint8_t head[4];
    size_t size, at = find_extension(hello, type, &size);

    put16(head, type);
    put16(head + 2, len);
    replace(hello, at, size, data, len);
    replace(hello, at, 0, head, sizeof head);
}

static void put_share(struct hello *hello, unsigned group)
{
    uint8_t share[6 + POINT_MAX];
    size_t len = share_make(hello->tls, group, share + 6);

    put16(share, len + 4);
    put16(share + 2, group);
    put16(share + 4, len);
    put_extension(hello, EXT_KEY_SHARE, share, len + 6);
}

/* What middleboxes take for a session to be resumed (D.4); or a real one of TLS 1.2. */
static void put_session_id(struct hello *hello)
{
    struct tls13 *tls = hello->tls;

    tls->session_id_len = hello->data[SESSION_ID_AT];
    tls->fake_id = tls->session_id_len == 0;
    memcpy(tls->session_id, hello->data + SESSION_ID_AT + 1, tls->session_id_len);
    if (tls->fake_id) {
        tls->session_id_len = sizeof tls->session_id;
        random_bytes(tls->session_id, sizeof tls->session_id);
        replace(hello, SESSION_ID_AT + 1, 0, tls->session_id, sizeof tls->session_id);
        hello->data[SESSION_ID_AT] = sizeof tls->session_id;
    }
    find_parts(hello);
}

static void put_suites(struct hello *hello)
{
    static const uint8_t suites[2 * SUITE_COUNT] = {
        TLS13_CHACHA20_POLY1305_SHA256 >> 8, TLS13_CHACHA20_POLY1305_SHA256 & 0xFF,
        TLS13_AES_128_GCM_SHA256 >> 8,       TLS13_AES_128_GCM_SHA256 & 0xFF,
        TLS13_AES_256_GCM_SHA384 >> 8,       TLS13_AES_256_GCM_SHA384 & 0xFF};
    size_t others = get16(hello->data + hello->suites);

    replace(hello, hello->suites + 2, hello->tls->only ? others : 0, suites, sizeof suites);
    put16(hello->data + hello->suites, sizeof suites + (hello->tls->only ? 0 : others));
    find_parts(hello);
}

/* One identity, and room for its binder; the last extension (4.2.11). */
static void put_psk(struct hello *hello)
{
    const struct tls13 *tls = hello->tls;
    uint32_t age = (uint32_t)(clock_ms() - tls->psk.came_ms) + tls->psk.age_add;
    uint8_t tail[4 + 3 + TLS13_HASH_MAX] = {0}, head[8];
    size_t at, size;

    put_extension(hello, EXT_PRE_SHARED_KEY, NULL, 0);
    at = find_extension(hello, EXT_PRE_SHARED_KEY, &size);
    put16(tail, age >> 16);
    put16(tail + 2, age);
    put16(tail + 4, tls->hash_len + 1U);
    tail[6] = tls->hash_len;
    put16(head, EXT_PRE_SHARED_KEY);
    put16(head + 2, 4 + tls->offered_len + 4 + 3 + tls->hash_len);
    put16(head + 4, 2 + tls->offered_len + 4);
    put16(head + 6, tls->offered_len);
    replace(hello, at, size, head, sizeof head);
    replace(hello, hello->len, 0, tls->offered, tls->offered_len);
    replace(hello, hello->len, 0, tail, (size_t)7 + tls->hash_len);
}

static void take_extension_out(struct hello *hello, unsigned type)
{
    size_t size, at = find_extension(hello, type, &size);

    replace(hello, at, size, NULL, 0);
}

/* Lengths last; then it is what the transcript begins with, or goes on with. */
static void finish(struct hello *hello)
{
    struct tls13 *tls = hello->tls;
    br_ssl_engine_context *engine = tls->engine;
    size_t binders = tls->offered ? (size_t)3 + tls->hash_len : 0;

    put16(hello->data + hello->extensions, hello->len - hello->extensions - 2);
    put24(hello->data + 1, hello->len - HEADER_SIZE);
    br_multihash_update(&engine->mhash, hello->data, hello->len - binders);
    if (tls->offered)
        schedule_binder(tls, hello->data + hello->len - tls->hash_len);
    br_multihash_update(&engine->mhash, hello->data + hello->len - binders, binders);
    hello->tls->hello_len = hello->len;
    engine->hbuf_out = hello->data + hello->len;
}

void client_hello_extend(struct tls13 *tls)
{
    static const uint8_t versions[] = {4, 3, 4, 3, 3}, only[] = {2, 3, 4}, modes[] = {1, 1};
    static const uint8_t limit[] = {(RECORD_MAX + 1) >> 8, (RECORD_MAX + 1) & 0xFF};
    br_ssl_engine_context *engine = tls->engine;
    struct hello hello = {
        .tls = tls,
        .data = engine->saved_hbuf_out,
        .len = (size_t)(engine->hbuf_out - engine->saved_hbuf_out),
        .room = (size_t)(engine->hbuf_out - engine->saved_hbuf_out) + engine->hlen_out,
    };

    put_session_id(&hello);
    put_suites(&hello);
    if (tls->only)
        put_extension(&hello, EXT_SUPPORTED_VERSIONS, only, sizeof only);
    else
        put_extension(&hello, EXT_SUPPORTED_VERSIONS, versions, sizeof versions);
    put_extension(&hello, EXT_RECORD_SIZE_LIMIT, limit, sizeof limit);
    if (tls->ticket || tls->offered)
        put_extension(&hello, EXT_PSK_MODES, modes, sizeof modes);
    put_share(&hello, BR_EC_curve25519);
    if (tls->offered)
        put_psk(&hello);
    br_multihash_init(&engine->mhash);
    finish(&hello);
}

void client_hello_again(struct tls13 *tls)
{
    br_ssl_engine_context *engine = tls->engine;
    const uint8_t *cookie = tls->reader.item + tls->cookie_at;
    struct hello hello = {
        .tls = tls, .data = engine->hbuf_out, .len = tls->hello_len, .room = engine->hlen_out};

    hello.data[0] = CLIENT_HELLO;
    find_parts(&hello);
    take_extension_out(&hello, EXT_PRE_SHARED_KEY);
    if (tls->retry_group)
        put_share(&hello, tls->retry_group);
    if (tls->cookie_len > 0)
        put_extension(&hello, EXT_COOKIE, cookie, tls->cookie_len);
    if (tls->offered)
        put_psk(&hello);
    engine->record_type_out = HANDSHAKE;
    finish(&hello);
    br_ssl_engine_flush_record(engine);
    tls->hello_due = false;
}
