/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <stddef.h>

#include "fuzz.h"
#include "identity/identity.h"
#include "x509/key_impl.h"

enum { HEADER = 5, MESSAGE_HEADER = 4 };
enum { CHANGE_CIPHER_SPEC = 20, HANDSHAKE = 22 };

/* Sessions that clients resume. */
static br_ssl_session_cache_lru sessions;
static uint8_t session_room[4096];

const struct identity *peer_identity(unsigned kind)
{
    static const char *const documents[PEER_KINDS] = {"identity-rsa.json", "identity-ec.json",
                                                      "identity-p384.json"};
    static struct identity *identities[PEER_KINDS];
    const struct identity_policy policy = {.now = FUZZ_NOW};
    struct bundle bundle = {0};
    struct err err;

    kind %= PEER_KINDS;
    if (identities[kind])
        return identities[kind];
    FUZZ_CHECK(bundle_add(&bundle, fuzz_sample(documents[kind]), "sample", &err) == 0);
    identities[kind] = identity_new(&bundle, &policy, "sample", &err);
    FUZZ_CHECK(identities[kind] && identities[kind]->server.chain_count > 0);
    bundle_free(&bundle);
    return identities[kind];
}

/* ---- the client's certificate, which is believed ----------------------------------------------
 */

static struct peer *of_x509(const br_x509_class **class)
{
    return (struct peer *)(void *)((char *)class - offsetof(struct peer, x509));
}

static void start_chain(const br_x509_class **class, const char *name)
{
    (void)name;
    of_x509(class)->cert = 0;
}

static void start_cert(const br_x509_class **class, uint32_t length)
{
    struct peer *peer = of_x509(class);

    (void)length;
    if (peer->cert == 0)
        br_x509_decoder_init(&peer->decoder, NULL, NULL);
}

static void append(const br_x509_class **class, const unsigned char *data, size_t len)
{
    struct peer *peer = of_x509(class);

    if (peer->cert == 0)
        br_x509_decoder_push(&peer->decoder, data, len);
}

static void end_cert(const br_x509_class **class)
{
    of_x509(class)->cert++;
}

static unsigned end_chain(const br_x509_class **class)
{
    struct peer *peer = of_x509(class);
    const br_x509_pkey *key = peer->cert ? br_x509_decoder_get_pkey(&peer->decoder) : NULL;

    if (!key)
        return BR_ERR_X509_NOT_TRUSTED;
    peer->client_key = *key;
    return 0;
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *class, unsigned *usages)
{
    if (usages)
        *usages = BR_KEYTYPE_SIGN | BR_KEYTYPE_KEYX;
    return &((const struct peer *)(const void *)((const char *)class - offsetof(struct peer, x509)))
                ->client_key;
}

static const br_x509_class believing = {
    sizeof(struct peer), start_chain, start_cert, append, end_cert, end_chain, get_pkey,
};

/* ---- the server ---------------------------------------------------------------------------------
 */

/* A long chain has the certificates again and again. */
static void set_identity(br_ssl_server_context *tls, const struct credential *own, bool is_long)
{
    enum { LONG = 14 };
    static br_x509_certificate chain[LONG];
    const size_t count = is_long ? LONG : own->chain_count;
    const struct key *key = own->key;
    size_t i;

    for (i = 0; i < count; i++) {
        const struct bytes cert = own->chain[i % own->chain_count];

        chain[i] = (br_x509_certificate){(uint8_t *)(uintptr_t)cert.data, cert.len};
    }
    if (key->type == KEY_RSA)
        br_ssl_server_init_full_rsa(tls, chain, count, &key->rsa);
    else
        br_ssl_server_init_full_ec(tls, chain, count, BR_KEYTYPE_EC, &key->ec);
}

void peer_forget(void)
{
    br_ssl_session_cache_lru_init(&sessions, session_room, sizeof session_room);
}

void peer_open(struct peer *peer, unsigned kind, unsigned choices, struct bytes changes,
               struct bytes text)
{
    static br_x500_name names[2] = {{(unsigned char *)"\x30\x00", 2}, {(unsigned char *)"0", 1}};

    peer->x509 = &believing;
    peer->cert = peer->messages = 0;
    peer->changes = changes;
    peer->text = text;
    peer->has_changed_keys = false;
    peer->out_len = 0;
    set_identity(&peer->tls, &peer_identity(kind)->server, choices & 4);
    br_ssl_engine_set_versions(&peer->tls.eng, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_x509(&peer->tls.eng, &peer->x509);
    br_ssl_engine_set_default_rsavrfy(&peer->tls.eng); /* else it takes no certificate */
    br_ssl_engine_set_default_ecdsa(&peer->tls.eng);
    if (!(choices & 1)) /* else it is not mutual */
        br_ssl_server_set_trust_anchor_names(&peer->tls, names, 2);
    if (choices & 2)
        br_ssl_server_set_cache(&peer->tls, &sessions.vtable);
    br_ssl_engine_set_buffer(&peer->tls.eng, peer->buffer, sizeof peer->buffer, 1);
    FUZZ_CHECK(br_ssl_server_reset(&peer->tls));
}

size_t peer_take(struct peer *peer, const uint8_t *data, size_t len)
{
    size_t room, taken = 0;
    unsigned char *at;

    while (taken < len && (at = br_ssl_engine_recvrec_buf(&peer->tls.eng, &room))) {
        if (room > len - taken)
            room = len - taken;
        memcpy(at, data + taken, room);
        br_ssl_engine_recvrec_ack(&peer->tls.eng, room);
        taken += room;
        while ((at = br_ssl_engine_recvapp_buf(&peer->tls.eng, &room)))
            br_ssl_engine_recvapp_ack(&peer->tls.eng, room);
    }
    return taken;
}

/* ---- what is damaged ----------------------------------------------------------------------------
 */

/* Puts len bytes at a place of a message, or takes them from there. */
static void insert(uint8_t *message, size_t *len, size_t at, uint8_t byte, size_t count)
{
    memmove(message + at + count, message + at, *len - at);
    memset(message + at, byte, count);
    *len += count;
}

static void cut_out(uint8_t *message, size_t *len, size_t at, size_t count)
{
    if (count > *len - at)
        count = *len - at;
    memmove(message + at, message + at + count, *len - at - count);
    *len -= count;
}

/* A message is as long as it then is, or still says what it said. */
static void set_length(uint8_t *message, size_t len)
{
    if (len < MESSAGE_HEADER)
        return;
    message[1] = (uint8_t)((len - MESSAGE_HEADER) >> 16);
    message[2] = (uint8_t)((len - MESSAGE_HEADER) >> 8);
    message[3] = (uint8_t)(len - MESSAGE_HEADER);
}

/* Does one change to a message that has room for 256 bytes more. */
static void change(const uint8_t *how, uint8_t *message, size_t *len)
{
    const size_t at = *len ? (size_t)(how[2] << 8 | how[3]) % *len : 0;

    switch (how[1] & 7) {
    case 0: message[at] ^= *len ? how[4] : 0; break;
    case 1: message[at] = *len ? how[4] : message[at]; break;
    case 2: insert(message, len, at, how[4], 1 + (how[1] >> 4)); break;
    case 3: cut_out(message, len, at, 1 + how[4] % 64); break;
    case 4: *len = at; break;
    case 5: *len = 0; break;
    case 6: insert(message, len, *len, how[4], how[1] >> 4); break;
    default: message[0] = how[4]; break;
    }
    if (how[1] & 8)
        set_length(message, *len);
}

static void put(struct peer *peer, const uint8_t *data, size_t len)
{
    if (len > sizeof peer->out - peer->out_len)
        len = sizeof peer->out - peer->out_len;
    memcpy(peer->out + peer->out_len, data, len);
    peer->out_len += len;
}

static void put_record(struct peer *peer, unsigned type, const uint8_t *data, size_t len)
{
    const uint8_t header[HEADER] = {(uint8_t)type, 3, 3, (uint8_t)(len >> 8), (uint8_t)len};

    put(peer, header, sizeof header);
    put(peer, data, len);
}

unsigned peer_change(struct bytes changes, unsigned number, unsigned *type, uint8_t *message,
                     size_t *len)
{
    bool twice = false;

    for (; changes.len >= PEER_CHANGE; changes.data += PEER_CHANGE, changes.len -= PEER_CHANGE) {
        if (changes.data[0] % 16 != number % 16 || *len > PEER_MESSAGE_MAX - 512)
            continue;
        change(changes.data, message, len);
        twice = twice || changes.data[0] & 0x40;
        if (changes.data[0] & 0x80)
            *type = changes.data[4] % 24;
    }
    return twice ? 2 : 1;
}

/* Sends a message, changed as the input says; twice, where it says so. */
static void send_message(struct peer *peer, unsigned type, const uint8_t *data, size_t len)
{
    uint8_t message[PEER_MESSAGE_MAX];
    unsigned times;

    memcpy(message, data, len);
    for (times = peer_change(peer->changes, peer->messages++, &type, message, &len); times > 0;
         times--)
        if (len > 0)
            put_record(peer, type, message, len);
}

/* Messages of the handshake one by one, each in a record of its own; other records as a whole. */
static void send_record(struct peer *peer, const uint8_t *record, size_t len)
{
    const uint8_t *at = record + HEADER, *end = record + len;

    if (record[0] != HANDSHAKE || peer->has_changed_keys) {
        peer->has_changed_keys = peer->has_changed_keys || record[0] == CHANGE_CIPHER_SPEC;
        send_message(peer, record[0], at, (size_t)(end - at));
        return;
    }
    while (end - at >= MESSAGE_HEADER) {
        size_t size = MESSAGE_HEADER + ((size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3]);

        if (size > (size_t)(end - at))
            size = (size_t)(end - at);
        send_message(peer, record[0], at, size);
        at += size;
    }
}

/* What it has to say once the handshake is over, and then no more. */
static void speak(struct peer *peer)
{
    size_t room;
    unsigned char *at = br_ssl_engine_sendapp_buf(&peer->tls.eng, &room);

    if (!at || peer->text.len == 0)
        return;
    if (room > peer->text.len)
        room = peer->text.len;
    memcpy(at, peer->text.data, room);
    br_ssl_engine_sendapp_ack(&peer->tls.eng, room);
    br_ssl_engine_flush(&peer->tls.eng, 0);
    peer->text = bytes_of(peer->text.data + room, peer->text.len - room);
    if (peer->text.len == 0)
        br_ssl_engine_close(&peer->tls.eng);
}

struct bytes peer_give(struct peer *peer)
{
    const unsigned char *at;
    size_t len;

    speak(peer);
    while (peer->out_len < sizeof peer->out / 2 &&
           (at = br_ssl_engine_sendrec_buf(&peer->tls.eng, &len))) {
        if (len > HEADER)
            send_record(peer, at, len);
        br_ssl_engine_sendrec_ack(&peer->tls.eng, len);
        speak(peer);
    }
    return bytes_of(peer->out, peer->out_len);
}

void peer_sent(struct peer *peer, size_t len)
{
    peer->out_len -= len;
    memmove(peer->out, peer->out + len, peer->out_len);
}
