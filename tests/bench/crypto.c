/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operation takes of a processor, in ms: the fastest of many times, since whatever else the
 * machine does makes it slower. What is compared takes turns. BearSSL is built as for the program,
 * small: its private operation was a tenth faster when it was built for speed.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/err.h"
#include "x509/key_impl.h"
#include "x509/rsa_private.h"

enum { TURNS = 60, LONGEST = 4096 };

static struct subject {
    struct key *key;
    struct bytes der;
    unsigned char x[512], point[133], signature[200];
    size_t signature_len;
} subject;

static const unsigned char hash[32] = {7};

static void load(const char *name)
{
    static char text[2 * LONGEST];
    static unsigned char der[LONGEST];
    char path[256];
    struct err err;
    FILE *file;
    size_t len;

    (void)snprintf(path, sizeof path, "tests/unit/data/%s", name);
    file = fopen(path, "r");
    len = file ? fread(text, 1, sizeof text, file) : 0;
    if (file)
        (void)fclose(file);
    key_free(subject.key);
    subject.key = key_read(bytes_of(text, len), name, &err);
    if (!subject.key) {
        fprintf(stderr, "%s: no key\n", path);
        exit(1);
    }
    memcpy(der, subject.key->values, subject.key->len);
    subject.der = bytes_of(der, subject.key->len);
    memset(subject.x, 1, sizeof subject.x);
}

static void ours(void)
{
    (void)rsa_private(subject.x, &subject.key->rsa);
}

static void bearssl(void)
{
    (void)br_rsa_i62_private(subject.x, &subject.key->rsa);
}

static void bearssl_31(void)
{
    (void)br_rsa_i31_private(subject.x, &subject.key->rsa);
}

static void verify(void)
{
    (void)br_rsa_public_get_default()(subject.x, subject.key->rsa_public.nlen,
                                      &subject.key->rsa_public);
}

static void check(void)
{
    struct err err;

    key_free(key_new(subject.der, "it", &err));
}

static void ec_sign(void)
{
    subject.signature_len = br_ecdsa_sign_asn1_get_default()(
        br_ec_get_default(), &br_sha256_vtable, hash, &subject.key->ec, subject.signature);
}

static void ec_verify(void)
{
    (void)br_ecdsa_vrfy_asn1_get_default()(br_ec_get_default(), hash, sizeof hash,
                                           &subject.key->ec_public, subject.signature,
                                           subject.signature_len);
}

static void agree(int curve)
{
    static const unsigned char scalar[32] = {0x40, 7};
    const br_ec_impl *ec = br_ec_get_default();
    size_t len = ec->mulgen(subject.point, scalar, sizeof scalar, curve);

    (void)ec->mul(subject.point, len, scalar, sizeof scalar, curve);
}

static void x25519(void)
{
    agree(BR_EC_curve25519);
}

static void p256(void)
{
    agree(BR_EC_secp256r1);
}

/* In microseconds. The C library's printf has no floating point. */
static long once(void (*run)(void))
{
    struct timespec from, to;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    run();
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    return (to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000;
}

static void keep_less(long *least, long value)
{
    if (value < *least)
        *least = value;
}

static const struct row {
    const char *key, *name;
    void (*run)(void), (*other)(void); /* the ratio is of these two */
} rows[] = {
    {"rsa2048.key", "RSA-2048 private, ours and BearSSL's i62", ours, bearssl},
    {"rsa3072.key", "RSA-3072 private, ours and BearSSL's i62", ours, bearssl},
    {"client.key", "RSA-4096 private, ours and BearSSL's i62", ours, bearssl},
    {"client.key", "RSA-4096 private, ours and BearSSL's i31", ours, bearssl_31},
    {"rsa2048.key", "RSA-2048 public", verify, NULL},
    {"client.key", "RSA-4096 public", verify, NULL},
    {"rsa2048.key", "RSA-2048 key read and checked", check, NULL},
    {"client.key", "RSA-4096 key read and checked", check, NULL},
    {"p256.key", "P-256 signature", ec_sign, NULL},
    {"p256.key", "P-256 verification", ec_verify, NULL},
    {"p384.key", "P-384 signature", ec_sign, NULL},
    {"p384.key", "P-384 verification", ec_verify, NULL},
    {"p256.key", "key exchange, X25519 and P-256", x25519, p256},
};

int main(void)
{
    struct err err;
    size_t i;
    int turn;

    if (arena_open(&(struct arena_options){.lock_preferred = true}, &err) < 0) {
        fprintf(stderr, "%s\n", err.reason);
        return 1;
    }
    printf("%-44s %8s %8s %6s\n", "operation", "ms", "other", "ratio");
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        long best = LONG_MAX, other = LONG_MAX;

        load(rows[i].key);
        for (turn = 0; turn < TURNS; turn++) {
            keep_less(&best, once(rows[i].run));
            if (rows[i].other)
                keep_less(&other, once(rows[i].other));
        }
        printf("%-44s %4ld.%03ld", rows[i].name, best / 1000, best % 1000);
        if (rows[i].other)
            printf(" %4ld.%03ld %3ld.%02ld", other / 1000, other % 1000, best / other,
                   best * 100 / other % 100);
        printf("\n");
    }
    key_free(subject.key);
    return 0;
}
