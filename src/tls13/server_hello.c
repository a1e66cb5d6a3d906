/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "tls13/impl.h"

/* A ServerHello (4.1.3), or HelloRetryRequest (4.1.4). */
struct hello {
    struct view random, id;
    unsigned suite, compression;
    struct view extensions;
    bool retry;
    unsigned version; /* of supported_versions, 0: none */
    unsigned group;   /* of key_share, 0: none */
    struct view share, cookie;
    bool resumed; /* the session that was offered */
};

/* SHA-256 of "HelloRetryRequest" */
static const uint8_t retry_random[RANDOM_SIZE] = {
    0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
    0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C};

/* What both versions have; false where it is no such message. */
static bool read_head(struct view body, struct hello *hello)
{
    *hello = (struct hello){0};
    (void)view_number(&body, 2);
    hello->random = view_take(&body, RANDOM_SIZE);
    if (body.bad)
        return false;
    hello->id = view_vector(&body, 1);
    hello->suite = view_number(&body, 2);
    hello->compression = view_number(&body, 1);
    hello->extensions = view_vector(&body, 2);
    return !body.bad && body.len == 0;
}

static unsigned find_version(struct view extensions)
{
    struct view body;
    unsigned type;

    while (extensions.len > 0) {
        type = view_number(&extensions, 2);
        body = view_vector(&extensions, 2);
        if (type == EXT_SUPPORTED_VERSIONS)
            return view_number(&body, 2);
    }
    return 0;
}

/* Section 4.1.3: a server that can do 1.3 says so where somebody made it choose 1.2. */
static bool is_downgraded(const struct hello *hello)
{
    static const char sentinel[] = {'D', 'O', 'W', 'N', 'G', 'R', 'D'};
    const uint8_t *end = hello->random.data + RANDOM_SIZE - 8;

    return memcmp(end, sentinel, sizeof sentinel) == 0 && end[7] <= 1;
}

/*
 * BearSSL knows nothing of the record size limit that we offered (RFC 8449), and refuses one in an
 * answer: it does not get to see it. The transcript has it.
 */
static void take_limit_out(struct tls13 *tls, struct view extensions)
{
    uint8_t *message = tls->reader.item, *list = (uint8_t *)(uintptr_t)extensions.data;
    struct view rest = extensions, body;
    const uint8_t *at;
    size_t size;

    while (rest.len > 0) {
        at = rest.data;
        size = view_number(&rest, 2);
        body = view_vector(&rest, 2);
        if (rest.bad || size != EXT_RECORD_SIZE_LIMIT || body.len != 2)
            continue;
        if (get16(body.data) < RECORD_LIMIT_MIN) {
            tls13_fail(tls, BR_ERR_INVALID_ALGORITHM);
            return;
        }
        record_limit(tls->engine, get16(body.data));
        memmove((uint8_t *)(uintptr_t)at, rest.data, rest.len);
        tls->reader.have = (uint16_t)(tls->reader.have - 6);
        put24(message + 1, (size_t)tls->reader.have - HEADER_SIZE);
        put16(list - 2, extensions.len - 6);
        return;
    }
}

/* BearSSL gets the message as if it had come to it, and whatever follows. */
static void go_back(struct tls13 *tls, struct view extensions)
{
    br_ssl_engine_context *engine = tls->engine;
    br_multihash_context transcript = engine->mhash;
    size_t whole = tls->reader.have;
    unsigned char *rest = engine->hbuf_in;
    size_t rest_len = engine->hlen_in;

    if (tls->only || tls->state == TLS13_RETRY) {
        tls13_fail(tls, BR_ERR_UNSUPPORTED_VERSION);
        return;
    }
    tls->state = TLS13_LEGACY;
    wipe(tls->scalar, sizeof tls->scalar);
    wipe(tls->secret, sizeof tls->secret); /* of a session that was offered */
    br_multihash_update(&transcript, tls->reader.item, whole);
    take_limit_out(tls, extensions);
    if (br_ssl_engine_last_error(engine) != BR_ERR_OK)
        return;
    engine->hbuf_in = tls->reader.item;
    engine->hlen_in = tls->reader.have;
    br_ssl_engine_run_handshake(engine);
    if (tls->reader.have < whole)
        engine->mhash = transcript;
    engine->hbuf_in = rest;
    engine->hlen_in = rest_len;
    if (rest_len > 0 && br_ssl_engine_last_error(engine) == BR_ERR_OK)
        br_ssl_engine_run_handshake(engine);
}

/* One extension: an error, or 0. */
static int read_extension(const struct tls13 *tls, struct hello *hello, unsigned type,
                          struct view body)
{
    switch (type) {
    case EXT_SUPPORTED_VERSIONS:
        if (hello->version)
            return BR_ERR_INVALID_ALGORITHM;
        hello->version = view_number(&body, 2);
        break;
    case EXT_KEY_SHARE:
        if (hello->group)
            return BR_ERR_INVALID_ALGORITHM;
        hello->group = view_number(&body, 2);
        if (!hello->retry)
            hello->share = view_vector(&body, 2);
        if (!share_is_known(tls, hello->group))
            return BR_ERR_INVALID_ALGORITHM;
        break;
    case EXT_COOKIE:
        if (!hello->retry || hello->cookie.len > 0)
            return hello->retry ? BR_ERR_INVALID_ALGORITHM : BR_ERR_EXTRA_EXTENSION;
        hello->cookie = body; /* with its length, as it is sent back */
        if (view_vector(&body, 2).len == 0)
            return BR_ERR_BAD_HANDSHAKE;
        break;
    case EXT_PRE_SHARED_KEY:
        if (hello->retry || !tls->offered)
            return BR_ERR_EXTRA_EXTENSION;
        if (hello->resumed || view_number(&body, 2) != 0)
            return BR_ERR_INVALID_ALGORITHM; /* there was one */
        hello->resumed = true;
        break;
    default: return BR_ERR_EXTRA_EXTENSION;
    }
    return body.bad || body.len > 0 ? BR_ERR_BAD_HANDSHAKE : 0;
}

static int read_extensions(const struct tls13 *tls, struct hello *hello)
{
    struct view extensions = hello->extensions, body;
    unsigned type;
    int error = 0;

    while (extensions.len > 0 && error == 0) {
        type = view_number(&extensions, 2);
        body = view_vector(&extensions, 2);
        error = extensions.bad ? BR_ERR_BAD_HANDSHAKE : read_extension(tls, hello, type, body);
    }
    return error;
}

static bool is_our_id(const struct tls13 *tls, struct view id)
{
    return id.len == tls->session_id_len && memcmp(id.data, tls->session_id, id.len) == 0;
}

/*
 * Of a ServerHello of TLS 1.2: whether somebody meddled (4.1.3), or the server took for a session
 * what is none. Else 0.
 */
static int check_legacy(const struct tls13 *tls, const struct hello *hello)
{
    if (is_downgraded(hello))
        return BR_ERR_DOWNGRADE;
    if (memcmp(hello->random.data, retry_random, RANDOM_SIZE) == 0)
        return BR_ERR_INVALID_ALGORITHM;
    return tls->fake_id && is_our_id(tls, hello->id) ? BR_ERR_INVALID_ALGORITHM : 0;
}

/* The legacy fields must be ours again, and nothing may follow that was not yet to come. */
static int check(struct tls13 *tls, const struct hello *hello)
{
    const br_ssl_engine_context *engine = tls->engine;
    uint16_t suite = tls->suite;
    const br_hash_class *hash = tls->hash;

    if (get16(tls->reader.item + HEADER_SIZE) != BR_TLS12)
        return BR_ERR_BAD_VERSION;
    if (hello->version != TLS13_VERSION || hello->compression != 0 || !is_our_id(tls, hello->id))
        return BR_ERR_INVALID_ALGORITHM;
    if (!schedule_suite(tls, hello->suite) || (tls->retried && suite != tls->suite))
        return BR_ERR_BAD_CIPHER_SUITE;
    if (tls->offered && tls->hash != hash) {
        if (hello->resumed)
            return BR_ERR_RESUME_MISMATCH;
        tls->offered = NULL; /* it is bound to its hash */
    }
    if (engine->hlen_in > 0 || !br_ssl_engine_recvrec_finished(engine))
        return BR_ERR_UNEXPECTED;
    return 0;
}

/* Section 4.4.1: the first ClientHello counts as its hash. */
static int take_retry(struct tls13 *tls, const struct hello *hello)
{
    br_multihash_context *transcript = &tls->engine->mhash;
    uint8_t message[HEADER_SIZE + TLS13_HASH_MAX] = {MESSAGE_HASH, 0, 0, tls->hash_len};

    if (tls->retried)
        return BR_ERR_UNEXPECTED;
    if (hello->group == tls->group || (!hello->group && hello->cookie.len == 0))
        return BR_ERR_INVALID_ALGORITHM;
    schedule_transcript(tls, message + HEADER_SIZE);
    br_multihash_init(transcript);
    br_multihash_update(transcript, message, (size_t)HEADER_SIZE + tls->hash_len);
    br_multihash_update(transcript, tls->reader.item, tls->reader.have);
    tls->retried = true;
    tls->state = TLS13_RETRY;
    tls->retry_group = (uint16_t)hello->group;
    tls->cookie_len = (uint16_t)hello->cookie.len;
    if (tls->cookie_len > 0)
        tls->cookie_at = (uint16_t)(hello->cookie.data - tls->reader.item);
    tls->change_due = tls->hello_due = true;
    return 0;
}

static int take_hello(struct tls13 *tls, const struct hello *hello)
{
    br_ssl_engine_context *engine = tls->engine;
    uint8_t shared[POINT_MAX];
    size_t len;

    if (!hello->group)
        return BR_ERR_MISSING_EXTENSION;
    if (hello->group != tls->group)
        return BR_ERR_INVALID_ALGORITHM;
    br_multihash_update(&engine->mhash, tls->reader.item, tls->reader.have);
    len = share_agree(tls, hello->share, shared);
    wipe(tls->scalar, sizeof tls->scalar);
    if (len == 0)
        return BR_ERR_INVALID_ALGORITHM;
    tls->resumed = hello->resumed;
    if (!tls->resumed)
        schedule_begin(tls, NULL);
    schedule_handshake(tls, shared, len);
    wipe(shared, sizeof shared);
    record_keys_in(tls, tls->theirs);
    engine->session.version = TLS13_VERSION;
    engine->session.cipher_suite = tls->suite;
    engine->session.session_id_len = 0;
    engine->ecdhe_curve = (unsigned char)tls->group;
    tls->change_due = !tls->retried; /* it went before the second ClientHello */
    if (tls->retried)
        record_keys_out(tls, tls->ours);
    tls->state = TLS13_EXTENSIONS;
    return 0;
}

static void read_hello(struct tls13 *tls)
{
    const struct view body = {tls->reader.item + HEADER_SIZE,
                              (size_t)tls->reader.have - HEADER_SIZE, false};
    struct hello hello;
    const struct view none = {NULL, 0, false};
    bool whole = read_head(body, &hello);
    int error = 0;

    if (!whole || find_version(hello.extensions) == 0) {
        if (hello.id.data)
            error = check_legacy(tls, &hello);
        if (error == 0)
            go_back(tls, whole ? hello.extensions : none);
        else
            tls13_fail(tls, error);
        return;
    }
    hello.retry = memcmp(hello.random.data, retry_random, RANDOM_SIZE) == 0;
    error = read_extensions(tls, &hello);
    if (error == 0)
        error = check(tls, &hello);
    if (error == 0)
        error = hello.retry ? take_retry(tls, &hello) : take_hello(tls, &hello);
    if (error != 0)
        tls13_fail(tls, error);
    reader_end(tls);
}

/*
 * A HelloRequest may come before it in TLS 1.2, and counts for nothing (RFC 5246 section 7.4.1.1).
 * Whatever else came to BearSSL first would pass by check_legacy().
 */
void server_hello_begin(struct tls13 *tls)
{
    const unsigned type = tls->reader.item[0];

    if (type == SERVER_HELLO)
        reader_whole(tls, read_hello);
    else if (type == HELLO_REQUEST && tls->reader.left == 0 && !tls->only && !tls->retried)
        reader_end(tls);
    else
        tls13_fail(tls, BR_ERR_UNEXPECTED);
}
