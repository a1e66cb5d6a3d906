/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/limbs.h"

#include <string.h>

#include "base/arena.h"

/* This file is built for speed, for montgomery_power() alone. */
#define COLD __attribute__((cold))

enum { LIMB_BYTES = LIMB_BITS / 8, WINDOW = 4, POWERS = 1 << WINDOW };

/* Of a difference that may be below zero: 1 where it is. */
static limb sign(wide difference)
{
    return (limb)(difference >> (2 * LIMB_BITS - 1));
}

static limb high(wide value)
{
    return (limb)(value >> LIMB_BITS);
}

/* All ones for 1, 0 for 0. */
static limb mask_of(limb bit)
{
    return (limb)(0 - bit);
}

COLD void limbs_load(limb *out, size_t count, struct bytes value)
{
    size_t i;

    memset(out, 0, count * sizeof *out);
    for (i = 0; i < value.len && i < count * LIMB_BYTES; i++)
        out[i / LIMB_BYTES] |=
            (limb)((limb)value.data[value.len - 1 - i] << (8 * (i % LIMB_BYTES)));
}

COLD void limbs_store(unsigned char *out, size_t len, const limb *number)
{
    size_t i;

    for (i = 0; i < len; i++)
        out[len - 1 - i] = (unsigned char)(number[i / LIMB_BYTES] >> (8 * (i % LIMB_BYTES)));
}

/*
 * A column of a product: what the limbs make whose numbers have one sum. It is below B^3 with
 * B = 2^LIMB_BITS: two times LIMBS_MAX products of at most (B - 1)^2, and what is carried into it.
 */
struct column {
    wide low;
    limb high;
};

_Static_assert(2 * LIMBS_MAX < (1 << 8), "a column has room, with limbs of 8 bits too");

static inline void add(struct column *column, wide product)
{
    column->high =
        (limb)(column->high + __builtin_add_overflow(column->low, product, &column->low));
}

/* a goes up, b goes down. */
static inline void add_products(struct column *column, const limb *a, const limb *b, size_t count)
{
    size_t i;

#pragma GCC unroll 4
    for (i = 0; i < count; i++)
        add(column, (wide)((wide)a[i] * b[-(ptrdiff_t)i]));
}

/* The next column takes over what is above the lowest limb. */
static limb next_column(struct column *column)
{
    limb lowest = (limb)column->low;

    column->low = (wide)(column->low >> LIMB_BITS | (wide)column->high << LIMB_BITS);
    column->high = 0;
    return lowest;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

COLD void limbs_multiply(limb *product, const limb *a, size_t a_count, const limb *b,
                         size_t b_count)
{
    struct column column = {0};
    size_t k;

    for (k = 0; k < a_count + b_count; k++) {
        size_t from = k < b_count ? 0 : k - b_count + 1;

        add_products(&column, a + from, b + k - from, smaller(k + 1, a_count) - from);
        product[k] = next_column(&column);
    }
}

limb limbs_add(limb *a, const limb *b, size_t count, limb mask)
{
    limb carry = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        wide step = (wide)((wide)a[i] + (b[i] & mask) + carry);

        a[i] = (limb)step;
        carry = high(step);
    }
    return carry;
}

limb limbs_subtract(limb *a, const limb *b, size_t count, limb mask)
{
    limb borrow = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        wide step = (wide)((wide)a[i] - (b[i] & mask) - borrow);

        a[i] = (limb)step;
        borrow = sign(step);
    }
    return borrow;
}

COLD void modulus_load(struct modulus *modulus, struct bytes value, unsigned bits)
{
    limb inverse = 1;
    unsigned good;

    modulus->count = (bits + LIMB_BITS - 1) / LIMB_BITS;
    modulus->shift = (unsigned)modulus->count * LIMB_BITS - bits;
    limbs_load(modulus->limbs, modulus->count, value);
    for (good = 1; good < LIMB_BITS; good *= 2) /* so many bits of it are right */
        inverse = (limb)(inverse * (limb)(2 - (limb)(modulus->limbs[0] * inverse)));
    modulus->inverse = (limb)(0 - inverse);
}

/* The limb that begins so many bits below the top of a higher one. */
static limb straddle(limb higher, limb lower, unsigned shift)
{
    return (limb)((wide)((wide)higher << LIMB_BITS | lower) >> (LIMB_BITS - shift));
}

/*
 * The highest limbs of number (of count + 1), which is below 2^LIMB_BITS times the modulus, by that
 * of the modulus, which begins with a 1: what number / modulus is, or up to 2 more (Knuth, The Art
 * of Computer Programming, volume 2, 4.3.1, theorems A and B); the greatest limb where that does
 * not fit. Bit by bit: dividing instructions take longer for some numbers than for others.
 */
COLD static limb quotient(const limb *number, struct modulus *modulus)
{
    size_t top = modulus->count - 1;
    limb below = top > 0 ? number[top - 1] : 0;
    limb divisor =
        straddle(modulus->limbs[top], top > 0 ? modulus->limbs[top - 1] : 0, modulus->shift);
    limb low = straddle(number[top], below, modulus->shift), found = 0;
    wide rest = straddle(number[top + 1], number[top], modulus->shift);
    unsigned i;

    for (i = 0; i < LIMB_BITS; i++) {
        limb less;

        rest = (wide)((wide)(rest << 1) | low >> (LIMB_BITS - 1));
        low = (limb)(low << 1);
        less = sign((wide)(rest - divisor));
        rest = (wide)(rest - (divisor & (limb)(less - 1)));
        found = (limb)(found << 1 | (less ^ 1));
    }
    return found;
}

COLD void modulus_reduce(limb *out, const limb *number, size_t count, struct modulus *modulus)
{
    limb rest[LIMBS_MAX + 1] = {0}, multiple[LIMBS_MAX + 1], found;
    size_t n = modulus->count;
    int i;

    while (count-- > 0) {
        memmove(rest + 1, rest, n * sizeof *rest);
        rest[0] = number[count];
        found = quotient(rest, modulus);
        limbs_multiply(multiple, &found, 1, modulus->limbs, n);
        (void)limbs_subtract(rest, multiple, n + 1, mask_of(1));
        for (i = 0; i < 2; i++)
            rest[n] = (limb)(rest[n] + limbs_add(rest, modulus->limbs, n,
                                                 mask_of((limb)(rest[n] >> (LIMB_BITS - 1)))));
    }
    memcpy(out, rest, n * sizeof *rest);
    wipe(rest, sizeof rest);
    wipe(multiple, sizeof multiple);
}

/* A column of a^2: what two different limbs make counts twice. */
static void add_squares(struct column *column, const limb *a, size_t from, size_t k, size_t count)
{
    struct column once = {0};

    add_products(&once, a + from, a + k - from, count / 2);
    once.high = (limb)(once.high << 1 | once.low >> (2 * LIMB_BITS - 1));
    add(column, (wide)(once.low << 1));
    column->high = (limb)(column->high + once.high);
    if (count % 2 == 1)
        add(column, (wide)((wide)a[k / 2] * a[k / 2]));
}

/*
 * Column by column, so much of the modulus is added that the lower half becomes zero. a b is below
 * R times the modulus, so what is above it is below twice the modulus.
 */
void montgomery_multiply(limb *out, const limb *a, const limb *b, struct modulus *modulus)
{
    limb *factors = modulus->factors, carry;
    struct column column = {0};
    size_t n = modulus->count, k;

    for (k = 0; k < 2 * n; k++) {
        size_t from = k < n ? 0 : k - n + 1, count = smaller(k + 1, n) - from;

        if (a == b)
            add_squares(&column, a, from, k, count);
        else
            add_products(&column, a + from, b + k - from, count);
        add_products(&column, factors + from, modulus->limbs + k - from, smaller(k, n) - from);
        if (k < n) {
            factors[k] = (limb)((limb)column.low * modulus->inverse);
            add(&column, (wide)((wide)factors[k] * modulus->limbs[0]));
            (void)next_column(&column); /* it is zero */
        } else {
            out[k - n] = next_column(&column); /* of a and b nothing reads it any more */
        }
    }
    carry = (limb)((limb)column.low - limbs_subtract(out, modulus->limbs, n, mask_of(1)));
    (void)limbs_add(out, modulus->limbs, n, carry); /* it was below the modulus: all ones */
}

/* The power with that number, which is secret: all are read. */
static void choose(limb *out, limb powers[POWERS][LIMBS_MAX], size_t count, limb number)
{
    limb power, mask;
    size_t i;

    memset(out, 0, count * sizeof *out);
    for (power = 0; power < POWERS; power++) {
        mask = mask_of(sign((wide)((wide)(power ^ number) - 1)));
        for (i = 0; i < count; i++)
            out[i] |= powers[power][i] & mask;
    }
}

void montgomery_power(limb *x, const limb *exponent, struct modulus *modulus)
{
    limb powers[POWERS][LIMBS_MAX], chosen[LIMBS_MAX], r[LIMBS_MAX + 1] = {0};
    size_t n = modulus->count, at, i;

    r[n] = 1;
    modulus_reduce(powers[0], r, n + 1, modulus);
    for (i = 1; i < POWERS; i++)
        montgomery_multiply(powers[i], powers[i - 1], x, modulus);
    memcpy(x, powers[0], n * sizeof *x);
    for (at = n * LIMB_BITS; at > 0;) {
        at -= WINDOW;
        for (i = 0; i < WINDOW; i++)
            montgomery_multiply(x, x, x, modulus);
        choose(chosen, powers, n, exponent[at / LIMB_BITS] >> (at % LIMB_BITS) & (POWERS - 1));
        montgomery_multiply(x, x, chosen, modulus);
    }
    wipe(powers, sizeof powers);
    wipe(chosen, sizeof chosen);
}
