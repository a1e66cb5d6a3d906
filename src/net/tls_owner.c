/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>

#include "net/tls_impl.h"
#include "x509/key.h"

static struct tls_session *of_owner(const tls13_owner_class **class)
{
    return (struct tls_session *)(void *)((char *)class - offsetof(struct tls_session, owner));
}

/* By which our key may sign in TLS 1.3, what we like best first; 0 ends them. */
static const uint16_t *schemes_of(const struct key *key)
{
    static const uint16_t rsa[] = {KEY_RSA_PSS_SHA256, KEY_RSA_PSS_SHA384, KEY_RSA_PSS_SHA512, 0};
    static const uint16_t p256[] = {KEY_ECDSA_SHA256, 0}, p384[] = {KEY_ECDSA_SHA384, 0};

    if (key_type(key) == KEY_RSA)
        return rsa;
    return key_curve(key) == BR_EC_secp384r1 ? p384 : p256;
}

static bool has_scheme(const uint8_t *schemes, size_t len, unsigned scheme)
{
    size_t i;

    for (i = 0; i + 1 < len; i += 2)
        if (((unsigned)schemes[i] << 8 | schemes[i + 1]) == scheme)
            return true;
    return false;
}

static unsigned choose_scheme(const tls13_owner_class **owner, const uint8_t *schemes, size_t len,
                              const br_x509_certificate **chain, size_t *count)
{
    struct tls_session *session = of_owner(owner);
    const struct identity *identity = session->policy.identity;
    const uint16_t *scheme;

    session->record.certificate_requested = true;
    session->record.curve = session->engine->ecdhe_curve;
    if (!identity || !identity->client.key)
        return 0;
    scheme = schemes_of(identity->client.key);
    while (*scheme && !has_scheme(schemes, len, *scheme))
        scheme++;
    if (!*scheme)
        return 0;
    *chain = session->own_chain;
    *count = identity->client.chain_count;
    session->record.certificate_sent = true;
    session->record.own_curve = (uint8_t)key_curve(identity->client.key);
    return *scheme;
}

static size_t sign(const tls13_owner_class **owner, unsigned scheme, const uint8_t *hash,
                   size_t len, uint8_t signature[TLS13_SIGNATURE_MAX])
{
    struct tls_session *session = of_owner(owner);
    size_t signature_len =
        key_sign(session->policy.identity->client.key, scheme, bytes_of(hash, len), signature);

    session->record.signatures++;
    session->record.signing_failed = signature_len == 0;
    return signature_len;
}

const tls13_owner_class tls_owner_class = {choose_scheme, sign};
