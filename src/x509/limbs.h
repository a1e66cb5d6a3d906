/* SPDX-License-Identifier: Apache-2.0 */
#ifndef X509_LIMBS_H
#define X509_LIMBS_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Arithmetic on natural numbers for RSA's secrets: arrays of limbs, the least first. Which way it
 * takes and which addresses it reads hang on how many limbs and bits there are, on nothing else.
 * The same source with limbs of 8 bits is tried on all there is: tests/unit/test_limbs8.c.
 */
#ifndef LIMB_BITS
#define LIMB_BITS 64
#endif
#if LIMB_BITS == 8
typedef uint8_t limb;
typedef uint16_t wide;
#else
typedef uint64_t limb;
typedef unsigned __int128 wide;
#endif

enum {
    FACTOR_BITS_MAX = LIMB_BITS == 8 ? 512 : 2048 + 32, /* BearSSL's bound too */
    LIMBS_MAX = (FACTOR_BITS_MAX + LIMB_BITS - 1) / LIMB_BITS
};

struct modulus {
    size_t count;   /* of its limbs */
    unsigned shift; /* how many of its highest bits are zero */
    limb inverse;   /* -1 / modulus modulo 2^LIMB_BITS, where it is odd */
    limb limbs[LIMBS_MAX];
    limb factors[LIMBS_MAX]; /* where multiplications work */
};

/* A number's least limbs from its bytes, the greatest first; and back, as many bytes as asked for.
 */
void limbs_load(limb *out, size_t count, struct bytes value);
void limbs_store(unsigned char *out, size_t len, const limb *number);

/* a * b, of a_count + b_count limbs; it lies apart from both. */
void limbs_multiply(limb *product, const limb *a, size_t a_count, const limb *b, size_t b_count);

/*
 * Where mask is all ones: limbs_add(): a += b; limbs_subtract(): a -= b. With mask 0 a stays. The
 * carry, or the borrow: 1 or 0.
 */
limb limbs_add(limb *a, const limb *b, size_t count, limb mask);
limb limbs_subtract(limb *a, const limb *b, size_t count, limb mask);

/* Takes a number of so many bits, 1 to FACTOR_BITS_MAX, which begins with a 1. */
void modulus_load(struct modulus *modulus, struct bytes value, unsigned bits);

/* number modulo modulus: modulus->count limbs, apart from number. */
void modulus_reduce(limb *out, const limb *number, size_t count, struct modulus *modulus);

/*
 * Montgomery's form of x is x R, with R = 2^(LIMB_BITS count), modulo an odd modulus. Numbers are
 * below the modulus. out may be one of the inputs.
 */

/* a b / R */
void montgomery_multiply(limb *out, const limb *a, const limb *b, struct modulus *modulus);

/* x to the power of the exponent, of modulus->count limbs; both in Montgomery's form. */
void montgomery_power(limb *x, const limb *exponent, struct modulus *modulus);

#endif
