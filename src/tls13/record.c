/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "tls13/impl.h"

enum { IV_SIZE = 12, TAG_SIZE = 16, RECORD_HEADER = 5, EXPANSION_MAX = 256, LEGACY = 0x0303 };

/* One direction's protection, in the engine's place for such: what BearSSL calls. */
struct protection {
    union {
        const br_sslrec_in_class *in;
        const br_sslrec_out_class *out;
    } vtable;
    struct tls13 *tls;
    uint64_t sequence;
    uint8_t iv[IV_SIZE];
    uint8_t nonce[IV_SIZE]; /* of the record in hand */
    uint8_t h[16];          /* GHASH's key */
    union {
        br_aes_gen_ctr_keys aes;
        uint8_t chacha20[32];
    } key;
};

_Static_assert(sizeof(struct protection) <= sizeof(((br_ssl_engine_context *)0)->in), "it fits");
_Static_assert(sizeof(struct protection) <= sizeof(((br_ssl_engine_context *)0)->out), "it fits");

/* AES-GCM (NIST SP 800-38D) by the engine's CTR and GHASH. */
static void run_gcm(struct protection *keys, bool encrypt, const uint8_t header[RECORD_HEADER],
                    struct view data, uint8_t tag[TAG_SIZE])
{
    const br_block_ctr_class **aes = &keys->key.aes.vtable;
    const br_ghash ghash = keys->tls->engine->ighash;
    uint8_t *text = (uint8_t *)(uintptr_t)data.data;
    uint8_t lengths[16] = {0};

    put16(lengths + 6, RECORD_HEADER << 3);
    put24(lengths + 13, data.len << 3);
    if (encrypt)
        (void)(*aes)->run(aes, keys->nonce, 2, text, data.len);
    memset(tag, 0, TAG_SIZE);
    ghash(tag, keys->h, header, RECORD_HEADER);
    ghash(tag, keys->h, text, data.len);
    ghash(tag, keys->h, lengths, sizeof lengths);
    if (!encrypt)
        (void)(*aes)->run(aes, keys->nonce, 2, text, data.len);
    (void)(*aes)->run(aes, keys->nonce, 1, tag, TAG_SIZE);
}

/* Section 5.2 in place; the tag aside. */
static void run(struct protection *keys, bool encrypt, const uint8_t header[RECORD_HEADER],
                struct view data, uint8_t tag[TAG_SIZE])
{
    const br_ssl_engine_context *engine = keys->tls->engine;
    int i;

    memcpy(keys->nonce, keys->iv, IV_SIZE);
    for (i = 0; i < 8; i++)
        keys->nonce[IV_SIZE - 1 - i] ^= (uint8_t)(keys->sequence >> (8 * i));
    keys->sequence++;
    if (keys->tls->suite == TLS13_CHACHA20_POLY1305_SHA256)
        engine->ipoly(keys->key.chacha20, keys->nonce, (uint8_t *)(uintptr_t)data.data, data.len,
                      header, RECORD_HEADER, tag, engine->ichacha, encrypt);
    else
        run_gcm(keys, encrypt, header, data, tag);
}

/* Records in the clear are ChangeCipherSpecs, which mean nothing, and only within the handshake. */
static int check_length(const br_sslrec_in_class *const *class, size_t len)
{
    struct tls13 *tls = ((const struct protection *)(const void *)class)->tls;
    unsigned type = tls->engine->record_type_in;

    if (type == CHANGE_CIPHER_SPEC && len == 1 && !tls->proven && !reader_within(tls))
        return 1;
    if (type != APPLICATION_DATA)
        tls13_fail(tls, BR_ERR_UNEXPECTED);
    if (len <= TAG_SIZE)
        tls13_fail(tls, BR_ERR_BAD_MAC);
    return len <= RECORD_MAX + EXPANSION_MAX;
}

/* The length of the content before its type and the padding (section 5.4); fails as it must. */
static size_t open_content(struct tls13 *tls, const uint8_t *text, size_t len)
{
    unsigned type;

    if (len > RECORD_MAX + 1)
        tls13_fail(tls, BR_ERR_TOO_LARGE);
    while (len > 0 && text[len - 1] == 0)
        len--;
    type = len > 0 ? text[--len] : 0;
    if (type < ALERT || type > APPLICATION_DATA || (type != APPLICATION_DATA && len == 0) ||
        (type != HANDSHAKE && reader_within(tls)) || (type == APPLICATION_DATA && !tls->proven))
        tls13_fail(tls, BR_ERR_UNEXPECTED);
    tls->engine->record_type_in = (uint8_t)type;
    tls->engine->version_in = 0; /* means nothing any more */
    return len;
}

static unsigned char *decrypt(const br_sslrec_in_class **class, int type, unsigned version,
                              void *data, size_t *len)
{
    struct protection *keys = (void *)class;
    uint8_t header[RECORD_HEADER] = {APPLICATION_DATA}, tag[TAG_SIZE], difference = 0;
    uint8_t *text = data;
    size_t i;

    if (type == CHANGE_CIPHER_SPEC)
        return text;
    put16(header + 1, version);
    put16(header + 3, *len);
    *len -= TAG_SIZE;
    run(keys, false, header, (struct view){text, *len, false}, tag);
    for (i = 0; i < TAG_SIZE; i++)
        difference |= tag[i] ^ text[*len + i];
    if (difference != 0)
        return NULL;
    *len = open_content(keys->tls, text, *len);
    return text;
}

static void max_plaintext(const br_sslrec_out_class *const *class, size_t *start, size_t *end)
{
    (void)class;
    *end -= 1 + TAG_SIZE;
    if (*end - *start > RECORD_MAX)
        *end = *start + RECORD_MAX;
}

static unsigned char *encrypt(const br_sslrec_out_class **class, int type, unsigned version,
                              void *data, size_t *len)
{
    struct protection *keys = (void *)class;
    uint8_t *text = data, *header = text - RECORD_HEADER;
    size_t n = *len;

    (void)version;
    text[n++] = (uint8_t)type;
    header[0] = APPLICATION_DATA;
    put16(header + 1, LEGACY);
    put16(header + 3, n + TAG_SIZE);
    run(keys, true, header, (struct view){text, n, false}, text + n);
    *len = RECORD_HEADER + n + TAG_SIZE;
    return header;
}

void record_limit(br_ssl_engine_context *engine, size_t len)
{
    if (len >= engine->max_frag_len)
        return;
    br_ssl_engine_new_max_frag_len(engine, (unsigned)len);
    if (engine->hlen_out > len)
        engine->hlen_out = len;
}

static const br_sslrec_in_class in_class = {sizeof(struct protection), check_length, decrypt};
static const br_sslrec_out_class out_class = {sizeof(struct protection), max_plaintext, encrypt};

static void set_keys(struct tls13 *tls, struct protection *keys, const uint8_t *secret)
{
    const br_block_ctr_class *aes = tls->engine->iaes_ctr;
    size_t len = tls->suite == TLS13_AES_128_GCM_SHA256 ? 16 : 32;
    uint8_t key[32];

    wipe(keys, sizeof *keys); /* those before */
    keys->tls = tls;
    keys->sequence = 0;
    schedule_expand(tls, secret, "key", key, len);
    schedule_expand(tls, secret, "iv", keys->iv, IV_SIZE);
    if (tls->suite == TLS13_CHACHA20_POLY1305_SHA256) {
        memcpy(keys->key.chacha20, key, len);
    } else {
        aes->init(&keys->key.aes.vtable, key, len);
        memset(keys->h, 0, sizeof keys->h);
        (void)aes->run(&keys->key.aes.vtable, (const uint8_t[IV_SIZE]){0}, 0, keys->h,
                       sizeof keys->h);
    }
    wipe(key, sizeof key);
}

void record_keys_in(struct tls13 *tls, const uint8_t *secret)
{
    struct protection *keys = (void *)&tls->engine->in;

    set_keys(tls, keys, secret);
    keys->vtable.in = &in_class;
    tls->engine->incrypt = 1;
}

void record_keys_out(struct tls13 *tls, const uint8_t *secret)
{
    struct protection *keys = (void *)&tls->engine->out;

    set_keys(tls, keys, secret);
    keys->vtable.out = &out_class;
}
