/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <bearssl.h>

#include "base/arena.h"

void hash_sha256(uint8_t out[HASH_SIZE], struct bytes data)
{
    br_sha256_context context;

    br_sha256_init(&context);
    br_sha256_update(&context, data.data, data.len);
    br_sha256_out(&context, out);
    wipe(&context, sizeof context);
}

void hash_hmac(uint8_t out[HASH_SIZE], struct bytes key, struct bytes data)
{
    br_hmac_key_context key_context;
    br_hmac_context context;

    br_hmac_key_init(&key_context, &br_sha256_vtable, key.data, key.len);
    br_hmac_init(&context, &key_context, 0);
    br_hmac_update(&context, data.data, data.len);
    (void)br_hmac_out(&context, out);
    wipe(&key_context, sizeof key_context);
    wipe(&context, sizeof context);
}

size_t hash_sha2(unsigned bits, const struct bytes *parts, size_t count, uint8_t out[HASH_SIZE_MAX])
{
    const br_hash_class *class = bits == 256   ? &br_sha256_vtable
                                 : bits == 384 ? &br_sha384_vtable
                                               : &br_sha512_vtable;
    br_hash_compat_context context;
    size_t i;

    class->init(&context.vtable);
    for (i = 0; i < count; i++)
        class->update(&context.vtable, parts[i].data, parts[i].len);
    class->out(&context.vtable, out);
    return bits / 8;
}

uint64_t hash_fnv(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *at = data;

    for (; len > 0; len--)
        hash = (hash ^ *at++) * 0x100000001B3;
    return hash;
}

void hash_hex(char out[HASH_HEX_SIZE], const uint8_t hash[HASH_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < HASH_SIZE; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[HASH_HEX_SIZE - 1] = '\0';
}
