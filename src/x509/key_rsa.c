/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/key_impl.h"

#include "base/arena.h"
#include "x509/limbs.h"

_Static_assert(FACTOR_BITS_MAX == RSA_BITS_MAX / 2 + 32, "a factor fits");

/*
 * The equations of RFC 8017 section 3.2, computed exactly. Given p, q and e, each leaves one value
 * for n, dp, dq and qinv, and d one class modulo lcm(p - 1, q - 1): a single damaged value breaks
 * at least one. That p and q are prime is not shown here; a key for which they are not makes
 * signatures that key_sign() refuses.
 */
enum { COUNT = 2 * LIMBS_MAX };

struct work {
    struct modulus modulus;
    limb a[COUNT], b[COUNT], product[COUNT], rest[COUNT];
};

/* value * of = 1 and value = whole, modulo factor - less: so value is below it too. */
static const struct equation {
    enum rsa_member factor;
    limb less;
    enum rsa_member value, of, whole;
    const char *wrong;
} equations[] = {
    {RSA_P, 1, RSA_DP, RSA_E, RSA_D, "e, d and dp do not belong together"},
    {RSA_Q, 1, RSA_DQ, RSA_E, RSA_D, "e, d and dq do not belong together"},
    {RSA_P, 0, RSA_QINV, RSA_Q, RSA_QINV, "qinv is not the inverse of q modulo p"},
};

unsigned key_bits(struct bytes number)
{
    unsigned bits = (unsigned)number.len * 8, top = number.len > 0 ? number.data[0] : 0;

    while (bits > 0 && !(top & 0x80)) {
        top <<= 1;
        bits--;
    }
    return bits;
}

static bool equal(const limb *a, const limb *b)
{
    limb difference = 0;
    size_t i;

    for (i = 0; i < COUNT; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}

static bool modulus_fits(struct work *work, const struct bytes values[RSA_MEMBERS])
{
    limbs_load(work->a, COUNT, values[RSA_P]);
    limbs_load(work->b, COUNT, values[RSA_Q]);
    limbs_multiply(work->product, work->a, LIMBS_MAX, work->b, LIMBS_MAX);
    limbs_load(work->a, COUNT, values[RSA_N]);
    return (work->a[0] & 1) && equal(work->a, work->product);
}

/* Whether number is expected, modulo the modulus. */
static bool leaves(struct work *work, const limb *number, const limb *expected)
{
    memset(work->rest, 0, sizeof work->rest);
    modulus_reduce(work->rest, number, COUNT, &work->modulus);
    return equal(work->rest, expected);
}

static bool equation_holds(struct work *work, const struct bytes values[RSA_MEMBERS],
                           const struct equation *equation)
{
    static const limb one[COUNT] = {1};

    modulus_load(&work->modulus, values[equation->factor], key_bits(values[equation->factor]));
    work->modulus.limbs[0] ^= equation->less; /* the factors of an odd modulus are odd */
    limbs_load(work->a, COUNT, values[equation->value]);
    limbs_load(work->b, COUNT, values[equation->of]);
    limbs_multiply(work->product, work->a, LIMBS_MAX, work->b, LIMBS_MAX);
    limbs_load(work->b, COUNT, values[equation->whole]);
    return leaves(work, work->product, one) && leaves(work, work->b, work->a);
}

const char *key_rsa_check(const struct bytes values[RSA_MEMBERS])
{
    unsigned bits = key_bits(values[RSA_N]), factor_max = bits / 2 + 32;
    const char *wrong = NULL;
    struct work work;
    size_t i;

    for (i = RSA_P; i < RSA_MEMBERS; i++)
        if (key_bits(values[i]) > factor_max)
            return "a factor, or a value modulo one, is too long";
    if (key_bits(values[RSA_D]) > bits)
        return "d is longer than n";
    if (!modulus_fits(&work, values))
        wrong = "n is not the product of p and q";
    for (i = 0; !wrong && i < sizeof equations / sizeof *equations; i++)
        if (!equation_holds(&work, values, &equations[i]))
            wrong = equations[i].wrong;
    wipe(&work, sizeof work);
    return wrong;
}
