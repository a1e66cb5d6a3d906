/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA's arithmetic with limbs of 8 bits, so that there are few enough numbers to try them all
 * against plain integers: every carry that limbs of 64 bits can have, these have too. PROOF in the
 * environment tries more of what cannot be tried whole in a moment: `make prove-rsa`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define LIMB_BITS           8
#define limbs_load          limbs_load_8
#define limbs_store         limbs_store_8
#define limbs_multiply      limbs_multiply_8
#define limbs_add           limbs_add_8
#define limbs_subtract      limbs_subtract_8
#define modulus_load        modulus_load_8
#define modulus_reduce      modulus_reduce_8
#define montgomery_multiply montgomery_multiply_8
#define montgomery_power    montgomery_power_8
#define rsa_private         rsa_private_8
#include "x509/limbs.c"
#include "x509/rsa_private.c"

static unsigned long tried;

static bool proving(void)
{
    return getenv("PROOF") != NULL;
}

static int begin(void **state)
{
    (void)state;
    tried = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    printf("%lu cases\n", tried);
    return 0;
}

/* ---- numbers of up to four limbs and plain integers */

static void put(limb *out, size_t count, uint64_t value)
{
    for (; count-- > 0; value >>= 8)
        *out++ = (limb)value;
}

static uint64_t get(const limb *number, size_t count)
{
    uint64_t value = 0;

    while (count-- > 0)
        value = value << 8 | number[count];
    return value;
}

static struct modulus modulus_of(uint32_t value)
{
    unsigned char bytes[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                              (unsigned char)(value >> 8), (unsigned char)value};
    struct modulus modulus;
    unsigned bits = 32;

    while (!(value >> (bits - 1) & 1))
        bits--;
    modulus_load(&modulus, bytes_of(bytes, sizeof bytes), bits);
    return modulus;
}

static uint32_t next_random(void)
{
    static uint64_t seed = 0x9E3779B97F4A7C15;

    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

/* Moduli of two limbs at which something turns, then random ones. */
static uint32_t sample(size_t number)
{
    static const uint32_t edges[] = {0xFFFF, 0x0101, 0x8001, 0x80FF, 0xFF01, 0x7FFF, 0x01FF,
                                     0x0103, 0xFFFD, 0xFEFF, 0x8101, 0x0FFF, 0x4001, 0x017F};

    if (number < sizeof edges / sizeof *edges)
        return edges[number];
    return 0x0101 + next_random() % (0x10000 - 0x0101);
}

/* ---- what carries */

/* In proof: of one limb with two, all; of two limbs with two, every fifth with every fifth. */
static uint32_t stride(uint32_t x, uint32_t otherwise)
{
    return !proving() ? otherwise : x < 0x100 ? 1 : 5;
}

static void sums_and_differences(void **state)
{
    limb a[2], b[2];
    uint32_t x, y;

    (void)state;
    for (x = 0; x < 0x10000; x += stride(x, 131))
        for (y = 0; y < 0x10000; y += stride(x, 131), tried += 2) {
            put(a, 2, x);
            put(b, 2, y);
            if (limbs_add(a, b, 2, 0xFF) != (x + y) >> 16 || get(a, 2) != ((x + y) & 0xFFFF))
                fail_msg("%u + %u", x, y);
            put(a, 2, x);
            if (limbs_subtract(a, b, 2, 0xFF) != (x < y) || get(a, 2) != ((x - y) & 0xFFFF))
                fail_msg("%u - %u", x, y);
            if (limbs_add(a, b, 2, 0) || limbs_subtract(a, b, 2, 0) ||
                get(a, 2) != ((x - y) & 0xFFFF))
                fail_msg("%u and %u, masked", x, y);
        }
}

static void products(void **state)
{
    limb a[2], b[2], product[4];
    uint32_t x, y;

    (void)state;
    for (x = 0; x < 0x10000; x += stride(x, 97))
        for (y = 0; y < 0x10000; y += stride(x, 97), tried++) {
            put(a, 2, x);
            put(b, 2, y);
            limbs_multiply(product, a, 2, b, 2);
            if (get(product, 4) != (uint64_t)x * y)
                fail_msg("%u * %u", x, y);
            limbs_multiply(product, a, 1, b, 2);
            if (get(product, 3) != (uint64_t)(x & 0xFF) * y)
                fail_msg("%u * %u", x & 0xFF, y);
            limbs_multiply(product, a, 2, b, 1);
            if (get(product, 3) != (uint64_t)x * (y & 0xFF))
                fail_msg("%u * %u", x, y & 0xFF);
        }
}

/* ---- remainders */

static void check_remainder(uint32_t value, size_t count, struct modulus *modulus, uint32_t m)
{
    limb number[4], rest[4];

    tried++;
    put(number, count, value);
    modulus_reduce(rest, number, count, modulus);
    if (get(rest, modulus->count) != value % m)
        fail_msg("%u modulo %u is not %u", value, m, (unsigned)get(rest, modulus->count));
}

/* Modulo each number of one limb, even ones too. */
static void remainders_of_one_limb(void **state)
{
    uint32_t m, value;

    (void)state;
    for (m = 1; m < 0x100; m++) {
        struct modulus modulus = modulus_of(m);

        for (value = 0; value < 0x10000; value += proving() ? 1 : 19)
            check_remainder(value, 2, &modulus, m);
    }
}

/* All numbers of three limbs for a few moduli; and beside multiples of many. */
static void remainders_of_two_limbs(void **state)
{
    size_t i, all = proving() ? 24 : 0;
    uint32_t value, m, k;

    (void)state;
    for (i = 0; i < all; i++) {
        struct modulus modulus = modulus_of(m = sample(i));

        for (value = 0; value < 0x1000000; value++)
            check_remainder(value, 3, &modulus, m);
    }
    for (m = 0x100; m < 0x10000; m += proving() ? 1 : 29) {
        struct modulus modulus = modulus_of(m);

        for (i = 0; i < 24; i++) {
            k = i < 8 ? (uint32_t)i : i < 16 ? 0xFFFFFF / m - ((uint32_t)i - 8) : next_random();
            value = k % (0xFFFFFF / m + 1) * m;
            check_remainder(value, 3, &modulus, m);
            check_remainder(value == 0 ? 0xFFFFFF : value - 1, 3, &modulus, m);
            check_remainder(value | 0xFF, 3, &modulus, m);
        }
    }
}

/* ---- Montgomery's multiplication */

static unsigned long subtracted, kept;

/* out R = a b: what was added to a b is a multiple of m, below R m. */
static void check_product(uint32_t x, uint32_t y, struct modulus *modulus, uint32_t m)
{
    size_t n = modulus->count;
    uint64_t r = (uint64_t)1 << (8 * n), found;
    limb a[4], b[4], out[4];

    tried++;
    put(a, n, x);
    put(b, n, y);
    montgomery_multiply(out, a, b, modulus);
    found = get(out, n);
    if (found >= m || found * r % m != (uint64_t)x * y % m)
        fail_msg("%u * %u / R modulo %u is not %u", x, y, m, (unsigned)found);
    if (found * r >= (uint64_t)x * y)
        kept++;
    else
        subtracted++;
    if (x == y) {
        montgomery_multiply(a, a, a, modulus);
        if (get(a, n) != found)
            fail_msg("%u^2 / R modulo %u is not %u", x, m, (unsigned)get(a, n));
    }
}

static void products_of_one_limb(void **state)
{
    uint32_t m, x, y;

    (void)state;
    subtracted = kept = 0;
    for (m = 3; m < 0x100; m += 2) {
        struct modulus modulus = modulus_of(m);

        for (x = 0; x < m; x++)
            for (y = 0; y < m; y++)
                check_product(x, y, &modulus, m);
    }
    assert_true(subtracted > 100000 && kept > 100000);
}

/* All pairs for small moduli, else all numbers with some; all squares. */
static void products_of_two_limbs(void **state)
{
    size_t i, moduli = proving() ? 400 : 40, whole = proving() ? 8 : 2;
    uint32_t m, x, y;

    (void)state;
    subtracted = kept = 0;
    for (i = 0; i < moduli; i++) {
        struct modulus modulus = modulus_of(m = sample(i) | 1);
        uint32_t step = i < whole && (proving() || m < 0x200) ? 1 : 1 + m / (proving() ? 64 : 8);

        for (x = 0; x < m; x += proving() ? 1 : 1 + m / 2048) {
            for (y = 0; y < m; y += step)
                check_product(x, y, &modulus, m);
            check_product(x, m - 1, &modulus, m);
            check_product(x, x, &modulus, m);
        }
    }
    assert_true(subtracted > 1000 && kept > 1000);
}

/* Three limbs: squares of all, in proof; the sums of a column carry into the third limb. */
static void products_of_three_limbs(void **state)
{
    static const uint32_t moduli[] = {0xFFFFFF, 0xFFFF01, 0x800001, 0x10001, 0xFF00FF, 0x7FFFFF};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof moduli / sizeof *moduli; i++) {
        struct modulus modulus = modulus_of(moduli[i]);
        uint32_t x;

        for (x = 0; x < moduli[i]; x += proving() ? 1 : 257) {
            check_product(x, x, &modulus, moduli[i]);
            check_product(x, moduli[i] - 1 - x, &modulus, moduli[i]);
        }
    }
}

/* ---- powers, and the whole operation */

static uint32_t power(uint32_t x, uint32_t exponent, uint32_t m)
{
    uint64_t result = 1 % m, square = x % m;

    for (; exponent > 0; exponent >>= 1, square = square * square % m)
        if (exponent & 1)
            result = result * square % m;
    return (uint32_t)result;
}

static void powers(void **state)
{
    uint32_t m, x, exponent, step = proving() ? 1 : 31;

    (void)state;
    for (m = 3; m < 0x100; m += 2) {
        struct modulus modulus = modulus_of(m);

        for (x = 0; x < m; x += 1 + x % step)
            for (exponent = 0; exponent < 0x100; exponent += 1 + exponent % step, tried++) {
                limb number[1] = {(limb)(x * 0x100 % m)}, digits[1] = {(limb)exponent};

                montgomery_power(number, digits, &modulus);
                if (number[0] != power(x, exponent, m) * 0x100 % m)
                    fail_msg("%u^%u modulo %u", x, exponent, m);
            }
    }
}

/* RFC 8017 section 5.1.2 by plain integers; whatever the values are. */
static uint32_t plain(uint32_t x, const unsigned char values[5])
{
    uint32_t p = values[0], q = values[1];
    uint32_t at_p = power(x, values[2], p), at_q = power(x, values[3], q);

    return at_q + q * ((at_p + p - at_q % p) * values[4] % p);
}

static void the_operation(void **state)
{
    uint32_t x, turns = proving() ? 40 : 1;
    unsigned char values[5], block[2];
    unsigned p, q, bits;

    (void)state;
    for (p = 3; p < 0x100; p += 2)
        for (q = 3; q < 0x100; q += proving() ? 2 : 14) {
            for (bits = 16; !(p * q >> (bits - 1)); bits--)
                ;
            for (x = 0; x < 16 + turns * 8; x++, tried++) {
                br_rsa_private_key key = {bits, values,     1, values + 1, 1, values + 2,
                                          1,    values + 3, 1, values + 4, 1};
                uint32_t number = x < 8    ? x
                                  : x < 16 ? p * q + 4 - x % 8
                                           : next_random() % (1U << bits);
                size_t len = (bits + 7) / 8;

                values[0] = (unsigned char)p, values[1] = (unsigned char)q;
                values[2] = (unsigned char)next_random(), values[3] = (unsigned char)next_random();
                values[4] = (unsigned char)(next_random() % p);
                number &= (1U << (8 * len)) - 1;
                block[len - 1] = (unsigned char)number;
                if (len == 2)
                    block[0] = (unsigned char)(number >> 8);
                if (rsa_private(block, &key) != (number < p * q))
                    fail_msg("%u by %u * %u: taken or not", number, p, q);
                if (number < p * q &&
                    (len == 2 ? block[0] * 256U : 0) + block[len - 1] != plain(number, values))
                    fail_msg("%u by %u * %u", number, p, q);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sums_and_differences, begin, end),
        cmocka_unit_test_setup_teardown(products, begin, end),
        cmocka_unit_test_setup_teardown(remainders_of_one_limb, begin, end),
        cmocka_unit_test_setup_teardown(remainders_of_two_limbs, begin, end),
        cmocka_unit_test_setup_teardown(products_of_one_limb, begin, end),
        cmocka_unit_test_setup_teardown(products_of_two_limbs, begin, end),
        cmocka_unit_test_setup_teardown(products_of_three_limbs, begin, end),
        cmocka_unit_test_setup_teardown(powers, begin, end),
        cmocka_unit_test_setup_teardown(the_operation, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
