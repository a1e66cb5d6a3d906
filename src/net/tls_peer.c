/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "net/tls_impl.h"

static struct tls_session *of_x509(const br_x509_class **class)
{
    return (struct tls_session *)(void *)((char *)class - offsetof(struct tls_session, x509));
}

static void start_chain(const br_x509_class **class, const char *server_name)
{
    struct tls_peer *peer = &of_x509(class)->peer;

    (void)server_name; /* libcurl's idea of the name; the policy knows better */
    peer->len = 0;
    peer->count = 0;
    peer->too_large = false;
}

static void start_cert(const br_x509_class **class, uint32_t length)
{
    struct tls_peer *peer = &of_x509(class)->peer;

    if (peer->count == VERIFY_CHAIN_MAX || length > VERIFY_BYTES_MAX - peer->len) {
        peer->too_large = true;
        return;
    }
    peer->start[peer->count] = peer->len;
}

static void append(const br_x509_class **class, const unsigned char *data, size_t len)
{
    struct tls_peer *peer = &of_x509(class)->peer;

    if (peer->too_large || len > VERIFY_BYTES_MAX - peer->len) {
        peer->too_large = true;
        return;
    }
    if (!peer->der)
        peer->der = malloc(VERIFY_BYTES_MAX);
    if (!peer->der) {
        peer->too_large = true;
        return;
    }
    memcpy(peer->der + peer->len, data, len);
    peer->len += len;
}

static void end_cert(const br_x509_class **class)
{
    struct tls_peer *peer = &of_x509(class)->peer;

    if (!peer->too_large)
        peer->start[++peer->count] = peer->len;
}

/*
 * BearSSL's number for a verdict. It chooses the alert that the server gets; the cause is in the
 * record.
 */
static unsigned bearssl_error(enum verify_status status)
{
    switch (status) {
    case VERIFY_OK: return 0;
    case VERIFY_MALFORMED: return BR_ERR_X509_INVALID_VALUE;
    case VERIFY_NO_ISSUER: return BR_ERR_X509_NOT_TRUSTED;
    case VERIFY_BAD_SIGNATURE: return BR_ERR_X509_BAD_SIGNATURE;
    case VERIFY_EXPIRED:
    case VERIFY_NOT_YET_VALID: return BR_ERR_X509_EXPIRED;
    case VERIFY_NAME_MISMATCH:
    case VERIFY_COMMON_NAME_ONLY: return BR_ERR_X509_BAD_SERVER_NAME;
    case VERIFY_USAGE:
    case VERIFY_CA_USAGE:
    case VERIFY_NOT_CA:
    case VERIFY_PATH_LENGTH:
    case VERIFY_CONSTRAINTS: return BR_ERR_X509_FORBIDDEN_KEY_USAGE;
    case VERIFY_WEAK:
    case VERIFY_WEAK_KEY: return BR_ERR_X509_WEAK_PUBLIC_KEY;
    case VERIFY_CRITICAL: return BR_ERR_X509_CRITICAL_EXTENSION;
    case VERIFY_LIMIT: return BR_ERR_X509_LIMIT_EXCEEDED;
    }
    return BR_ERR_X509_NOT_TRUSTED;
}

static enum verify_status refuse(struct tls_record *record, enum verify_status status,
                                 const char *reason)
{
    (void)snprintf(record->verify_reason, sizeof record->verify_reason, "%s", reason);
    return status;
}

static enum verify_status verify_peer(struct tls_session *session)
{
    const struct tls_policy *policy = &session->policy;
    struct tls_record *record = &session->record;
    struct bytes chain[VERIFY_CHAIN_MAX];
    char reason[CERT_REASON_MAX];
    struct verify_request request = {
        .chain = chain,
        .chain_count = session->peer.count,
        .anchors = policy->anchors,
        .purpose = VERIFY_SERVER,
        .profile = policy->profile,
        .name = policy->name,
        .allow_cn = policy->allow_cn,
        .now = clock_wall(),
    };
    enum verify_status status;

    session->verified_at = request.now;
    if (session->peer.too_large)
        return refuse(record, VERIFY_LIMIT, "the server sent more than 10 certificates, or 64 KiB");
    if (session->peer.count == 0)
        return refuse(record, VERIFY_MALFORMED, "the server sent no certificate");
    (void)tls_session_chain(session, chain);
    status = verify(&request, record->verify_reason);
    if (status == VERIFY_OK && cert_parse(&session->leaf, chain[0], reason) < 0)
        return refuse(record, VERIFY_MALFORMED, reason);
    return status;
}

static unsigned end_chain(const br_x509_class **class)
{
    struct tls_session *session = of_x509(class);
    br_ssl_session_parameters parameters;

    br_ssl_engine_get_session_parameters(session->engine, &parameters);
    session->record.cipher_suite = parameters.cipher_suite;
    session->record.version = parameters.version;
    wipe(&parameters, sizeof parameters);
    session->record.verify = verify_peer(session);
    session->record.verified = session->record.verify == VERIFY_OK;
    return bearssl_error(session->record.verify);
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *class, unsigned *usages)
{
    const struct tls_session *session =
        (const struct tls_session *)(const void *)((const char *)class -
                                                   offsetof(struct tls_session, x509));

    if (!session->record.verified)
        return NULL;
    if (usages)
        *usages = BR_KEYTYPE_SIGN; /* the suites above need nothing else */
    return &session->leaf.key;
}

const br_x509_class tls_peer_class = {
    sizeof(struct tls_session), start_chain, start_cert, append, end_cert, end_chain, get_pkey,
};

size_t tls_session_chain(const struct tls_session *session, struct bytes chain[VERIFY_CHAIN_MAX])
{
    const struct tls_peer *peer = &session->peer;
    size_t i;

    for (i = 0; i < peer->count; i++)
        chain[i] = bytes_of(peer->der + peer->start[i], peer->start[i + 1] - peer->start[i]);
    return peer->count;
}

/* A certificate that is not valid now is on no path in use. */
static void narrow(struct tls_cached *cached, const struct cert *cert, int64_t now)
{
    if (now < cert->not_before || now > cert->not_after)
        return;
    if (cert->not_before > cached->not_before)
        cached->not_before = cert->not_before;
    if (cert->not_after < cached->not_after)
        cached->not_after = cert->not_after;
}

static void narrow_by_chain(struct tls_cached *cached, const struct bytes *chain, size_t count,
                            int64_t now)
{
    char reason[CERT_REASON_MAX];
    struct cert cert;
    size_t i;

    for (i = 0; i < count; i++)
        if (cert_parse(&cert, chain[i], reason) == 0)
            narrow(cached, &cert, now);
}

void tls_peer_dates(const struct tls_session *session, struct tls_cached *cached)
{
    const int64_t now = session->verified_at;
    const struct tls_policy *policy = &session->policy;
    struct bytes chain[VERIFY_CHAIN_MAX];
    size_t i, count = tls_session_chain(session, chain);

    cached->not_before = INT64_MIN;
    cached->not_after = INT64_MAX;
    narrow_by_chain(cached, chain, count, now);
    for (i = 0; i < anchors_count(policy->anchors); i++)
        narrow(cached, anchors_at(policy->anchors, i), now);
    if (policy->identity)
        narrow_by_chain(cached, policy->identity->client.chain,
                        policy->identity->client.chain_count, now);
}
