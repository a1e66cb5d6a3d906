/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/key.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "x509/cert.h"
#include "x509/key_impl.h"
#include "x509/pem.h"

void key_free(struct key *key)
{
    arena_free(key);
}

enum key_type key_type(const struct key *key)
{
    return key->type;
}

int key_curve(const struct key *key)
{
    return key->type == KEY_EC ? key->ec.curve : 0;
}

void key_text(const struct key *key, char out[16])
{
    (void)snprintf(out, 16, key->type == KEY_RSA ? "RSA %u" : "EC P-%u", key->bits);
}

/* PrivateKeyInfo around RSAPrivateKey, whose length takes two bytes for all sizes that we take. */
static int encode_rsa(const struct key *key, struct buf *out)
{
    uint8_t header[] = {0x30, 0x82, 0,    0,    0x02, 0x01, 0x00, 0x30, 0x0D,
                        0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01,
                        0x01, 0x01, 0x05, 0x00, 0x04, 0x82, 0,    0};
    size_t whole = sizeof header - 4 + key->len;

    header[2] = (uint8_t)(whole >> 8);
    header[3] = (uint8_t)whole;
    header[24] = (uint8_t)(key->len >> 8);
    header[25] = (uint8_t)key->len;
    if (buf_append(out, header, sizeof header) < 0)
        return -1;
    return buf_append(out, key->values, key->len);
}

/* All lengths are the curve's: what stands before the scalar, and between it and the point. */
static int encode_ec(const struct key *key, struct buf *out)
{
    static const uint8_t p256[] = {0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06,
                                   0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06,
                                   0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07,
                                   0x04, 0x6D, 0x30, 0x6B, 0x02, 0x01, 0x01, 0x04, 0x20};
    static const uint8_t p256_point[] = {0xA1, 0x44, 0x03, 0x42, 0x00};
    static const uint8_t p384[] = {0x30, 0x81, 0xB6, 0x02, 0x01, 0x00, 0x30, 0x10, 0x06,
                                   0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06,
                                   0x05, 0x2B, 0x81, 0x04, 0x00, 0x22, 0x04, 0x81, 0x9E,
                                   0x30, 0x81, 0x9B, 0x02, 0x01, 0x01, 0x04, 0x30};
    static const uint8_t p384_point[] = {0xA1, 0x64, 0x03, 0x62, 0x00};
    bool is_p256 = key->ec.curve == BR_EC_secp256r1;

    if (buf_append(out, is_p256 ? p256 : p384, is_p256 ? sizeof p256 : sizeof p384) < 0 ||
        buf_append(out, key->ec.x, key->ec.xlen) < 0 ||
        buf_append(out, is_p256 ? p256_point : p384_point, sizeof p256_point) < 0)
        return -1;
    return buf_append(out, key->ec_public.q, key->ec_public.qlen);
}

int key_encode(const struct key *key, struct buf *out)
{
    return key->type == KEY_RSA ? encode_rsa(key, out) : encode_ec(key, out);
}

static struct bytes without_zeros(struct bytes number)
{
    while (number.len > 0 && number.data[0] == 0)
        number = bytes_of(number.data + 1, number.len - 1);
    return number;
}

bool key_matches(const struct key *key, const struct cert *cert)
{
    const br_rsa_public_key *rsa = &cert->key.key.rsa;
    const br_ec_public_key *ec = &cert->key.key.ec;

    if (key->type == KEY_RSA)
        return cert->key.key_type == BR_KEYTYPE_RSA &&
               bytes_equal(without_zeros(bytes_of(rsa->n, rsa->nlen)),
                           bytes_of(key->rsa_public.n, key->rsa_public.nlen)) &&
               bytes_equal(without_zeros(bytes_of(rsa->e, rsa->elen)),
                           bytes_of(key->rsa_public.e, key->rsa_public.elen));
    return cert->key.key_type == BR_KEYTYPE_EC && ec->curve == key->ec.curve &&
           bytes_equal(bytes_of(ec->q, ec->qlen), bytes_of(key->ec_public.q, key->ec_public.qlen));
}

/* What a block says of itself, before its DER is looked at: 0, or -1 with err. */
static int check_block(const struct pem_block *block, const char *subject, struct err *err)
{
    if (block->encrypted || strcmp(block->label, "ENCRYPTED PRIVATE KEY") == 0)
        return err_set(err, ERR_KEY_ENCRYPTED, subject, "%s is under a password",
                       pem_label_name(block));
    if (strcmp(block->label, "DSA PRIVATE KEY") == 0)
        return err_set(err, ERR_KEY_UNSUPPORTED, subject, "the key's kind is DSA");
    if (strcmp(block->label, "OPENSSH PRIVATE KEY") == 0)
        return err_set(err, CAUSE_KEY_OPENSSH, subject, "the key is in OpenSSH's own format");
    return 0;
}

/* Decodes the one private key in pem. */
static int read_block(struct bytes pem, struct buf *der, const char *subject, struct err *err)
{
    struct pem_reader reader = {pem};
    struct pem_block block, other = {0};
    enum pem_found found;
    size_t len = 0;

    while ((found = pem_next(&reader, &block, der)) > 0) {
        if (!pem_is_private_key(&block)) {
            other = block;
            der->len = len;
            continue;
        }
        if (len > 0)
            return err_set(err, CAUSE_KEYS_SEVERAL, subject, "it holds more than one private key");
        if (check_block(&block, subject, err) < 0)
            return -1;
        len = der->len;
    }
    if (found < 0)
        return pem_fail(found, &block, subject, err);
    if (len == 0)
        return pem_lacks("PRIVATE KEY", &other, pem, subject, err);
    return 0;
}

struct key *key_read(struct bytes pem, const char *subject, struct err *err)
{
    struct buf der = {.tag = ARENA_KEY};
    struct key *key = NULL;

    if (read_block(pem, &der, subject, err) == 0)
        key = key_new(buf_bytes(&der), subject, err);
    buf_free(&der);
    return key;
}
