/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "tls13/impl.h"

/* Signature schemes (4.2.3): what is signed with what; curve 0: RSASSA-PSS. */
static const struct scheme {
    uint16_t number;
    uint8_t curve;
    const br_hash_class *hash;
} schemes[] = {
    {0x0403, BR_EC_secp256r1, &br_sha256_vtable},
    {0x0503, BR_EC_secp384r1, &br_sha384_vtable},
    {0x0603, BR_EC_secp521r1, &br_sha512_vtable},
    {0x0804, 0, &br_sha256_vtable},
    {0x0805, 0, &br_sha384_vtable},
    {0x0806, 0, &br_sha512_vtable},
};

static const struct scheme *find_scheme(unsigned number)
{
    size_t i;

    for (i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (schemes[i].number == number)
            return &schemes[i];
    return NULL;
}

static size_t size_of(const br_hash_class *hash)
{
    return hash->desc >> BR_HASHDESC_OUT_OFF & BR_HASHDESC_OUT_MASK;
}

size_t proof_digest(const struct tls13 *tls, unsigned number, const char *context,
                    const uint8_t *transcript, uint8_t out[64])
{
    const struct scheme *scheme = find_scheme(number);
    br_hash_compat_context hash;
    uint8_t spaces[64];

    if (!scheme)
        return 0;
    memset(spaces, ' ', sizeof spaces);
    scheme->hash->init(&hash.vtable);
    scheme->hash->update(&hash.vtable, spaces, sizeof spaces);
    scheme->hash->update(&hash.vtable, context, strlen(context) + 1);
    scheme->hash->update(&hash.vtable, transcript, tls->hash_len);
    scheme->hash->out(&hash.vtable, out);
    return size_of(scheme->hash);
}

/* Whether the server has the key of its certificate, one that fits. */
static bool is_signed(const struct tls13 *tls, const struct scheme *scheme, const uint8_t *digest,
                      struct view signature)
{
    const br_ssl_engine_context *engine = tls->engine;
    const br_x509_pkey *key = (*engine->x509ctx)->get_pkey(engine->x509ctx, NULL);

    if (scheme->curve == 0)
        return engine->irsapss(signature.data, signature.len, scheme->hash, digest,
                               &key->key.rsa) == 1;
    return engine->iecdsa(engine->iec, digest, size_of(scheme->hash), &key->key.ec, signature.data,
                          signature.len) == 1;
}

/* Whether a key of that kind may sign by the scheme: a curve is tied to its hash. */
static bool fits(const struct tls13 *tls, const struct scheme *scheme)
{
    const br_ssl_engine_context *engine = tls->engine;
    const br_x509_pkey *key = (*engine->x509ctx)->get_pkey(engine->x509ctx, NULL);

    if (!key || !scheme)
        return false;
    return scheme->curve == 0
               ? key->key_type == BR_KEYTYPE_RSA
               : key->key_type == BR_KEYTYPE_EC && key->key.ec.curve == scheme->curve;
}

static void read_verify(struct tls13 *tls)
{
    struct view body = {tls->reader.item + HEADER_SIZE, (size_t)tls->reader.have - HEADER_SIZE,
                        false};
    unsigned number = view_number(&body, 2);
    struct view signature = view_vector(&body, 2);
    uint8_t digest[64];

    if (signature.bad || body.len > 0)
        tls13_fail(tls, BR_ERR_BAD_HANDSHAKE);
    else if (!fits(tls, find_scheme(number)))
        tls13_fail(tls, BR_ERR_INVALID_ALGORITHM);
    else if (proof_digest(tls, number, "TLS 1.3, server CertificateVerify", tls->before, digest) ==
                 0 ||
             !is_signed(tls, find_scheme(number), digest, signature))
        tls13_fail(tls, BR_ERR_BAD_SIGNATURE);
    tls->state = TLS13_FINISHED;
    reader_end(tls);
}

void verify_begin(struct tls13 *tls)
{
    reader_whole(tls, read_verify);
}

static void read_finished(struct tls13 *tls)
{
    const br_ssl_engine_context *engine = tls->engine;
    const uint8_t *theirs = tls->reader.item + HEADER_SIZE;
    uint8_t expected[TLS13_HASH_MAX], difference = 0;
    size_t i;

    if (tls->reader.have != HEADER_SIZE + tls->hash_len) {
        tls13_fail(tls, BR_ERR_BAD_HANDSHAKE);
        return;
    }
    schedule_finished(tls, tls->theirs, tls->before, expected);
    for (i = 0; i < tls->hash_len; i++)
        difference |= expected[i] ^ theirs[i];
    wipe(expected, sizeof expected);
    if (difference != 0) {
        tls13_fail(tls, BR_ERR_BAD_FINISHED);
        return;
    }
    reader_end(tls);
    if (engine->hlen_in > 0) {
        tls13_fail(tls, BR_ERR_UNEXPECTED); /* nothing may follow under the old keys */
        return;
    }
    schedule_application(tls);
    record_keys_in(tls, tls->theirs);
    tls->proven = true;
    tls->state = TLS13_FLIGHT;
}

void finished_begin(struct tls13 *tls)
{
    reader_whole(tls, read_finished);
}
