/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/key_impl.h"

#include "base/arena.h"

/*
 * The equations of RFC 8017 section 3.2, computed exactly. Given p, q and e, each leaves one value
 * for n, dp, dq and qinv, and d one class modulo lcm(p - 1, q - 1): a single damaged value breaks
 * at least one. That p and q are prime is not shown here; a key for which they are not makes
 * signatures that key_sign() refuses.
 */
enum {
    FACTOR_BITS = RSA_BITS_MAX / 2 + 32, /* BearSSL's bound too */
    FACTOR_LIMBS = FACTOR_BITS / 32 + 1, /* one more bit: twice a remainder */
    LIMBS = 2 * FACTOR_LIMBS
};

struct number {
    uint32_t limb[LIMBS]; /* the least first */
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

static void load(struct number *number, struct bytes value)
{
    size_t i;

    memset(number, 0, sizeof *number);
    for (i = 0; i < value.len; i++)
        number->limb[i / 4] |= (uint32_t)value.data[value.len - 1 - i] << (8 * (i % 4));
}

static void multiply(struct number *product, const struct number *a, const struct number *b)
{
    uint64_t sum;
    size_t i, j;

    memset(product, 0, sizeof *product);
    for (i = 0; i < LIMBS; i++)
        for (sum = 0, j = 0; i + j < LIMBS; j++, sum >>= 32) {
            sum += (uint64_t)a->limb[i] * b->limb[j] + product->limb[i + j];
            product->limb[i + j] = (uint32_t)sum;
        }
}

/* number modulo modulus (of at most FACTOR_BITS), bit by bit. */
static void reduce(struct number *number, const struct number *modulus)
{
    uint32_t rest[FACTOR_LIMBS] = {0}, less[FACTOR_LIMBS], carry, next, keep;
    uint64_t difference;
    size_t bit, i;

    for (bit = sizeof number->limb * 8; bit-- > 0;) {
        carry = number->limb[bit / 32] >> (bit % 32) & 1;
        for (i = 0; i < FACTOR_LIMBS; i++, carry = next) {
            next = rest[i] >> 31;
            rest[i] = rest[i] << 1 | carry;
        }
        for (difference = 0, i = 0; i < FACTOR_LIMBS; i++) {
            difference = (uint64_t)rest[i] - modulus->limb[i] - (difference >> 63);
            less[i] = (uint32_t)difference;
        }
        keep = (uint32_t)0 - (uint32_t)(difference >> 63);
        for (i = 0; i < FACTOR_LIMBS; i++)
            rest[i] = (rest[i] & keep) | (less[i] & ~keep);
    }
    memset(number, 0, sizeof *number);
    memcpy(number->limb, rest, sizeof rest);
    wipe(rest, sizeof rest);
    wipe(less, sizeof less);
}

static bool equal(const struct number *a, const struct number *b)
{
    uint32_t difference = 0;
    size_t i;

    for (i = 0; i < LIMBS; i++)
        difference |= a->limb[i] ^ b->limb[i];
    return difference == 0;
}

/* Whether product is 1 modulo modulus. */
static bool is_inverse(struct number *product, const struct number *modulus)
{
    static const struct number one = {{1}};

    reduce(product, modulus);
    return equal(product, &one);
}

struct work {
    struct number a, b, c, modulus;
};

static bool modulus_fits(struct work *work, const struct bytes values[RSA_MEMBERS])
{
    load(&work->a, values[RSA_P]);
    load(&work->b, values[RSA_Q]);
    multiply(&work->c, &work->a, &work->b);
    load(&work->a, values[RSA_N]);
    return (work->a.limb[0] & 1) && equal(&work->a, &work->c);
}

/* e exponent = 1 and d = exponent, modulo factor - 1: so exponent is below it too. */
static bool exponent_fits(struct work *work, const struct bytes values[RSA_MEMBERS],
                          enum rsa_member factor, enum rsa_member exponent)
{
    load(&work->modulus, values[factor]);
    work->modulus.limb[0] ^= 1; /* the factors of an odd modulus are odd */
    load(&work->a, values[exponent]);
    load(&work->b, values[RSA_E]);
    multiply(&work->c, &work->a, &work->b);
    load(&work->b, values[RSA_D]);
    reduce(&work->b, &work->modulus);
    return is_inverse(&work->c, &work->modulus) && equal(&work->a, &work->b);
}

static bool coefficient_fits(struct work *work, const struct bytes values[RSA_MEMBERS])
{
    load(&work->modulus, values[RSA_P]);
    load(&work->a, values[RSA_QINV]);
    load(&work->b, values[RSA_Q]);
    multiply(&work->c, &work->a, &work->b);
    work->b = work->a;
    reduce(&work->b, &work->modulus);
    return is_inverse(&work->c, &work->modulus) && equal(&work->a, &work->b);
}

const char *key_rsa_check(const struct bytes values[RSA_MEMBERS])
{
    unsigned bits = key_bits(values[RSA_N]), factor_max = bits / 2 + 32;
    const char *wrong = NULL;
    struct work work;
    int i;

    for (i = RSA_P; i < RSA_MEMBERS; i++)
        if (key_bits(values[i]) > factor_max)
            return "a factor, or a value modulo one, is too long";
    if (key_bits(values[RSA_D]) > bits)
        return "d is longer than n";
    if (!modulus_fits(&work, values))
        wrong = "n is not the product of p and q";
    else if (!exponent_fits(&work, values, RSA_P, RSA_DP))
        wrong = "e, d and dp do not belong together";
    else if (!exponent_fits(&work, values, RSA_Q, RSA_DQ))
        wrong = "e, d and dq do not belong together";
    else if (!coefficient_fits(&work, values))
        wrong = "qinv is not the inverse of q modulo p";
    wipe(&work, sizeof work);
    return wrong;
}
