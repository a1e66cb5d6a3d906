/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/attest.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/err.h"
#include "x509/cert.h"
#include "x509/verify.h"

/* Root G1 of the commercial Regions, aws.nitro-enclaves, as AWS's user guide has it. */
static const uint8_t aws_root[HASH_SIZE] = {
    0x64, 0x1A, 0x03, 0x21, 0xA3, 0xE2, 0x44, 0xEF, 0xE4, 0x56, 0x46, 0x31, 0x95, 0xD6, 0x06, 0x31,
    0x7E, 0xD7, 0xCD, 0xCC, 0x3C, 0x17, 0x56, 0xE0, 0x98, 0x93, 0xF3, 0xC6, 0x8F, 0x79, 0xBB, 0x5B};

static bool is_known(const uint8_t hash[HASH_SIZE], const struct attest_trust *trust)
{
    size_t i;

    for (i = 0; i < trust->root_count; i++)
        if (memcmp(hash, trust->roots[i], HASH_SIZE) == 0)
            return true;
    return false;
}

/* What a chain that does not hold is to the user. */
static enum err_code code_of(enum verify_status status, const struct attest_trust *trust)
{
    if (status == VERIFY_NOT_YET_VALID || (status == VERIFY_EXPIRED && trust->fresh))
        return ERR_ATTEST_CLOCK;
    return status == VERIFY_EXPIRED ? ERR_ATTEST_EXPIRED : ERR_ATTEST_UNTRUSTED;
}

static int check_chain(const struct attest_document *document, const struct attest_trust *trust,
                       struct err *err)
{
    struct bytes chain[1 + ATTEST_BUNDLE_MAX];
    char reason[VERIFY_REASON_MAX];
    struct verify_request request = {
        .chain = chain,
        .purpose = VERIFY_ATTESTATION,
        .profile = VERIFY_PRIVATE,
        .now = trust->now,
        .leeway = trust->leeway,
    };
    struct anchors *anchors = anchors_new(&document->bundle[0], 1, err);
    enum verify_status status;
    size_t i;

    if (!anchors) {
        err->code = err->code == ERR_CERTIFICATE_INVALID ? ERR_ATTEST_UNTRUSTED : err->code;
        return -1;
    }
    chain[request.chain_count++] = document->certificate;
    for (i = document->bundle_count; i-- > 1;)
        chain[request.chain_count++] = document->bundle[i];
    request.anchors = anchors;
    status = verify(&request, reason);
    anchors_free(anchors);
    return status ? err_set(err, code_of(status, trust), NULL, "%s", reason) : 0;
}

/* The head of a byte string of that length (RFC 8949 section 3), shortest form: its own length. */
static size_t put_head(uint8_t out[3], size_t len)
{
    if (len < 24) {
        out[0] = (uint8_t)(0x40 | len);
        return 1;
    }
    out[0] = len > UINT8_MAX ? 0x59 : 0x58;
    out[1] = (uint8_t)(len >> 8);
    out[len > UINT8_MAX ? 2 : 1] = (uint8_t)len;
    return len > UINT8_MAX ? 3 : 2;
}

/* Over Sig_structure of RFC 9052 section 4.4: ["Signature1", header, h'', payload]. */
static bool signature_good(const struct attest_document *document, const struct cert *signer)
{
    uint8_t header[3], payload[3], digest[HASH_SIZE_MAX];
    const struct bytes parts[] = {
        bytes_of("\x84\x6ASignature1", 12),
        bytes_of(header, put_head(header, document->header.len)),
        document->header,
        bytes_of("\x40", 1),
        bytes_of(payload, put_head(payload, document->payload.len)),
        document->payload,
    };
    const size_t len = hash_sha2(384, parts, sizeof parts / sizeof *parts, digest);

    return cert_signed_es384(signer, bytes_of(digest, len), document->signature);
}

int attest_genuine(const struct attest_document *document, const struct attest_trust *trust,
                   struct attest_root *root, struct err *err)
{
    uint8_t hash[HASH_SIZE];
    char reason[CERT_REASON_MAX], made[CLOCK_TEXT_MAX];
    struct cert signer;

    hash_sha256(hash, document->bundle[0]);
    hash_hex(root->fingerprint, hash);
    root->other = memcmp(hash, aws_root, HASH_SIZE) != 0;
    if (root->other && !is_known(hash, trust))
        return err_set(err, ERR_ATTEST_UNTRUSTED, NULL, "its root, SHA-256 %s, is not AWS's%s",
                       root->fingerprint, trust->root_count ? ", nor one of attest-root" : "");
    if (check_chain(document, trust, err) < 0)
        return -1;
    if (cert_parse(&signer, document->certificate, reason) < 0 ||
        !signature_good(document, &signer))
        return err_set(err, ERR_ATTEST_FORGED, NULL, "its signature is wrong");
    if (document->timestamp_ms / 1000 <= trust->now + trust->leeway)
        return 0;
    clock_format(made, document->timestamp_ms / 1000);
    return err_set(err, ERR_ATTEST_CLOCK, NULL, "it was made at %s, which is in the future", made);
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* "0:HEX+3:HEX", as config/ has checked it: whether the document has all of them. */
static bool set_met(const struct attest_document *document, const char *set)
{
    for (;;) {
        int64_t number;
        size_t i;

        set += decimal_read(bytes_of_text(set), &number) + 1;
        if (number < 0 || number >= ATTEST_PCRS || !attest_pcr_set(document, (unsigned)number))
            return false;
        for (i = 0; i < ATTEST_PCR_SIZE; i++, set += 2)
            if (document->pcr[number].data[i] !=
                (uint8_t)(hex_digit(set[0]) << 4 | hex_digit(set[1])))
                return false;
        if (*set++ != '+')
            return true;
    }
}

int attest_image(const struct attest_document *document, const char *const *sets, size_t count,
                 struct err *err)
{
    char pcr0[2 * 8 + 1];
    size_t i;

    if (document->instance)
        return err_set(err, ERR_ATTEST_INSTANCE, NULL,
                       "it is of an EC2 instance's NitroTPM, where the PCRs mean something else");
    for (i = 0; i < 3; i++)
        if (!attest_pcr_set(document, (unsigned)i))
            return err_set(err, ERR_ATTEST_DEBUG, NULL, "PCR%zu is zero: it runs in debug mode", i);
    for (i = 0; i < count; i++)
        if (set_met(document, sets[i]))
            return 0;
    if (count == 0)
        return 0;
    for (i = 0; i < 8; i++)
        (void)snprintf(pcr0 + 2 * i, 3, "%02x", document->pcr[0].data[i]);
    return err_set(err, ERR_ATTEST_IMAGE, NULL, "its PCRs meet no set of attest-pcr; PCR0 is %s...",
                   pcr0);
}

bool attest_echoes(const struct attest_document *document, struct bytes nonce)
{
    static const char digits[] = "0123456789abcdef";
    const struct bytes found = document->nonce;
    size_t i;

    if (!nonce.data || !found.data)
        return false;
    if (found.len != 2 * nonce.len)
        return bytes_equal(found, nonce);
    for (i = 0; i < found.len; i++)
        if (found.data[i] != (uint8_t)digits[nonce.data[i / 2] >> (i % 2 ? 0 : 4) & 15])
            return false;
    return true;
}

/* Whether the field holds what of the certificate is bound, by a hash of bits or as it is. */
static bool is_bound(const struct attest_document *document, const struct attest_peer *peer,
                     const struct cert *leaf)
{
    static const unsigned hash_bits[] = {256, 384, 512};
    const unsigned step = peer->binding - ATTEST_LEAF_SHA256;
    uint8_t hash[2 + HASH_SIZE_MAX] = {0x12, HASH_SIZE};
    struct bytes what = step < 3 ? leaf->der : leaf->spki;

    switch (peer->binding) {
    case ATTEST_NONE: return false;
    case ATTEST_SPKI: return bytes_equal(document->user_data, leaf->spki);
    case ATTEST_PUBLIC_KEY: return bytes_equal(document->public_key, leaf->spki);
    case ATTEST_EXPORTER: return bytes_equal(document->user_data, peer->exporter);
    case ATTEST_NITRIDING:
        (void)hash_sha2(256, &leaf->der, 1, hash + 2);
        return document->user_data.len >= 2 + HASH_SIZE &&
               memcmp(document->user_data.data, hash, 2 + HASH_SIZE) == 0;
    default:
        what.len = hash_sha2(hash_bits[step % 3], &what, 1, hash);
        what.data = hash;
        return bytes_equal(document->user_data, what);
    }
}

static int check_bound(const struct attest_document *document, const struct attest_peer *peer,
                       struct err *err)
{
    const bool by_key = peer->binding != ATTEST_EXPORTER;
    char reason[CERT_REASON_MAX];
    struct cert leaf = {0};

    if (peer->binding == ATTEST_NONE)
        return err_set(err, ERR_ATTEST_UNBOUND, NULL, "nothing binds it to the TLS key");
    if (by_key ? !peer->leaf.data || cert_parse(&leaf, peer->leaf, reason) < 0
               : !peer->exporter.data)
        return err_set(err, ERR_ATTEST_UNBOUND, NULL, "this connection has no %s to compare",
                       by_key ? "certificate" : "exporter (TLS 1.3, or extended master secret)");
    if (is_bound(document, peer, &leaf))
        return 0;
    return err_set(err, ERR_ATTEST_OTHER_KEY, NULL, "it is bound to another %s than this one",
                   by_key ? "TLS key" : "connection");
}

int attest_peer(const struct attest_document *document, const struct attest_peer *peer,
                struct err *err)
{
    if (peer->binding != ATTEST_EXPORTER && !peer->nonce.data)
        return err_set(err, ERR_ATTEST_STALE, NULL,
                       "it has no nonce of ours, so it may be of any time");
    if (peer->nonce.data && !attest_echoes(document, peer->nonce))
        return err_set(err, ERR_ATTEST_REPLAYED, NULL, "it has %s nonce",
                       document->nonce.data ? "another" : "no");
    return check_bound(document, peer, err);
}

int attest_age(const struct attest_document *document, int64_t now, int64_t most_ms,
               struct err *err)
{
    const int64_t age_ms = now * 1000 - document->timestamp_ms;

    if (age_ms <= most_ms)
        return 0;
    return err_set(err, ERR_ATTEST_STALE, NULL, "it is %lld s old", (long long)(age_ms / 1000));
}
