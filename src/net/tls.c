/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/random.h"
#include "net/tls_impl.h"
#include "x509/key.h"

/*
 * Forward secrecy always. By default nothing but ECDHE with an AEAD; where a policy is compatible,
 * CBC with HMAC behind that.
 */
static const uint16_t suites[] = {
    BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
    BR_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
    BR_TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384,
    BR_TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384,
    BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
    BR_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
    BR_TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
    BR_TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
};
enum { AEAD_SUITES = 6, ALL_SUITES = sizeof suites / sizeof *suites };

_Static_assert(sizeof(br_ssl_session_parameters) <= TLS_CACHE_SESSION_MAX, "a session fits");

static struct tls_session *of_client_certificate(const br_ssl_client_certificate_class **class)
{
    return (struct tls_session *)(void *)((char *)class -
                                          offsetof(struct tls_session, client_certificate));
}

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

    session->record.curve = context->eng.ecdhe_curve;
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
    session->record.own_curve = (uint8_t)key_curve(identity->client.key);
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
    size_t signature_len;

    session->record.signatures++;
    signature_len = key_sign(session->policy.identity->client.key, hash_id,
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

/* Only who may present this certificate, by this policy, to this server may resume a session. */
static void set_key(struct tls_session *session, const char *server)
{
    char label[TLS_LABEL_MAX], text[TLS_LABEL_MAX + HASH_HEX_SIZE];
    uint8_t digest[HASH_SIZE];
    char hex[HASH_HEX_SIZE];

    hash_sha256(digest, bytes_of_text(server));
    hash_hex(hex, digest);
    tls_policy_label(&session->policy, label);
    (void)snprintf(text, sizeof text, "%s:%s", label, hex);
    hash_sha256(session->cached.key, bytes_of_text(text));
}

struct tls_session *tls_session_new(const struct tls_policy *policy, struct tls_cache *cache,
                                    const char *server)
{
    struct tls_session *session = arena_alloc(sizeof *session, ARENA_SESSION);
    const struct credential *own = policy->identity ? &policy->identity->client : NULL;
    size_t i;

    if (!session)
        return NULL;
    session->holders = 1;
    session->x509 = &tls_peer_class;
    session->client_certificate = &client_certificate_class;
    session->watch = &tls_watch_class;
    session->policy = *policy;
    session->cache = cache;
    if (cache)
        set_key(session, server);
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

void tls_session_hold(struct tls_session *session)
{
    session->holders++;
}

void tls_session_free(struct tls_session *session)
{
    if (!session || --session->holders > 0)
        return;
    free(session->peer.der);
    arena_free(session);
}

static void offer(struct tls_session *session, br_ssl_engine_context *engine)
{
    br_ssl_session_parameters parameters;

    if (!session->cache || !tls_cache_take(session->cache, session->cached.key, clock_ms(),
                                           clock_wall(), session->cached.session))
        return;
    memcpy(&parameters, session->cached.session, sizeof parameters);
    br_ssl_engine_set_session_parameters(engine, &parameters);
    wipe(&parameters, sizeof parameters);
    session->record.offered = true;
}

/* What the suites need and no more: there is no MD5 and no RSA key exchange to be talked into. */
static void set_algorithms(br_ssl_engine_context *engine, bool compatible)
{
    br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_suites(engine, suites, compatible ? ALL_SUITES : AEAD_SUITES);
    br_ssl_engine_set_hash(engine, br_sha256_ID, &br_sha256_vtable);
    br_ssl_engine_set_hash(engine, br_sha384_ID, &br_sha384_vtable);
    br_ssl_engine_set_hash(engine, br_sha512_ID, &br_sha512_vtable);
    br_ssl_engine_set_prf_sha256(engine, &br_tls12_sha256_prf);
    br_ssl_engine_set_prf_sha384(engine, &br_tls12_sha384_prf);
    br_ssl_engine_set_default_rsavrfy(engine);
    br_ssl_engine_set_default_ecdsa(engine);
    br_ssl_engine_set_default_aes_gcm(engine);
    br_ssl_engine_set_default_chapol(engine);
    if (compatible) {
        br_ssl_engine_set_hash(engine, br_sha1_ID, &br_sha1_vtable); /* for HMAC */
        br_ssl_engine_set_default_aes_cbc(engine);
    }
}

void tls_hook(struct tls_session *session, void *br_ssl_client_context_pointer)
{
    br_ssl_client_context *context = br_ssl_client_context_pointer;
    br_ssl_engine_context *engine = &context->eng;
    uint8_t seed[32];

    session->engine = engine;
    set_algorithms(engine, session->policy.compatible);
    br_ssl_engine_add_flags(engine, BR_OPT_NO_RENEGOTIATION);
    br_ssl_engine_set_x509(engine, &session->x509);
    br_ssl_engine_set_watch(engine, &session->watch);
    br_ssl_client_set_client_certificate(context, &session->client_certificate);
    random_bytes(seed, sizeof seed);
    br_ssl_engine_inject_entropy(engine, seed, sizeof seed);
    wipe(seed, sizeof seed);
    offer(session, engine);
}

/* A session rests on certificates: what is resumed is as good as the handshake that made it. */
static void note_resumed(struct tls_record *record)
{
    record->resumed = true;
    record->verified = true;
    record->certificate_requested = true;
    record->certificate_sent = true;
    record->certificate_left = true;
}

void tls_session_connected(struct tls_session *session)
{
    struct tls_record *record = &session->record;
    br_ssl_session_parameters parameters;

    if (!session->engine)
        return;
    session->watched.connected = true;
    br_ssl_engine_get_session_parameters(session->engine, &parameters);
    record->cipher_suite = parameters.cipher_suite;
    if (record->offered && !record->verified) {
        note_resumed(record);
    } else if (session->cache && parameters.session_id_len > 0 && record->certificate_sent) {
        memcpy(session->cached.session, &parameters, sizeof parameters);
        session->cached.made_ms = clock_ms();
        session->cached.not_after = tls_peer_not_after(session, clock_wall());
    }
    wipe(&parameters, sizeof parameters);
}

void tls_session_settle(struct tls_session *session, bool accepted)
{
    if (accepted && session->cached.made_ms)
        tls_cache_keep(session->cache, &session->cached);
    if (!accepted && session->record.offered)
        tls_cache_forget(session->cache, session->cached.key);
}
