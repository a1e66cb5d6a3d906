/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA's private operation, in the objects that ship, against two others: BearSSL's with limbs of 31
 * bits, and OpenSSL's numbers.
 *
 *     prove CASES [SEED]
 *
 * Each case is another key and another number. What makes a key RSA's is of no account here: all
 * three compute the same for any odd factors, which cost nothing to make. Most are small, so that
 * there can be many; carries do not know how long a number is.
 */
#include <openssl/bn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/random_numbers.h"
#include "base/arena.h"
#include "x509/limbs.h"
#include "x509/rsa_private.h"

enum { FACTOR_MAX = (FACTOR_BITS_MAX + 7) / 8, MODULUS_MAX = 2 * FACTOR_MAX };

/* The arena's, which is more than these objects need. */
void wipe(void *memory, size_t len)
{
    memset(memory, 0, len);
    __asm__ volatile("" : : "r"(memory) : "memory");
}

static uint64_t seed = 1;

static uint64_t next_random(void)
{
    return random_after(&seed);
}

/* Random; or of limbs that are all zeros, all ones, or one off that, so that carries run far. */
static void fill(unsigned char *out, size_t len)
{
    bool random = next_random() % 3 > 0;
    uint64_t limb = 0;
    size_t i;

    for (i = 0; i < len; i++) {
        if (i % 8 == 0)
            switch (random ? 9 : next_random() % 8) {
            case 0:
            case 1: limb = 0; break;
            case 2:
            case 3:
            case 4: limb = UINT64_MAX; break;
            case 5: limb = 1; break;
            case 6: limb = UINT64_MAX - 1; break;
            case 7: limb = (uint64_t)1 << 63; break;
            default: limb = next_random();
            }
        out[len - 1 - i] = (unsigned char)(limb >> (8 * (i % 8)));
    }
}

static unsigned char p[FACTOR_MAX], q[FACTOR_MAX], dp[FACTOR_MAX], dq[FACTOR_MAX], iq[FACTOR_MAX];
static br_rsa_private_key key = {.p = p, .q = q, .dp = dp, .dq = dq, .iq = iq};

/* OpenSSL's. */
static struct {
    BN_CTX *context;
    BIGNUM *p, *q, *n, *d, *at_p, *at_q, *x, *iq;
} bn;

static size_t make_factor(unsigned char *factor, unsigned bits)
{
    size_t len = (bits + 7) / 8;

    fill(factor, len);
    factor[0] = (unsigned char)((factor[0] | 0x80) >> (8 * len - bits));
    factor[len - 1] |= 1;
    return len;
}

static void make_key(void)
{
    unsigned kind = next_random() % 20000, bits, other;

    bits = kind == 0     ? 2048
           : kind < 3    ? 1536
           : kind < 10   ? 1024
           : kind < 60   ? 512 + (unsigned)(next_random() % 512)
           : kind < 2000 ? 128 + (unsigned)(next_random() % 385)
                         : 64 + (unsigned)(next_random() % 66);
    other = kind % 3 ? bits : bits - bits / 64 + (unsigned)(next_random() % (bits / 32));
    key.plen = make_factor(p, bits);
    key.qlen = make_factor(q, other);
    fill(dp, key.dplen = key.plen - next_random() % 2);
    fill(dq, key.dqlen = key.qlen - next_random() % 2);
    fill(iq, key.iqlen = key.plen);
    BN_bin2bn(p, (int)key.plen, bn.p);
    BN_bin2bn(q, (int)key.qlen, bn.q);
    BN_mul(bn.n, bn.p, bn.q, bn.context);
    key.n_bitlen = (uint32_t)BN_num_bits(bn.n);
}

/* Anything; or beside zero, the modulus, or a multiple of a factor. */
static void make_number(unsigned char *x, size_t len)
{
    fill(x, len);
    BN_bin2bn(x, (int)len, bn.x);
    switch (next_random() % 12) {
    case 0: BN_sub(bn.x, bn.n, BN_value_one()); break;
    case 1: BN_copy(bn.x, bn.n); break;
    case 2: BN_set_word(bn.x, next_random() % 3); break;
    case 3: BN_mul(bn.x, bn.x, bn.p, bn.context); break;
    case 4: BN_mul(bn.x, bn.x, bn.q, bn.context); break;
    default: return;
    }
    if (BN_cmp(bn.x, bn.n) > 0)
        BN_mod(bn.x, bn.x, bn.n, bn.context);
    BN_bn2binpad(bn.x, x, (int)len);
}

/* RFC 8017 section 5.1.2. False where x is not below the modulus. */
static bool openssl(unsigned char *x, size_t len)
{
    BN_bin2bn(x, (int)len, bn.x);
    if (BN_cmp(bn.x, bn.n) >= 0)
        return false;
    BN_bin2bn(dp, (int)key.dplen, bn.d);
    BN_mod_exp(bn.at_p, bn.x, bn.d, bn.p, bn.context);
    BN_bin2bn(dq, (int)key.dqlen, bn.d);
    BN_mod_exp(bn.at_q, bn.x, bn.d, bn.q, bn.context);
    BN_bin2bn(iq, (int)key.iqlen, bn.iq);
    BN_mod_sub(bn.x, bn.at_p, bn.at_q, bn.p, bn.context);
    BN_mod_mul(bn.x, bn.x, bn.iq, bn.p, bn.context);
    BN_mul(bn.x, bn.x, bn.q, bn.context);
    BN_add(bn.x, bn.x, bn.at_q);
    return BN_bn2binpad(bn.x, x, (int)len) >= 0;
}

static void show(const char *name, const unsigned char *data, size_t len)
{
    printf("%s ", name);
    while (len-- > 0)
        printf("%02x", *data++);
    printf("\n");
}

static bool agree(void)
{
    unsigned char x[MODULUS_MAX], ours[MODULUS_MAX], theirs[MODULUS_MAX], third[MODULUS_MAX];
    size_t len = (key.n_bitlen + 7) / 8;
    uint32_t good;

    make_number(x, len);
    memcpy(ours, x, len);
    memcpy(theirs, x, len);
    memcpy(third, x, len);
    good = rsa_private(ours, &key);
    if (good == br_rsa_i31_private(theirs, &key) && good == openssl(third, len) &&
        (!good || (memcmp(ours, theirs, len) == 0 && memcmp(ours, third, len) == 0)))
        return true;
    show("p", p, key.plen);
    show("q", q, key.qlen);
    show("dp", dp, key.dplen);
    show("dq", dq, key.dqlen);
    show("iq", iq, key.iqlen);
    show("x", x, len);
    return false;
}

int main(int argc, char **argv)
{
    unsigned long cases = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, i, bad = 0;

    seed += argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    bn.context = BN_CTX_new();
    bn.p = BN_new(), bn.q = BN_new(), bn.n = BN_new(), bn.d = BN_new();
    bn.at_p = BN_new(), bn.at_q = BN_new(), bn.x = BN_new(), bn.iq = BN_new();
    for (i = 0; i < cases && bad < 10; i++) {
        make_key();
        bad += !agree();
    }
    printf("%lu passed, %lu failed\n", i - bad, bad);
    return bad > 0 || i == 0;
}
