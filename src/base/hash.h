/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define HASH_SIZE     32
#define HASH_HEX_SIZE (2 * HASH_SIZE + 1)

/* SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104). */
void hash_sha256(uint8_t out[HASH_SIZE], struct bytes data);
void hash_hmac(uint8_t out[HASH_SIZE], struct bytes key, struct bytes data);

/*
 * SHA-256, SHA-384 or SHA-512, chosen by bits, of parts in a row, for public data only. Returns the
 * length of the hash.
 */
#define HASH_SIZE_MAX 64
size_t hash_sha2(unsigned bits, const struct bytes *parts, size_t count,
                 uint8_t out[HASH_SIZE_MAX]);

/* FNV-1a over further bytes, from HASH_FNV on: compares texts that nobody chose to collide. */
#define HASH_FNV UINT64_C(0xCBF29CE484222325)
uint64_t hash_fnv(uint64_t hash, const void *data, size_t len);

/* Lower-case hexadecimal of a hash, NUL-terminated. */
void hash_hex(char out[HASH_HEX_SIZE], const uint8_t hash[HASH_SIZE]);

#endif
