/* SPDX-License-Identifier: Apache-2.0 */
/* RSA's private operation against BearSSL's, which has limbs of 31 bits and nothing of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "random_numbers.h"
#include "x509/limbs.h"
#include "x509/rsa_private.h"

enum { FACTOR_MAX = (FACTOR_BITS_MAX + 7) / 8, MODULUS_MAX = 2 * FACTOR_MAX };

static uint64_t next_random(void)
{
    static uint64_t seed = 0xD1B54A32D192ED03;

    return random_after(&seed);
}

/* Random bytes; or nothing but zeros or ones, so that carries run far. */
static void fill(unsigned char *out, size_t len)
{
    unsigned kind = next_random() % 8;
    size_t i;

    for (i = 0; i < len; i++)
        out[i] = (unsigned char)(kind == 0   ? 0
                                 : kind == 1 ? 0xFF
                                 : kind == 2 ? next_random() % 2 * 0xFF
                                             : next_random());
}

/* Equations for primes are not needed: both compute the same for any odd factors. */
static struct {
    unsigned char p[FACTOR_MAX], q[FACTOR_MAX], dp[FACTOR_MAX], dq[FACTOR_MAX], iq[FACTOR_MAX];
    unsigned char n[MODULUS_MAX];
    br_rsa_private_key key;
} made;

/* A factor of so many bits. */
static size_t make_factor(unsigned char *factor, unsigned bits)
{
    size_t len = (bits + 7) / 8;

    fill(factor, len);
    factor[0] = (unsigned char)((factor[0] | 0x80) >> (8 * len - bits));
    factor[len - 1] |= 1;
    return len;
}

static void make_key(unsigned p_bits, unsigned q_bits)
{
    limb p[LIMBS_MAX], q[LIMBS_MAX], n[2 * LIMBS_MAX];
    br_rsa_private_key *key = &made.key;
    unsigned bits = p_bits + q_bits;

    key->p = made.p, key->q = made.q, key->dp = made.dp, key->dq = made.dq, key->iq = made.iq;
    key->plen = make_factor(made.p, p_bits);
    key->qlen = make_factor(made.q, q_bits);
    fill(made.dp, key->dplen = key->plen - next_random() % 2);
    fill(made.dq, key->dqlen = key->qlen - next_random() % 2);
    fill(made.iq, key->iqlen = key->plen);
    limbs_load(p, LIMBS_MAX, bytes_of(made.p, key->plen));
    limbs_load(q, LIMBS_MAX, bytes_of(made.q, key->qlen));
    limbs_multiply(n, p, LIMBS_MAX, q, LIMBS_MAX);
    bits -= !(n[(bits - 1) / 64] >> ((bits - 1) % 64) & 1);
    key->n_bitlen = bits;
    limbs_store(made.n, (bits + 7) / 8, n);
}

/* The same answer, and the same result where there is one. */
static uint32_t both(const unsigned char *x)
{
    unsigned char ours[MODULUS_MAX], theirs[MODULUS_MAX];
    size_t len = (made.key.n_bitlen + 7) / 8;
    uint32_t good;

    memcpy(ours, x, len);
    memcpy(theirs, x, len);
    good = rsa_private(ours, &made.key);
    assert_int_equal(good, br_rsa_i31_private(theirs, &made.key));
    if (good)
        assert_memory_equal(ours, theirs, len);
    return good;
}

static void like_bearssl(void **state)
{
    static const struct {
        unsigned p_bits, q_bits;
        int cases;
    } sizes[] = {
        {64, 64, 200},   {65, 65, 200},   {127, 128, 200}, {128, 127, 200}, {100, 200, 100},
        {200, 100, 100}, {192, 192, 100}, {255, 257, 100}, {256, 256, 100}, {512, 512, 20},
        {511, 513, 20},  {768, 768, 10},  {1024, 1024, 8}, {1056, 992, 4},  {992, 1056, 4},
        {1025, 1023, 4}, {1536, 1536, 2}, {2048, 2048, 1}, {2080, 2016, 1}, {2016, 2080, 1},
    };
    unsigned char x[MODULUS_MAX];
    size_t i, good = 0, all = 0;
    int k;

    (void)state;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (k = 0; k < sizes[i].cases; k++) {
            make_key(sizes[i].p_bits, sizes[i].q_bits);
            fill(x, sizeof x);
            x[0] = (unsigned char)(x[0] >> next_random() % 8);
            good += both(x);
            all++;
        }
    assert_true(good > all / 4 && good < all);
}

/* 0, 1, n - 1, n, n + 1, the factors and what is beside them. */
static void at_the_edges(void **state)
{
    static const struct {
        unsigned p_bits, q_bits;
    } sizes[] = {{128, 128}, {130, 126}, {512, 512}, {1024, 1024}};
    unsigned char x[MODULUS_MAX];
    size_t i, len;
    int k, by;

    (void)state;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_key(sizes[i].p_bits, sizes[i].q_bits);
        len = (made.key.n_bitlen + 7) / 8;
        for (k = 0; k < 4; k++)
            for (by = -1; by <= 1; by++) {
                size_t at = len;
                int carry = by;

                memset(x, 0, sizeof x);
                if (k == 1)
                    memcpy(x, made.n, len);
                else if (k == 2)
                    memcpy(x + len - made.key.plen, made.p, made.key.plen);
                else if (k == 3)
                    memcpy(x + len - made.key.qlen, made.q, made.key.qlen);
                for (; at-- > 0 && carry; carry >>= 8) {
                    carry += x[at];
                    x[at] = (unsigned char)carry;
                }
                assert_int_equal(both(x), k == 0 ? by >= 0 : k == 1 ? by < 0 : 1);
            }
    }
}

/* What is out of bounds is refused before anything is computed with it. */
static void out_of_bounds(void **state)
{
    static unsigned char x[2 * MODULUS_MAX];
    br_rsa_private_key good;

    (void)state;
    make_key(128, 128);
    good = made.key;
    assert_int_equal(rsa_private(x, &good), 1);
#define REFUSED(member, value)                                                                     \
    do {                                                                                           \
        made.key = good;                                                                           \
        made.key.member = value;                                                                   \
        assert_int_equal(rsa_private(x, &made.key), 0);                                            \
    } while (0)
    REFUSED(plen, 0);
    REFUSED(qlen, 0);
    REFUSED(plen, FACTOR_MAX + 1);
    REFUSED(qlen, FACTOR_MAX + 1);
    REFUSED(n_bitlen, good.n_bitlen - 2);
    REFUSED(n_bitlen, good.n_bitlen + 2);
    REFUSED(n_bitlen, 0);
    REFUSED(dplen, good.plen + 1);
    REFUSED(dqlen, good.qlen + 1);
    REFUSED(iqlen, good.plen + 1);
    made.key = good;
    made.p[15] &= 0xFE;
    assert_int_equal(rsa_private(x, &made.key), 0);
    made.p[15] |= 1;
    made.q[15] &= 0xFE;
    assert_int_equal(rsa_private(x, &made.key), 0);
    made.q[15] |= 1;
    made.p[0] = 0;
    assert_int_equal(rsa_private(x, &made.key), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_bearssl),
        cmocka_unit_test(at_the_edges),
        cmocka_unit_test(out_of_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
