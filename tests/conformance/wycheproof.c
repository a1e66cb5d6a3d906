/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "tls13/impl.h"
#include "x509/key_impl.h"
#include "x509/rsa_private.h"
#include "x509/rsa_pss.h"

enum { FIELDS_MAX = 7, FIELD_MAX = 2048 };

struct field {
    unsigned char data[FIELD_MAX];
    size_t len;
};

/* "00ff", or "-" for nothing; false where it is neither, or too long. */
static bool read_hex(const char *text, struct field *out)
{
    unsigned byte;

    out->len = 0;
    if (strcmp(text, "-") == 0)
        return true;
    for (; text[0] && out->len < FIELD_MAX; text += 2) {
        if (!text[1] || sscanf(text, "%2x", &byte) != 1)
            return false;
        out->data[out->len++] = (unsigned char)byte;
    }
    return !text[0];
}

static void write_hex(const unsigned char *data, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        printf("%02x", data[i]);
    puts(len > 0 ? "" : "-");
}

static const br_hash_class *hash_of(size_t len)
{
    return len == 32 ? &br_sha256_vtable : len == 48 ? &br_sha384_vtable : &br_sha512_vtable;
}

/* n, e, digest, signature: whether it is valid. */
static void pss(struct field field[])
{
    const br_rsa_public_key key = {field[0].data, field[0].len, field[1].data, field[1].len};
    const struct field *digest = &field[2], *signature = &field[3];

    puts(rsa_pss_verify(signature->data, signature->len, hash_of(digest->len), digest->data, &key)
             ? "valid"
             : "invalid");
}

/* n, p, q, dp, dq, qinv, x: x to the power of d. */
static void private(struct field field[])
{
    const br_rsa_private_key key = {
        key_bits(bytes_of(field[0].data, field[0].len)),
        field[1].data,
        field[1].len,
        field[2].data,
        field[2].len,
        field[3].data,
        field[3].len,
        field[4].data,
        field[4].len,
        field[5].data,
        field[5].len,
    };
    struct field *x = &field[6];

    if (x->len == field[0].len && rsa_private(x->data, &key))
        write_hex(x->data, x->len);
    else
        puts("refused");
}

/* Number of the group (RFC 8446 section 4.2.7), scalar, the other side's share: what both know. */
static void agree(struct field field[])
{
    struct tls13 tls = {.group = (uint16_t)get16(field[0].data)};
    br_ssl_engine_context engine = {.iec = br_ec_get_default()};
    const struct field *scalar = &field[1];
    uint8_t shared[POINT_MAX];
    size_t len, skipped;

    tls.engine = &engine;
    (void)engine.iec->order(tls.group, &len);
    skipped = scalar->len > len ? scalar->len - len : 0; /* zeros */
    memcpy(tls.scalar + len - (scalar->len - skipped), scalar->data + skipped,
           scalar->len - skipped);
    len = share_agree(&tls, (struct view){field[2].data, field[2].len, false}, shared);
    if (len > 0)
        write_hex(shared, len);
    else
        puts("refused");
}

/* Key, nonce, additional data, ciphertext, tag; of AES without nonces' last part: the plaintext. */
static void gcm(struct field field[])
{
    br_ssl_engine_context engine = {0};
    br_gcm_context gcm_context;
    br_aes_gen_ctr_keys aes;
    struct field *text = &field[3];

    br_ssl_engine_set_default_aes_gcm(&engine);
    engine.iaes_ctr->init(&aes.vtable, field[0].data, field[0].len);
    br_gcm_init(&gcm_context, &aes.vtable, engine.ighash);
    br_gcm_reset(&gcm_context, field[1].data, field[1].len);
    br_gcm_aad_inject(&gcm_context, field[2].data, field[2].len);
    br_gcm_flip(&gcm_context);
    br_gcm_run(&gcm_context, 0, text->data, text->len);
    if (br_gcm_check_tag(&gcm_context, field[4].data))
        write_hex(text->data, text->len);
    else
        puts("refused");
}

static void chapol(struct field field[])
{
    br_ssl_engine_context engine = {0};
    struct field *text = &field[3];
    uint8_t tag[16];

    br_ssl_engine_set_default_chapol(&engine);
    engine.ipoly(field[0].data, field[1].data, text->data, text->len, field[2].data, field[2].len,
                 tag, engine.ichacha, 0);
    if (memcmp(tag, field[4].data, sizeof tag) == 0)
        write_hex(text->data, text->len);
    else
        puts("refused");
}

/* Something as long as the hash, input, salt, info, how much (two bytes): RFC 5869 by our HMAC. */
static void hkdf(struct field field[])
{
    const size_t size = get16(field[4].data), hash_len = field[0].len;
    br_hkdf_context context;
    uint8_t out[255 * TLS13_HASH_MAX];

    br_hkdf_init(&context, hash_of(hash_len), field[2].data, field[2].len);
    br_hkdf_inject(&context, field[1].data, field[1].len);
    br_hkdf_flip(&context);
    write_hex(out, size > sizeof out ||
                           br_hkdf_produce(&context, field[3].data, field[3].len, out, size) != size
                       ? 0
                       : size);
}

static const struct primitive {
    const char *name;
    size_t fields;
    void (*run)(struct field field[]);
} primitives[] = {
    {"pss", 4, pss}, {"private", 7, private}, {"agree", 3, agree},
    {"gcm", 5, gcm}, {"chapol", 5, chapol},   {"hkdf", 5, hkdf},
};

/* A line a case. */
int conformance_primitive(int argc, char **argv)
{
    static char text[2 * FIELD_MAX + 1];
    static struct field field[FIELDS_MAX];
    const struct primitive *primitive = primitives;
    size_t i = 0;

    while (argc == 2 && strcmp(primitive->name, argv[1]) != 0)
        if (++primitive == primitives + sizeof primitives / sizeof *primitives)
            return CONFORMANCE_USAGE;
    while (argc == 2 && scanf("%4096s", text) == 1) {
        if (!read_hex(text, &field[i++]))
            return 1;
        if (i == primitive->fields) {
            primitive->run(field);
            i = 0;
        }
    }
    return argc == 2 && i == 0 ? 0 : CONFORMANCE_USAGE;
}
