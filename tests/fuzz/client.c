/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include "fuzz.h"
#include "identity/identity.h"
#include "peer.h"

static bool believes;

bool __real_cert_signed_by(const struct cert *cert, const struct cert *issuer);
bool __wrap_cert_signed_by(const struct cert *cert, const struct cert *issuer);
void __real_tls_hook(struct tls_session *session, void *context);
void __wrap_tls_hook(struct tls_session *session, void *context);

bool __wrap_cert_signed_by(const struct cert *cert, const struct cert *issuer)
{
    return believes || __real_cert_signed_by(cert, issuer);
}

static uint32_t believe(const br_ec_impl *impl, const void *hash, size_t hash_len,
                        const br_ec_public_key *key, const void *signature, size_t len)
{
    (void)impl, (void)hash, (void)hash_len, (void)key, (void)signature, (void)len;
    return 1;
}

void __wrap_tls_hook(struct tls_session *session, void *context)
{
    br_ssl_client_context *tls = context;

    __real_tls_hook(session, context);
    if (believes)
        br_ssl_engine_set_ecdsa(&tls->eng, believe);
}

void client_believe(unsigned choices)
{
    believes = choices & CLIENT_BELIEVES;
}

struct tls_policy client_policy(unsigned choices)
{
    const unsigned kind = choices & CLIENT_KIND;

    client_believe(choices);
    return (struct tls_policy){
        .name = choices & CLIENT_OTHER_NAME ? "other.example" : CLIENT_SERVER,
        .anchors = peer_identity(kind)->anchors,
        .profile = choices & CLIENT_STRICT ? VERIFY_STRICT : VERIFY_PRIVATE,
        .allow_cn = choices & CLIENT_ALLOWS_CN,
        .compatible = choices & CLIENT_COMPATIBLE,
        .identity = kind < PEER_KINDS ? peer_identity(kind) : NULL,
    };
}

bool client_open(struct client_tls *client, const struct tls_policy *policy,
                 struct tls_cache *cache)
{
    static const char *protocol = "http/1.1";
    br_ssl_engine_context *engine = &client->tls.eng;

    client->connected = false;
    client->session = tls_session_new(policy, cache, CLIENT_SERVER ":443");
    if (!client->session)
        return false;
    br_ssl_client_zero(&client->tls);
    br_ssl_engine_set_buffer(engine, client->buffer, sizeof client->buffer, 1);
    if (client->offers_protocol)
        br_ssl_engine_set_protocol_names(engine, &protocol, 1);
    tls_hook(client->session, &client->tls);
    FUZZ_CHECK(
        br_ssl_client_reset(&client->tls, CLIENT_SERVER, engine->session.session_id_len != 0));
    return true;
}

/* What an application does with what comes: it asks once, and listens. */
static void talk(struct client_tls *client)
{
    br_ssl_engine_context *engine = &client->tls.eng;
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";
    unsigned char *at;
    size_t room;

    if (!client->connected && (at = br_ssl_engine_sendapp_buf(engine, &room))) {
        client->connected = true;
        tls_session_connected(client->session);
        memcpy(at, request, sizeof request - 1);
        br_ssl_engine_sendapp_ack(engine, sizeof request - 1);
        br_ssl_engine_flush(engine, 0);
    }
    while (br_ssl_engine_recvapp_buf(engine, &room))
        br_ssl_engine_recvapp_ack(engine, room);
}

size_t client_take(struct client_tls *client, struct bytes data)
{
    br_ssl_engine_context *engine = &client->tls.eng;
    size_t room, taken = 0;
    unsigned char *at;

    while (taken < data.len && (at = br_ssl_engine_recvrec_buf(engine, &room))) {
        if (room > data.len - taken)
            room = data.len - taken;
        memcpy(at, data.data + taken, room);
        br_ssl_engine_recvrec_ack(engine, room);
        taken += room;
        talk(client);
    }
    return taken;
}

/* A connection to which anything may be said is one whose certificates we accepted. */
static void check_record(const struct client_tls *client)
{
    const struct tls_record *record = tls_session_record(client->session);
    struct bytes chain[VERIFY_CHAIN_MAX];

    FUZZ_CHECK(!client->connected || record->verified);
    FUZZ_CHECK(!record->verified || record->resumed || record->verify == VERIFY_OK);
    FUZZ_CHECK(record->verify == VERIFY_OK || record->verify_reason[0]);
    FUZZ_CHECK(!record->signing_failed || fuzz_starved());
    FUZZ_CHECK(tls_session_chain(client->session, chain) <= VERIFY_CHAIN_MAX);
    FUZZ_CHECK(tls_cipher_name(record->cipher_suite));
}

void client_close(struct client_tls *client)
{
    const struct tls_record *record = tls_session_record(client->session);
    int error = br_ssl_engine_last_error(&client->tls.eng), alert;

    check_record(client);
    FUZZ_CHECK(*tls_error_text(error));
    for (alert = error & 0xFF; alert >= 0; alert -= 256)
        FUZZ_CHECK(*tls_alert_name(alert) && *tls_alert_cause(alert, record));
    tls_session_settle(client->session, client->connected && error == 0);
    tls_session_free(client->session);
}
