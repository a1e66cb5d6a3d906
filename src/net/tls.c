/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include <bearssl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/random.h"
#include "identity/cert.h"
#include "identity/identity.h"
#include "identity/key.h"

/* Everything but ECDHE with an AEAD is refused: forward secrecy, and no CBC. */
static const uint16_t suites[] = {
    BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
};

/*
 * The chain as the peer sends it. Public, so on the ordinary heap: a hostile server cannot fill the
 * arena.
 */
struct peer_chain {
    uint8_t *der;
    size_t len;
    size_t start[VERIFY_CHAIN_MAX + 1];
    size_t count;
    bool too_large;
};

struct tls_session {
    const br_x509_class *x509;
    const br_ssl_client_certificate_class *client_certificate;
    struct tls_policy policy;
    struct tls_record record;
    const br_ssl_engine_context *engine;
    struct peer_chain peer;
    struct cert leaf; /* views into peer.der */
    br_x509_certificate own_chain[IDENTITY_CHAIN_MAX];
};

static struct tls_session *of_x509(const br_x509_class **class)
{
    return (struct tls_session *)(void *)((char *)class - offsetof(struct tls_session, x509));
}

static struct tls_session *of_client_certificate(const br_ssl_client_certificate_class **class)
{
    return (struct tls_session *)(void *)((char *)class -
                                          offsetof(struct tls_session, client_certificate));
}

static void start_chain(const br_x509_class **class, const char *server_name)
{
    struct peer_chain *peer = &of_x509(class)->peer;

    (void)server_name; /* libcurl's idea of the name; the policy knows better */
    peer->len = 0;
    peer->count = 0;
    peer->too_large = false;
}

static void start_cert(const br_x509_class **class, uint32_t length)
{
    struct peer_chain *peer = &of_x509(class)->peer;

    if (peer->count == VERIFY_CHAIN_MAX || length > VERIFY_BYTES_MAX - peer->len) {
        peer->too_large = true;
        return;
    }
    peer->start[peer->count] = peer->len;
}

static void append(const br_x509_class **class, const unsigned char *data, size_t len)
{
    struct peer_chain *peer = &of_x509(class)->peer;

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
    struct peer_chain *peer = &of_x509(class)->peer;

    if (!peer->too_large)
        peer->start[++peer->count] = peer->len;
}

/*
 * BearSSL's number for a verdict. It steers libcurl's error text only; the cause is in the record.
 */
static unsigned bearssl_error(enum verify_status status)
{
    switch (status) {
    case VERIFY_OK: return 0;
    case VERIFY_EXPIRED:
    case VERIFY_NOT_YET_VALID: return BR_ERR_X509_EXPIRED;
    case VERIFY_NAME_MISMATCH:
    case VERIFY_COMMON_NAME_ONLY: return BR_ERR_X509_BAD_SERVER_NAME;
    default: return BR_ERR_X509_NOT_TRUSTED;
    }
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
    size_t i;

    if (session->peer.too_large)
        return refuse(record, VERIFY_LIMIT, "the server's chain is too large");
    if (session->peer.count == 0)
        return refuse(record, VERIFY_MALFORMED, "the server sent no certificate");
    for (i = 0; i < session->peer.count; i++)
        chain[i] = bytes_of(session->peer.der + session->peer.start[i],
                            session->peer.start[i + 1] - session->peer.start[i]);
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

static const br_x509_class x509_class = {
    sizeof(struct tls_session), start_chain, start_cert, append, end_cert, end_chain, get_pkey,
};

static void start_name_list(const br_ssl_client_certificate_class **class)
{
    of_client_certificate(class)->record.certificate_requested = true;
}

/*
 * The names of the CAs that the server trusts are passed over: the one identity is right, or
 * refused.
 */
static void start_name(const br_ssl_client_certificate_class **class, size_t len)
{
    (void)class;
    (void)len;
}

static void append_name(const br_ssl_client_certificate_class **class, const unsigned char *data,
                        size_t len)
{
    (void)class;
    (void)data;
    (void)len;
}

static void end_name(const br_ssl_client_certificate_class **class)
{
    (void)class;
}

/* The first SHA-2 hash in a set of BearSSL's numbers; 0: none, and then no certificate is sent. */
static int choose_hash(unsigned hashes)
{
    static const int preferred[] = {br_sha256_ID, br_sha384_ID, br_sha512_ID};
    size_t i;

    for (i = 0; i < sizeof preferred / sizeof *preferred; i++)
        if (hashes >> preferred[i] & 1)
            return preferred[i];
    return 0;
}

static void choose(const br_ssl_client_certificate_class **class,
                   const br_ssl_client_context *context, uint32_t auth_types,
                   br_ssl_client_certificate *choice)
{
    struct tls_session *session = of_client_certificate(class);
    const struct identity *identity = session->policy.identity;
    bool rsa;
    int hash_id;

    (void)context;
    memset(choice, 0, sizeof *choice);
    if (!identity || !identity->client.key)
        return;
    rsa = key_type(identity->client.key) == KEY_RSA;
    hash_id = choose_hash(rsa ? auth_types & 0xFF : auth_types >> 8 & 0xFF);
    if (!hash_id)
        return;
    choice->auth_type = rsa ? BR_AUTH_RSA : BR_AUTH_ECDSA;
    choice->hash_id = hash_id;
    choice->chain = session->own_chain;
    choice->chain_len = identity->client.chain_count;
    session->record.certificate_sent = true;
}

/* Static ECDH: never chosen, so never asked. */
static uint32_t do_keyx(const br_ssl_client_certificate_class **class, unsigned char *data,
                        size_t *len)
{
    (void)class;
    (void)data;
    (void)len;
    return 0;
}

static size_t do_sign(const br_ssl_client_certificate_class **class, int hash_id, size_t hash_len,
                      unsigned char *data, size_t len)
{
    struct tls_session *session = of_client_certificate(class);
    uint8_t signature[KEY_SIGNATURE_MAX];
    size_t signature_len = key_sign(session->policy.identity->client.key, hash_id,
                                    bytes_of(data, hash_len), signature);

    if (signature_len == 0 || signature_len > len) {
        session->record.signing_failed = true;
        return 0;
    }
    memcpy(data, signature, signature_len);
    return signature_len;
}

static const br_ssl_client_certificate_class client_certificate_class = {
    sizeof(struct tls_session),
    start_name_list,
    start_name,
    append_name,
    end_name,
    end_name,
    choose,
    do_keyx,
    do_sign,
};

struct tls_session *tls_session_new(const struct tls_policy *policy)
{
    struct tls_session *session = arena_alloc(sizeof *session, ARENA_WORK);
    const struct credential *own = policy->identity ? &policy->identity->client : NULL;
    size_t i;

    if (!session)
        return NULL;
    session->x509 = &x509_class;
    session->client_certificate = &client_certificate_class;
    session->policy = *policy;
    for (i = 0; own && i < own->chain_count; i++) {
        session->own_chain[i].data = (unsigned char *)(uintptr_t)own->chain[i].data; /* read only */
        session->own_chain[i].data_len = own->chain[i].len;
    }
    return session;
}

const struct tls_record *tls_session_record(const struct tls_session *session)
{
    return &session->record;
}

void tls_session_free(struct tls_session *session)
{
    if (!session)
        return;
    free(session->peer.der);
    arena_free(session);
}

void tls_hook(struct tls_session *session, void *br_ssl_client_context_pointer)
{
    br_ssl_client_context *context = br_ssl_client_context_pointer;
    br_ssl_engine_context *engine = &context->eng;
    uint8_t seed[32];

    session->engine = engine;
    br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_suites(engine, suites, sizeof suites / sizeof *suites);
    br_ssl_engine_add_flags(engine, BR_OPT_NO_RENEGOTIATION);
    br_ssl_engine_set_x509(engine, &session->x509);
    br_ssl_client_set_client_certificate(context, &session->client_certificate);
    random_bytes(seed, sizeof seed);
    br_ssl_engine_inject_entropy(engine, seed, sizeof seed);
    wipe(seed, sizeof seed);
}

/*
 * Adds one part of a label, its length in front, so that no two lists of parts are the same bytes.
 */
static void hash_part(br_sha256_context *hash, const void *data, size_t len)
{
    uint64_t prefix = len;

    br_sha256_update(hash, &prefix, sizeof prefix);
    br_sha256_update(hash, data, len);
}

void tls_policy_label(const struct tls_policy *policy, char out[TLS_LABEL_MAX])
{
    const char *fingerprint = policy->identity ? policy->identity->fingerprint : "";
    const uint8_t modes[] = {(uint8_t)policy->profile, policy->allow_cn};
    br_sha256_context hash;
    uint8_t digest[HASH_SIZE];
    char hex[HASH_HEX_SIZE];
    size_t i;

    br_sha256_init(&hash);
    hash_part(&hash, fingerprint, strlen(fingerprint));
    hash_part(&hash, policy->name, strlen(policy->name));
    hash_part(&hash, modes, sizeof modes);
    for (i = 0; i < anchors_count(policy->anchors); i++) {
        struct bytes der = anchors_at(policy->anchors, i)->der;

        hash_part(&hash, der.data, der.len);
    }
    br_sha256_out(&hash, digest);
    hash_hex(hex, digest);
    (void)snprintf(out, TLS_LABEL_MAX, "mtls-agent:%s", hex);
}
