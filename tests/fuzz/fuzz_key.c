/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys, PEM and DER: one that is accepted, written and read again is the same, and signs.
 */
#include "x509/key.h"

#include <bearssl.h>

#include "base/buf.h"
#include "fuzz.h"

static void check_signature(const struct key *key)
{
    static const uint8_t hash[br_sha256_SIZE] = {1, 2, 3};
    uint8_t signature[KEY_SIGNATURE_MAX];

    /* One by RSA takes too long here; the handshake makes them. */
    if (key_type(key) == KEY_EC)
        FUZZ_CHECK(key_sign(key, KEY_ECDSA_SHA256, bytes_of(hash, sizeof hash), signature) > 0);
}

static void check_key(const struct key *key)
{
    struct buf once = {.tag = ARENA_KEY}, twice = {.tag = ARENA_KEY};
    struct key *again = NULL;
    char text[16] = "";
    struct err err;

    key_text(key, text);
    FUZZ_CHECK(text[0] && memchr(text, '\0', sizeof text));
    FUZZ_CHECK((key_curve(key) != 0) == (key_type(key) == KEY_EC));
    if (key_encode(key, &once) == 0)
        again = key_new(buf_bytes(&once), "again", &err);
    FUZZ_CHECK(again || fuzz_starved());
    if (again && key_encode(again, &twice) == 0)
        FUZZ_CHECK(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    check_signature(key);
    key_free(again);
    buf_free(&once);
    buf_free(&twice);
}

static void check(struct key *key, const struct err *err)
{
    if (key)
        check_key(key);
    else
        fuzz_err_check(err);
    key_free(key);
}

void fuzz(struct bytes input)
{
    struct err err;

    fuzz_err_open(&err);
    check(key_new(input, "der", &err), &err);
    fuzz_err_open(&err);
    check(key_read(input, "pem", &err), &err);
}
