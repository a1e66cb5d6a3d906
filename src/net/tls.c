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
#include "x509/rsa_pss.h"

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
_Static_assert(sizeof(struct tls13_psk) <= TLS_CACHE_SESSION_MAX, "a session fits");

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

/* The first SHA-2 hash in a set of BearSSL's numbers; 0: none. */
static int choose_hash(unsigned hashes)
{
    static const int preferred[] = {br_sha256_ID, br_sha384_ID, br_sha512_ID};
    size_t i;

    for (i = 0; i < sizeof preferred / sizeof *preferred; i++)
        if (hashes >> preferred[i] & 1)
            return preferred[i];
    return 0;
}

/*
 * How a key signs for a server that takes these (bits 0 to 7: PKCS#1, 8 to 15: ECDSA, 16 to 23:
 * RSA-PSS, by hash): by RSA-PSS where it takes nothing else. False: it takes nothing of this type,
 * and then no certificate is sent.
 */
static bool choose_scheme(bool rsa, uint32_t auth_types, br_ssl_client_certificate *choice)
{
    choice->auth_type = rsa ? BR_AUTH_RSA : BR_AUTH_ECDSA;
    choice->hash_id = choose_hash(rsa ? auth_types : auth_types >> 8);
    if (rsa && !choice->hash_id) {
        choice->auth_type = BR_AUTH_RSAPSS;
        choice->hash_id = choose_hash(auth_types >> 16);
    }
    return choice->hash_id != 0;
}

static void choose_certificate(const br_ssl_client_certificate_class **class,
                               const br_ssl_client_context *context, uint32_t auth_types,
                               br_ssl_client_certificate *choice)
{
    struct tls_session *session = of_client_certificate(class);
    const struct identity *identity = session->policy.identity;

    session->record.curve = context->eng.ecdhe_curve;
    memset(choice, 0, sizeof *choice);
    if (!identity || !identity->client.key ||
        !choose_scheme(key_type(identity->client.key) == KEY_RSA, auth_types, choice))
        return;
    session->auth_type = choice->auth_type;
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
    int scheme = session->auth_type == BR_AUTH_RSAPSS ? BR_AUTH_RSAPSS << 8 | hash_id
                                                      : hash_id << 8 | session->auth_type;
    uint8_t signature[KEY_SIGNATURE_MAX];
    size_t signature_len;

    session->record.signatures++;
    signature_len = key_sign(session->policy.identity->client.key, (unsigned)scheme,
                             bytes_of(data, hash_len), signature);
    if (signature_len == 0 || signature_len > len) {
        session->record.signing_failed = true;
        return 0;
    }
    memcpy(data, signature, signature_len);
    return signature_len;
}

static const br_ssl_client_certificate_class client_certificate_class = {
    sizeof(struct tls_session), start_name_list, start_name, append_name, end_name, end_name,
    choose_certificate,         do_keyx,         do_sign,
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
    session->owner = &tls_owner_class;
    session->policy = *policy;
    session->cache = cache;
    if (cache) {
        set_key(session, server);
        session->ticket = malloc(TLS13_TICKET_MAX); /* none: tickets are passed over */
    }
    for (i = 0; own && i < own->chain_count; i++) {
        session->own_chain[i].data = (unsigned char *)(uintptr_t)own->chain[i].data; /* read only */
        session->own_chain[i].data_len = own->chain[i].len;
    }
    return session;
}

void tls_session_renew(struct tls_session *session)
{
    if (session->cache)
        tls_cache_forget(session->cache, session->cached.key);
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
    free(session->ticket);
    free(session->taken.ticket);
    arena_free(session);
}

static void offer(struct tls_session *session, br_ssl_engine_context *engine)
{
    br_ssl_session_parameters parameters;
    struct tls_cached *taken = &session->taken;
    struct tls13_psk psk;

    if (session->policy.versions != TLS_12)
        tls13_collect(&session->tls13, session->ticket);
    if (!session->cache ||
        !tls_cache_take(session->cache, session->cached.key, clock_ms(), clock_wall(), taken))
        return;
    if (taken->ticket) {
        memcpy(&psk, taken->session, sizeof psk);
        tls13_offer(&session->tls13, &psk, taken->ticket, taken->ticket_len);
        wipe(&psk, sizeof psk);
    } else {
        memcpy(&parameters, taken->session, sizeof parameters);
        br_ssl_engine_set_session_parameters(engine, &parameters);
        wipe(&parameters, sizeof parameters);
    }
    wipe(taken->session, sizeof taken->session); /* it is the handshake's from here on */
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
    br_ssl_engine_set_rsapss(engine, rsa_pss_verify);
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
    if (session->policy.versions != TLS_12)
        tls13_attach(&session->tls13, engine, &session->owner, session->policy.versions == TLS_13);
    offer(session, engine);
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
    record->version = parameters.version;
    record->curve = session->engine->ecdhe_curve;
    if (parameters.version == TLS13_VERSION ? tls13_resumed(&session->tls13)
                                            : record->offered && !record->verified) {
        /* A session rests on certificates: what is resumed is as good as the handshake that made
         * it. */
        record->resumed = true;
        record->verified = true;
        record->certificate_requested = true;
        record->certificate_sent = true;
        record->certificate_left = true;
    } else if (session->cache && parameters.ems && parameters.session_id_len > 0 &&
               record->certificate_sent) {
        memcpy(session->cached.session, &parameters, sizeof parameters);
        session->cached.made_ms = clock_ms();
        tls_peer_dates(session, &session->cached);
    }
    wipe(&parameters, sizeof parameters);
    record->has_exporter = tls_session_export(session, "EXPORTER-Channel-Binding", bytes_of("", 0),
                                              record->exporter, sizeof record->exporter);
}

bool tls_session_export(const struct tls_session *session, const char *label, struct bytes context,
                        uint8_t *out, size_t len)
{
    if (tls13_chosen(&session->tls13))
        return tls13_export(&session->tls13, label, context, out, len);
    return session->engine &&
           br_ssl_key_export(session->engine, out, len, label, context.data, context.len) != 0;
}

/* A ticket comes when it likes. What is resumed again and again is as old as its certificates. */
static void keep_ticket(struct tls_session *session)
{
    struct tls_cached *cached = &session->cached;
    struct tls13_psk psk;
    size_t len = tls13_ticket(&session->tls13, &psk);

    if (!session->cache || len == 0 || !session->record.certificate_sent)
        return;
    memcpy(cached->session, &psk, sizeof psk);
    cached->ticket = session->ticket;
    cached->ticket_len = len;
    if (session->record.resumed) {
        cached->uses = session->taken.uses;
        cached->made_ms = session->taken.made_ms;
        cached->not_before = session->taken.not_before;
        cached->not_after = session->taken.not_after;
    } else {
        cached->made_ms = clock_ms();
        tls_peer_dates(session, cached);
    }
    if (clock_wall() + psk.lifetime_s < cached->not_after)
        cached->not_after = clock_wall() + psk.lifetime_s;
    wipe(&psk, sizeof psk);
}

void tls_session_settle(struct tls_session *session, bool accepted)
{
    if (accepted)
        keep_ticket(session);
    if (accepted && session->cached.made_ms)
        tls_cache_keep(session->cache, &session->cached);
    if (!accepted && session->record.offered)
        tls_cache_forget(session->cache, session->cached.key);
}
