/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA's arithmetic as it is in the program, with limbs of 64 bits, against the slowest there is:
 * by bits. Numbers are made so that carries run from end to end, which random ones do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

#include "random_numbers.h"
#include "x509/limbs.h"

enum { WIDEST = 3 * LIMBS_MAX };

struct number {
    limb limbs[WIDEST + 1];
};

static uint64_t next_random(void)
{
    static uint64_t seed = 0x9E3779B97F4A7C15;

    return random_after(&seed);
}

/* ---- by bits */

static bool bit_of(const struct number *number, size_t bit)
{
    return number->limbs[bit / 64] >> (bit % 64) & 1;
}

static bool below(const struct number *a, const struct number *b)
{
    size_t i;

    for (i = WIDEST + 1; i-- > 0;)
        if (a->limbs[i] != b->limbs[i])
            return a->limbs[i] < b->limbs[i];
    return false;
}

static void add_to(struct number *a, const struct number *b)
{
    limb carry = 0;
    size_t i;

    for (i = 0; i <= WIDEST; i++) {
        limb sum = a->limbs[i] + b->limbs[i] + carry;

        carry = carry ? sum <= b->limbs[i] : sum < b->limbs[i];
        a->limbs[i] = sum;
    }
}

static void take_off(struct number *a, const struct number *b)
{
    limb borrow = 0;
    size_t i;

    for (i = 0; i <= WIDEST; i++) {
        limb less = a->limbs[i] - b->limbs[i] - borrow;

        borrow = borrow ? a->limbs[i] <= b->limbs[i] : a->limbs[i] < b->limbs[i];
        a->limbs[i] = less;
    }
}

static void add_modulo(struct number *a, const struct number *b, const struct number *m)
{
    add_to(a, b);
    if (!below(a, m))
        take_off(a, m);
}

/* number, of so many limbs, modulo m. */
static struct number remainder_of(const struct number *number, size_t count, const struct number *m)
{
    const struct number none = {{0}}, one = {{1}};
    struct number rest = {{0}};
    size_t bit;

    for (bit = 64 * count; bit-- > 0;) {
        struct number twice = rest;

        add_modulo(&rest, &twice, m);
        add_modulo(&rest, bit_of(number, bit) ? &one : &none, m);
    }
    return rest;
}

/* a b modulo m, a of so many limbs and b below m. */
static struct number product_of(const struct number *a, const struct number *b, size_t count,
                                const struct number *m)
{
    struct number sum = {{0}};
    size_t bit;

    for (bit = 64 * count; bit-- > 0;) {
        struct number twice = sum;

        add_modulo(&sum, &twice, m);
        if (bit_of(a, bit))
            add_modulo(&sum, b, m);
    }
    return sum;
}

/* ---- numbers at which something turns */

static limb edge(void)
{
    static const limb edges[] = {0,
                                 1,
                                 2,
                                 3,
                                 (limb)-1,
                                 (limb)-2,
                                 (limb)-3,
                                 (limb)1 << 63,
                                 ((limb)1 << 63) - 1,
                                 ((limb)1 << 63) + 1,
                                 (limb)1 << 32,
                                 ((limb)1 << 32) - 1,
                                 (limb)-1 << 32};
    uint64_t choice = next_random() % 20;

    return choice < sizeof edges / sizeof *edges ? edges[choice] : next_random();
}

/* All of one limb, or of a few that differ. */
static struct number number_of(size_t count)
{
    struct number number = {{0}};
    limb same = edge();
    bool mixed = next_random() % 2;
    size_t i;

    for (i = 0; i < count; i++)
        number.limbs[i] = mixed ? edge() : same;
    if (next_random() % 4 == 0)
        number.limbs[next_random() % count] = edge();
    return number;
}

/* Odd where asked for; its highest limb is none, but may have one bit. */
static struct number modulus_like(size_t count, bool odd)
{
    struct number m = number_of(count);

    if (m.limbs[count - 1] == 0)
        m.limbs[count - 1] = next_random() % 2 ? 1 : (limb)1 << 63;
    m.limbs[0] |= odd;
    if (count == 1 && m.limbs[0] < 3)
        m.limbs[0] = 3;
    return m;
}

/* Below m: close to it, close to zero, or anywhere. */
static struct number value_below(const struct number *m, size_t count)
{
    const struct number small = {{next_random() % 4 + 1}};
    struct number number = *m;

    switch (next_random() % 4) {
    case 0: take_off(&number, &small); break;
    case 1: number = small; break;
    default: number = number_of(count);
    }
    return remainder_of(&number, count, m);
}

static struct modulus load(const struct number *m, size_t count)
{
    unsigned char bytes[8 * LIMBS_MAX];
    struct modulus modulus;
    unsigned bits = (unsigned)count * 64;

    while (!bit_of(m, bits - 1))
        bits--;
    limbs_store(bytes, 8 * count, m->limbs);
    modulus_load(&modulus, bytes_of(bytes, 8 * count), bits);
    assert_int_equal(modulus.count, count);
    assert_memory_equal(modulus.limbs, m->limbs, 8 * count);
    return modulus;
}

static const struct size {
    size_t count;
    int cases;
} sizes[] = {{1, 400}, {2, 400}, {3, 200}, {4, 100}, {5, 50}, {8, 20}, {16, 4}, {32, 2}, {33, 2}};

enum { SIZES = sizeof sizes / sizeof *sizes };

/* ---- the tests */

static void bytes_and_limbs(void **state)
{
    const unsigned char bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    unsigned char out[sizeof bytes + 2];
    limb number[3];

    (void)state;
    limbs_load(number, 3, bytes_of(bytes, sizeof bytes));
    assert_true(number[0] == 0x0405060708090A0B && number[1] == 0x010203 && number[2] == 0);
    limbs_store(out, sizeof out, number);
    assert_memory_equal(out + 2, bytes, sizeof bytes);
    assert_true(out[0] == 0 && out[1] == 0);
    limbs_load(number, 1, bytes_of(bytes, sizeof bytes)); /* what has no room is left out */
    assert_true(number[0] == 0x0405060708090A0B);
    limbs_load(number, 2, bytes_of(bytes, 0));
    assert_true(number[0] == 0 && number[1] == 0);
}

static void products(void **state)
{
    static const struct number no_modulus = {{[WIDEST] = 1}};
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < SIZES; i++)
        for (k = 0; k < sizes[i].cases; k++) {
            size_t count = sizes[i].count, other = (size_t)k % count + 1;
            struct number a = number_of(count), b = number_of(other), product = {{0}};
            struct number expected = product_of(&a, &b, count, &no_modulus);

            limbs_multiply(product.limbs, a.limbs, count, b.limbs, other);
            assert_memory_equal(&product, &expected, sizeof product);
        }
}

static void remainders(void **state)
{
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < SIZES; i++)
        for (k = 0; k < sizes[i].cases; k++) {
            size_t count = sizes[i].count, len = 1 + (size_t)k % (3 * count);
            struct number m = modulus_like(count, false), number = number_of(len), rest = {{0}};
            struct modulus modulus = load(&m, count);

            if (k % 3 == 0) { /* just below, or at, a multiple */
                struct number factor = number_of(count), small = {{next_random() % 3}};

                memset(&number, 0, sizeof number);
                limbs_multiply(number.limbs, m.limbs, count, factor.limbs, count);
                if (below(&small, &number))
                    take_off(&number, &small);
                len = 2 * count;
            }
            struct number expected = remainder_of(&number, len, &m);

            modulus_reduce(rest.limbs, number.limbs, len, &modulus);
            assert_memory_equal(&rest, &expected, sizeof rest);
        }
}

/* out R = a b modulo m, and out is below m; also where out is one of them, and for squares. */
static void montgomery(void **state)
{
    struct number out, shifted;
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < SIZES; i++)
        for (k = 0; k < 2 * sizes[i].cases; k++) {
            size_t count = sizes[i].count;
            struct number m = modulus_like(count, true), a = value_below(&m, count);
            struct number b = k % 4 == 0 ? a : value_below(&m, count);
            struct number expected = product_of(&a, &b, count, &m);
            struct modulus modulus = load(&m, count);

            memset(&out, 0, sizeof out);
            montgomery_multiply(out.limbs, a.limbs, b.limbs, &modulus);
            assert_true(below(&out, &m));
            memset(&shifted, 0, sizeof shifted);
            memcpy(shifted.limbs + count, out.limbs, 8 * count);
            shifted = remainder_of(&shifted, 2 * count, &m);
            assert_memory_equal(&shifted, &expected, sizeof shifted);
            if (k % 4 == 0)
                montgomery_multiply(a.limbs, a.limbs, a.limbs, &modulus);
            else if (k % 4 == 1)
                montgomery_multiply(a.limbs, a.limbs, b.limbs, &modulus);
            else if (k % 4 == 2)
                montgomery_multiply((a = b).limbs, out.limbs, b.limbs, &modulus);
            if (k % 4 < 2)
                assert_memory_equal(&a, &out, sizeof a);
        }
}

/* With one limb plain integers tell which results needed the last subtraction: many of both. */
static void the_last_subtraction(void **state)
{
    unsigned long needed = 0, spared = 0, i;

    (void)state;
    for (i = 0; i < 200000; i++) {
        struct number m = modulus_like(1, true);
        struct modulus modulus = load(&m, 1);
        limb a = i % 3 ? edge() % m.limbs[0] : m.limbs[0] - 1 - i % 2;
        limb b = i % 5 ? edge() % m.limbs[0] : m.limbs[0] - 1, out;
        wide product = (wide)a * b;
        wide zeros = (wide)((limb)product * modulus.inverse) * m.limbs[0];
        wide high = (product >> 64) + (zeros >> 64) + ((limb)product != 0);

        assert_true((limb)(product + zeros) == 0);
        *(high >= m.limbs[0] ? &needed : &spared) += 1;
        montgomery_multiply(&out, &a, &b, &modulus);
        assert_true(out == (limb)(high >= m.limbs[0] ? high - m.limbs[0] : high));
    }
    assert_true(needed > 10000 && spared > 10000);
}

/* Bit by bit, from the top. */
static void powers(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; sizes[i].count <= 5; i++) {
        size_t count = sizes[i].count, bit;
        struct number m = modulus_like(count, true), x = value_below(&m, count);
        struct number exponent = number_of(count), result = {{0}}, r = {{0}};
        struct modulus modulus = load(&m, count);

        r.limbs[count] = 1;
        modulus_reduce(result.limbs, r.limbs, count + 1, &modulus);
        for (bit = 64 * count; bit-- > 0;) {
            montgomery_multiply(result.limbs, result.limbs, result.limbs, &modulus);
            if (bit_of(&exponent, bit))
                montgomery_multiply(result.limbs, result.limbs, x.limbs, &modulus);
        }
        montgomery_power(x.limbs, exponent.limbs, &modulus);
        assert_memory_equal(&x, &result, sizeof x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_and_limbs),      cmocka_unit_test(products),
        cmocka_unit_test(remainders),           cmocka_unit_test(montgomery),
        cmocka_unit_test(the_last_subtraction), cmocka_unit_test(powers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
