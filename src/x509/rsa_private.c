/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/rsa_private.h"

#include <string.h>

#include "base/arena.h"
#include "x509/key_impl.h"
#include "x509/limbs.h"

/* A mask. */
static const limb ALL = (limb)-1;

struct work {
    struct modulus p, q;
    limb x[2 * LIMBS_MAX], product[2 * LIMBS_MAX], at_p[LIMBS_MAX], at_q[LIMBS_MAX];
};

/* number R modulo the modulus. */
static void to_montgomery(limb *out, const limb *number, size_t count, struct modulus *modulus)
{
    limb shifted[3 * LIMBS_MAX] = {0};

    memcpy(shifted + modulus->count, number, count * sizeof *number);
    modulus_reduce(out, shifted, modulus->count + count, modulus);
    wipe(shifted, sizeof shifted);
}

/* x to that power modulo one factor; x has the limbs of both. */
static void power_at(limb *out, struct work *work, struct bytes power, struct modulus *modulus)
{
    static const limb one[LIMBS_MAX] = {1};
    limb exponent[LIMBS_MAX];

    limbs_load(exponent, modulus->count, power);
    to_montgomery(out, work->x, work->p.count + work->q.count, modulus);
    montgomery_power(out, exponent, modulus);
    montgomery_multiply(out, out, one, modulus);
    wipe(exponent, sizeof exponent);
}

/* at_q + q ((at_p - at_q) / q modulo p), below p q (RFC 8017 section 5.1.2). */
static void combine(struct work *work, struct bytes coefficient)
{
    size_t n = work->p.count, all = n + work->q.count;
    limb other[LIMBS_MAX], borrow;

    modulus_reduce(other, work->at_q, work->q.count, &work->p);
    borrow = limbs_subtract(work->at_p, other, n, ALL);
    (void)limbs_add(work->at_p, work->p.limbs, n, (limb)(0 - borrow));
    limbs_load(other, n, coefficient);
    to_montgomery(other, other, n, &work->p);
    montgomery_multiply(other, other, work->at_p, &work->p);
    memset(work->x, 0, sizeof work->x);
    memcpy(work->x, work->at_q, work->q.count * sizeof *work->x);
    limbs_multiply(work->product, work->q.limbs, work->q.count, other, n);
    (void)limbs_add(work->x, work->product, all, ALL);
    wipe(other, sizeof other);
}

uint32_t rsa_private(unsigned char *x, const br_rsa_private_key *key)
{
    const struct bytes p = {key->p, key->plen}, q = {key->q, key->qlen};
    unsigned p_bits = key_bits(p), q_bits = key_bits(q);
    size_t len = (key->n_bitlen + 7) / 8, all;
    struct work work;
    limb good;

    if (p_bits - 1 >= FACTOR_BITS_MAX || q_bits - 1 >= FACTOR_BITS_MAX ||
        p_bits + q_bits - key->n_bitlen > 1 || key->dplen > key->plen || key->dqlen > key->qlen ||
        key->iqlen > key->plen)
        return 0;
    modulus_load(&work.p, p, p_bits);
    modulus_load(&work.q, q, q_bits);
    all = work.p.count + work.q.count;
    limbs_load(work.x, all, bytes_of(x, len));
    limbs_multiply(work.product, work.p.limbs, work.p.count, work.q.limbs, work.q.count);
    good = limbs_subtract(work.x, work.product, all, ALL);
    limbs_load(work.x, all, bytes_of(x, len));
    power_at(work.at_p, &work, (struct bytes){key->dp, key->dplen}, &work.p);
    power_at(work.at_q, &work, (struct bytes){key->dq, key->dqlen}, &work.q);
    combine(&work, (struct bytes){key->iq, key->iqlen});
    limbs_store(x, len, work.x);
    good &= work.p.limbs[0] & work.q.limbs[0];
    wipe(&work, sizeof work);
    return (uint32_t)good & 1;
}
