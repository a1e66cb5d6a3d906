/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "tls13/impl.h"

/* What BearSSL's HMAC and hashes left of a key on the stack below. */
static __attribute__((noinline)) void wipe_below(void)
{
    uint8_t stack[2048];

    wipe(stack, sizeof stack);
}

static void empty_hash(const struct tls13 *tls, uint8_t out[TLS13_HASH_MAX])
{
    br_hash_compat_context context;

    tls->hash->init(&context.vtable);
    tls->hash->out(&context.vtable, out);
}

/* HKDF-Extract (RFC 5869 section 2.2), which is HMAC. out may be the salt. */
static void hmac(const struct tls13 *tls, const uint8_t *key, const void *data, size_t len,
                 uint8_t out[TLS13_HASH_MAX])
{
    br_hmac_key_context key_context;
    br_hmac_context context;

    br_hmac_key_init(&key_context, tls->hash, key, tls->hash_len);
    br_hmac_init(&context, &key_context, 0);
    br_hmac_update(&context, data, len);
    br_hmac_out(&context, out);
    wipe(&key_context, sizeof key_context);
    wipe(&context, sizeof context);
    wipe_below();
}

/* What a secret is derived for: a label without its prefix, and at most 64 bytes. */
struct purpose {
    const char *label;
    struct bytes context;
};

/* The HkdfLabel of section 7.1, into a running HMAC. */
static void add_label(br_hmac_context *context, size_t len, const struct purpose *purpose)
{
    static const char prefix[] = "tls13 ";
    const size_t label_len = strlen(purpose->label);
    uint8_t head[3], context_len = (uint8_t)purpose->context.len;

    put16(head, len);
    head[2] = (uint8_t)(sizeof prefix - 1 + label_len);
    br_hmac_update(context, head, sizeof head);
    br_hmac_update(context, prefix, sizeof prefix - 1);
    br_hmac_update(context, purpose->label, label_len);
    br_hmac_update(context, &context_len, 1);
    br_hmac_update(context, purpose->context.data, purpose->context.len);
}

static void expand(const struct tls13 *tls, const uint8_t *secret, const struct purpose *purpose,
                   uint8_t *out, size_t len)
{
    br_hmac_key_context key;
    br_hmac_context context;
    uint8_t block[TLS13_HASH_MAX], counter = 0;
    size_t done, n;

    br_hmac_key_init(&key, tls->hash, secret, tls->hash_len);
    for (done = 0; done < len; done += n) {
        br_hmac_init(&context, &key, 0);
        if (counter++ > 0)
            br_hmac_update(&context, block, tls->hash_len);
        add_label(&context, len, purpose);
        br_hmac_update(&context, &counter, 1);
        br_hmac_out(&context, block);
        n = len - done < tls->hash_len ? len - done : tls->hash_len;
        memcpy(out + done, block, n);
    }
    wipe(&key, sizeof key);
    wipe(&context, sizeof context);
    wipe(block, sizeof block);
    wipe_below();
}

void schedule_expand(const struct tls13 *tls, const uint8_t *secret, const char *label,
                     uint8_t *out, size_t len)
{
    expand(tls, secret, &(struct purpose){.label = label}, out, len);
}

static void derive_from(const struct tls13 *tls, const uint8_t *secret, const char *label,
                        struct bytes context, uint8_t out[TLS13_HASH_MAX])
{
    expand(tls, secret, &(struct purpose){label, context}, out, tls->hash_len);
}

static void derive(const struct tls13 *tls, const char *label, const uint8_t *transcript,
                   uint8_t out[TLS13_HASH_MAX])
{
    derive_from(tls, tls->secret, label, bytes_of(transcript, tls->hash_len), out);
}

/* One step down the schedule: the secret's successor, with what is new in it. */
static void schedule_step(struct tls13 *tls, const uint8_t *input, size_t len)
{
    uint8_t hash[TLS13_HASH_MAX];

    empty_hash(tls, hash);
    derive(tls, "derived", hash, tls->secret);
    hmac(tls, tls->secret, input, len, tls->secret);
}

static const uint8_t zeros[TLS13_HASH_MAX];

void schedule_begin(struct tls13 *tls, const uint8_t *psk)
{
    hmac(tls, zeros, psk ? psk : zeros, tls->hash_len, tls->secret);
}

void schedule_binder(const struct tls13 *tls, uint8_t out[TLS13_HASH_MAX])
{
    uint8_t transcript[TLS13_HASH_MAX], key[TLS13_HASH_MAX];

    empty_hash(tls, transcript);
    derive(tls, "res binder", transcript, key);
    schedule_transcript(tls, transcript);
    schedule_finished(tls, key, transcript, out);
    wipe(key, sizeof key);
}

void schedule_handshake(struct tls13 *tls, const uint8_t *shared, size_t len)
{
    uint8_t transcript[TLS13_HASH_MAX];

    schedule_step(tls, shared, len);
    schedule_transcript(tls, transcript);
    derive(tls, "c hs traffic", transcript, tls->ours);
    derive(tls, "s hs traffic", transcript, tls->theirs);
}

void schedule_application(struct tls13 *tls)
{
    uint8_t transcript[TLS13_HASH_MAX];

    schedule_step(tls, zeros, tls->hash_len);
    schedule_transcript(tls, transcript);
    derive(tls, "c ap traffic", transcript, tls->next_ours);
    derive(tls, "s ap traffic", transcript, tls->theirs);
    derive(tls, "exp master", transcript, tls->exporter);
}

void schedule_resumption(struct tls13 *tls)
{
    uint8_t transcript[TLS13_HASH_MAX];

    schedule_transcript(tls, transcript);
    derive(tls, "res master", transcript, tls->resumption);
}

void schedule_ticket(const struct tls13 *tls, const uint8_t *nonce, size_t len,
                     uint8_t out[TLS13_HASH_MAX])
{
    derive_from(tls, tls->resumption, "resumption", bytes_of(nonce, len), out);
}

void schedule_update(const struct tls13 *tls, uint8_t secret[TLS13_HASH_MAX])
{
    schedule_expand(tls, secret, "traffic upd", secret, tls->hash_len);
}

void schedule_finished(const struct tls13 *tls, const uint8_t *secret, const uint8_t *transcript,
                       uint8_t out[TLS13_HASH_MAX])
{
    uint8_t key[TLS13_HASH_MAX];

    schedule_expand(tls, secret, "finished", key, tls->hash_len);
    hmac(tls, key, transcript, tls->hash_len, out);
    wipe(key, sizeof key);
}

void schedule_transcript(const struct tls13 *tls, uint8_t out[TLS13_HASH_MAX])
{
    uint8_t hash[64];

    (void)br_multihash_out(&tls->engine->mhash,
                           tls->hash_len == br_sha384_SIZE ? br_sha384_ID : br_sha256_ID, hash);
    memcpy(out, hash, tls->hash_len);
}

bool schedule_suite(struct tls13 *tls, unsigned suite)
{
    if (suite != TLS13_AES_128_GCM_SHA256 && suite != TLS13_AES_256_GCM_SHA384 &&
        suite != TLS13_CHACHA20_POLY1305_SHA256)
        return false;
    tls->suite = (uint16_t)suite;
    tls->hash = suite == TLS13_AES_256_GCM_SHA384 ? &br_sha384_vtable : &br_sha256_vtable;
    tls->hash_len = suite == TLS13_AES_256_GCM_SHA384 ? br_sha384_SIZE : br_sha256_SIZE;
    return true;
}

bool tls13_export(const struct tls13 *tls, const char *label, struct bytes context, uint8_t *out,
                  size_t len)
{
    br_hash_compat_context hash_context;
    uint8_t hash[TLS13_HASH_MAX], secret[TLS13_HASH_MAX];
    const struct bytes hashed = bytes_of(hash, tls->hash_len);

    if (tls->state != TLS13_OPEN || strlen(label) > 249 || len > 255)
        return false;
    empty_hash(tls, hash);
    derive_from(tls, tls->exporter, label, hashed, secret);
    tls->hash->init(&hash_context.vtable);
    tls->hash->update(&hash_context.vtable, context.data, context.len);
    tls->hash->out(&hash_context.vtable, hash);
    expand(tls, secret, &(struct purpose){"exporter", hashed}, out, len);
    wipe(secret, sizeof secret);
    return true;
}
