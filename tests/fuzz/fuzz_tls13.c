/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client against a server of TLS 1.3 that says what the input tells it to, under the right
 * keys: bytes of choices for the client (client.h), the server (enum choice) and its key (enum
 * kind), how many changes, the changes of its messages (peer.h), and what else is said, before
 * which message or once the handshake is over. A client that resumes comes twice. The server's
 * secrets are the client's own, as far as that has come, and so are its transcripts: what one has
 * wrong the other has as well, which others' servers are to find.
 */
#include "client.h"
#include "fuzz.h"
#include "identity/identity.h"
#include "peer.h"
#include "tls13/impl.h"
#include "x509/key.h"

enum choice { GROUP = 3, SUITE = 12, ASKS = 16, RETRIES = 32, PADS = 64, SPLITS = 128 };
enum kind { KINDS = 63, OFFERS_PROTOCOL = 64, ONLY_13 = 128 };
enum { MESSAGE_MAX = PEER_MESSAGE_MAX, RECORD_HEADER = 5, TAG_SIZE = 16, PADDING = 100 };
enum { LONGEST = RECORD_MAX + 16 };

/*
 * What may be said besides: which of these, plus 16 times before what; then the length of its
 * content, LONG for a short one again and again; then that. The last three are the client's: what
 * it does, and whether anybody takes what it sends.
 */
enum saying {
    TICKET,
    UPDATE,
    DATA,
    SAY_ALERT,
    SAY_HANDSHAKE,
    SAY_CHANGE,
    CLEAR,
    CLIENT_ASKS,
    CLIENT_CLOSES,
    DEAF,
    SAYINGS
};
enum { LONG = 255 };
enum before {
    NOTHING, /* behind the handshake */
    BEFORE_RETRY,
    BEFORE_HELLO,
    BEFORE_EXTENSIONS,
    BEFORE_REQUEST,
    BEFORE_CERTIFICATE,
    BEFORE_VERIFY,
    BEFORE_FINISHED,
    BEFORES
};

static struct client_tls client;

/* The server: what it does, and what it seals with. */
static struct {
    unsigned choices, kind;
    struct bytes changes, text;
    bool deaf;
    unsigned messages; /* that have passed */
    uint8_t secret[TLS13_HASH_MAX];
    uint64_t sequence;
} server;

void fuzz_begin(void)
{
    unsigned kind;

    for (kind = 0; kind < PEER_KINDS; kind++)
        (void)peer_identity(kind);
}

static struct tls13 *of_client(void)
{
    return (struct tls13 *)(void *)client.tls.eng.handshake;
}

/* What the client says goes nowhere. */
static void listen(void)
{
    size_t len;

    while (!server.deaf && br_ssl_engine_sendrec_buf(&client.tls.eng, &len))
        br_ssl_engine_sendrec_ack(&client.tls.eng, len);
}

/* Section 5.2, by other code than the client's. */
static void seal(uint8_t *text, size_t len, const uint8_t header[RECORD_HEADER])
{
    struct tls13 *tls = of_client();
    const size_t key_len = tls->suite == TLS13_AES_128_GCM_SHA256 ? 16 : 32;
    uint8_t key[32], nonce[12];
    br_aes_ct64_ctr_keys aes;
    br_gcm_context gcm;
    unsigned i;

    if (memcmp(server.secret, tls->theirs, sizeof server.secret) != 0)
        server.sequence = 0;
    memcpy(server.secret, tls->theirs, sizeof server.secret);
    schedule_expand(tls, server.secret, "key", key, key_len);
    schedule_expand(tls, server.secret, "iv", nonce, sizeof nonce);
    for (i = 0; i < 8; i++)
        nonce[11 - i] ^= (uint8_t)(server.sequence >> 8 * i);
    server.sequence++;
    if (tls->suite == TLS13_CHACHA20_POLY1305_SHA256) {
        br_poly1305_ctmul_run(key, nonce, text, len, header, RECORD_HEADER, text + len,
                              br_chacha20_ct_run, 1);
        return;
    }
    br_aes_ct64_ctr_init(&aes, key, key_len);
    br_gcm_init(&gcm, &aes.vtable, br_ghash_ctmul64);
    br_gcm_reset(&gcm, nonce, sizeof nonce);
    br_gcm_aad_inject(&gcm, header, RECORD_HEADER);
    br_gcm_flip(&gcm);
    br_gcm_run(&gcm, 1, text, len);
    br_gcm_get_tag(&gcm, text + len);
}

/* A record, sealed where the client awaits that, and as long as its length can say. */
static void send_record(unsigned type, const uint8_t *data, size_t len, bool clear)
{
    static uint8_t record[RECORD_HEADER + MESSAGE_MAX + PADDING + 1 + TAG_SIZE];
    uint8_t *text = record + RECORD_HEADER;
    const bool sealed = client.tls.eng.incrypt && !clear;
    size_t size = len, taken;

    memcpy(text, data, len);
    if (sealed) {
        text[size++] = (uint8_t)type;
        memset(text + size, 0, PADDING);
        size += server.choices & PADS ? PADDING : 0;
    }
    record[0] = sealed ? APPLICATION_DATA : (uint8_t)type;
    put16(record + 1, BR_TLS12);
    put16(record + 3, size + (sealed ? TAG_SIZE : 0));
    if (sealed) {
        seal(text, size, record);
        size += TAG_SIZE;
    }
    size += RECORD_HEADER;
    taken = client_take(&client, bytes_of(record, size));
    if (taken < size)
        server.deaf = false; /* it takes no more before somebody does */
    listen();
    (void)client_take(&client, bytes_of(record + taken, size - taken));
    listen();
}

static void send_parts(unsigned type, const uint8_t *data, size_t len)
{
    const size_t first = server.choices & SPLITS && len > 1 ? len / 2 : len;

    send_record(type, data, first, false);
    if (len > first)
        send_record(type, data + first, len - first, false);
}

/* A message whose body is there: changed as the input says. */
static void send_message(unsigned number, uint8_t *message, size_t len)
{
    unsigned type = HANDSHAKE, times;

    message[0] = (uint8_t)number;
    put24(message + 1, len - HEADER_SIZE);
    for (times = peer_change(server.changes, server.messages++, &type, message, &len); times > 0;
         times--)
        if (len > 0)
            send_parts(type, message, len);
}

/* ---- the messages: each writes at the end of one */

static size_t add(uint8_t *message, size_t at, const void *data, size_t len)
{
    memcpy(message + at, data, len);
    return at + len;
}

static size_t add16(uint8_t *message, size_t at, unsigned value)
{
    put16(message + at, value);
    return at + 2;
}

/* What was written since is a vector, whose length goes before it. */
static void close16(uint8_t *message, size_t start, size_t end)
{
    put16(message + start - 2, end - start);
}

static unsigned group(void)
{
    static const unsigned groups[] = {BR_EC_curve25519, BR_EC_secp256r1, BR_EC_secp384r1,
                                      BR_EC_secp521r1};

    return groups[server.choices & GROUP];
}

static size_t add_share(uint8_t *message, size_t at)
{
    const br_ec_impl *ec = br_ec_get_default();
    const uint8_t one[1] = {7};

    at = add16(message, at, EXT_KEY_SHARE) + 2;
    at = add16(message, at, group()) + 2;
    at += ec->mulgen(message + at, one, sizeof one, (int)group());
    return at;
}

static void send_hello(bool retry)
{
    static const uint8_t again[RANDOM_SIZE] = {0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11,
                                               0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
                                               0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E,
                                               0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C};
    const struct tls13 *tls = of_client();
    uint8_t message[MESSAGE_MAX] = {0};
    size_t at = add16(message, HEADER_SIZE, BR_TLS12), start, share;

    at = add(message, at, retry ? again : (const uint8_t[RANDOM_SIZE]){1}, RANDOM_SIZE);
    message[at++] = tls->session_id_len;
    at = add(message, at, tls->session_id, tls->session_id_len);
    at = add16(message, at, TLS13_AES_128_GCM_SHA256 + (server.choices & SUITE) / 4 % 3);
    message[at++] = 0;
    start = at = at + 2;
    at = add(message, at, (const uint8_t[]){0, EXT_SUPPORTED_VERSIONS, 0, 2, 3, 4}, 6);
    if (tls->offered && !retry)
        at = add(message, at, (const uint8_t[]){0, EXT_PRE_SHARED_KEY, 0, 2, 0, 0}, 6);
    share = at;
    at = add_share(message, at);
    if (retry) {
        at = share + 6;
        message[share + 3] = 2;
        at = add(message, at, (const uint8_t[]){0, EXT_COOKIE, 0, 4, 0, 2, 'c', 'k'}, 8);
    } else {
        put16(message + share + 2, at - share - 4);
        put16(message + share + 6, at - share - 8);
    }
    close16(message, start, at);
    send_message(SERVER_HELLO, message, at);
}

static void send_extensions(void)
{
    static const uint8_t list[] = {0,    12, /* */
                                   0,    EXT_SERVER_NAME,
                                   0,    0, /* */
                                   0,    EXT_RECORD_SIZE_LIMIT,
                                   0,    2,
                                   0x40, 0x01,
                                   0,    0};
    uint8_t message[MESSAGE_MAX];
    const size_t len = client.tls.eng.server_name[0] ? 12 : 2;

    (void)add(message, HEADER_SIZE, list, sizeof list);
    put16(message + HEADER_SIZE, len - 2);
    send_message(ENCRYPTED_EXTENSIONS, message, HEADER_SIZE + len);
}

static void send_request(void)
{
    static const uint8_t body[] = {0, 0, 14, 0, EXT_SIGNATURE_ALGORITHMS, 0, 10, 0, 8, 4, 3, 5, 3,
                                   8, 4, 8,  5};
    uint8_t message[MESSAGE_MAX];

    send_message(CERTIFICATE_REQUEST, message, add(message, HEADER_SIZE, body, sizeof body));
}

static void send_certificate(void)
{
    const struct credential *own = &peer_identity(server.kind)->server;
    uint8_t message[MESSAGE_MAX] = {0};
    size_t at = HEADER_SIZE + 1 + 3, i;

    for (i = 0; i < own->chain_count; i++) {
        put24(message + at, own->chain[i].len);
        at = add(message, at + 3, own->chain[i].data, own->chain[i].len);
        at = add16(message, at, 0);
    }
    put24(message + HEADER_SIZE + 1, at - HEADER_SIZE - 4);
    send_message(CERTIFICATE, message, at);
}

static void send_verify(void)
{
    static const unsigned schemes[PEER_KINDS] = {KEY_RSA_PSS_SHA256, KEY_ECDSA_SHA256,
                                                 KEY_ECDSA_SHA384};
    const struct tls13 *tls = of_client();
    const unsigned scheme = schemes[server.kind % PEER_KINDS];
    uint8_t message[MESSAGE_MAX], digest[64], transcript[TLS13_HASH_MAX];
    size_t at = add16(message, HEADER_SIZE, scheme) + 2, len;

    schedule_transcript(tls, transcript);
    len = proof_digest(tls, scheme, "TLS 1.3, server CertificateVerify", transcript, digest);
    len = key_sign(peer_identity(server.kind)->server.key, scheme, bytes_of(digest, len),
                   message + at);
    FUZZ_CHECK(len > 0);
    close16(message, at, at + len);
    send_message(CERTIFICATE_VERIFY, message, at + len);
}

static void send_finished(void)
{
    const struct tls13 *tls = of_client();
    uint8_t message[MESSAGE_MAX], transcript[TLS13_HASH_MAX];

    schedule_transcript(tls, transcript);
    schedule_finished(tls, tls->theirs, transcript, message + HEADER_SIZE);
    send_message(FINISHED, message, HEADER_SIZE + tls->hash_len);
}

/* ---- what is said besides */

static void send_ticket(struct bytes content)
{
    uint8_t message[MESSAGE_MAX] = {[HEADER_SIZE] = 0, 1, 0, 0, 1, 2, 3, 4, 1, 'n'};
    size_t at = HEADER_SIZE + 12;

    if (content.len > 0)
        at = add(message, at, content.data, content.len);
    else
        message[at++] = 't';
    close16(message, HEADER_SIZE + 12, at);
    send_message(NEW_SESSION_TICKET, message, add16(message, at, 0));
}

static void client_asks(size_t len)
{
    br_ssl_engine_context *engine = &client.tls.eng;
    size_t room;
    uint8_t *at = br_ssl_engine_sendapp_buf(engine, &room);

    if (!at)
        return;
    room = len < room ? len : room;
    memset(at, 'a', room);
    br_ssl_engine_sendapp_ack(engine, room); /* not flushed */
}

static void say(enum saying what, struct bytes content)
{
    const uint8_t asks = content.len > 0 ? content.data[0] : 1;
    uint8_t message[HEADER_SIZE + 512] = {0};

    switch (what) {
    case TICKET: send_ticket(content); break;
    case UPDATE:
        message[HEADER_SIZE] = asks;
        send_message(KEY_UPDATE, message, HEADER_SIZE + 1);
        break;
    case DATA: send_parts(APPLICATION_DATA, content.data, content.len); break;
    case SAY_ALERT: send_record(ALERT, content.data, content.len, false); break;
    case SAY_HANDSHAKE: send_parts(HANDSHAKE, content.data, content.len); break;
    case SAY_CHANGE: send_record(CHANGE_CIPHER_SPEC, content.data, content.len, true); break;
    case CLIENT_ASKS: client_asks(content.len); break;
    case CLIENT_CLOSES: br_ssl_engine_close(&client.tls.eng); break;
    case DEAF: server.deaf = content.len > 0; break;
    default: send_record(asks % 32, content.data, content.len, true); break;
    }
}

/* The rest of the input, again and again. */
static struct bytes repeated(struct bytes text)
{
    static uint8_t data[LONGEST];
    size_t i;

    for (i = 0; i < sizeof data; i++)
        data[i] = text.len > 0 ? text.data[i % text.len] : 0;
    return bytes_of(data, sizeof data);
}

static void speak(enum before when)
{
    enum { SAID_MAX = 64 };
    struct bytes text = server.text;
    unsigned i;

    for (i = 0; i < SAID_MAX && text.len > 0; i++) {
        const unsigned what = fuzz_byte(&text);
        const size_t len = fuzz_byte(&text), there = len < text.len ? len : text.len;

        if (what / 16 % BEFORES == when)
            say(what % 16 % SAYINGS, len == LONG ? repeated(text) : bytes_of(text.data, there));
        text = bytes_of(text.data + there, text.len - there);
    }
    listen();
}

/* ---- a connection */

/* What the client has of the handshake once that is over, and what it must not have any more. */
static void check_open(void)
{
    static const uint8_t none[TLS13_SCALAR_MAX];
    const struct tls13 *tls = of_client();
    uint8_t out[255];

    FUZZ_CHECK(!client.connected || !tls13_chosen(tls) || tls->proven);
    FUZZ_CHECK(tls13_export(tls, "label", bytes_of(none, 8), out, sizeof out) ==
               (tls->state == TLS13_OPEN));
    if (tls->state != TLS13_OPEN)
        return;
    FUZZ_CHECK(memcmp(tls->scalar, none, sizeof tls->scalar) == 0);
    FUZZ_CHECK(memcmp(tls->secret, none, sizeof tls->secret) == 0);
    if (!tls->resumed) /* else the full handshake before counts */
        FUZZ_CHECK(!tls_session_record(client.session)->certificate_sent || tls->requested);
}

static void send_proof(void)
{
    if (server.choices & ASKS)
        send_request();
    speak(BEFORE_CERTIFICATE);
    send_certificate();
    speak(BEFORE_VERIFY);
    if (of_client()->hash) /* else the ServerHello was none to it */
        send_verify();
}

static void shake(const struct tls_policy *policy, struct tls_cache *cache)
{
    if (!client_open(&client, policy, cache)) {
        FUZZ_CHECK(fuzz_starved());
        return;
    }
    server.messages = 0;
    memset(server.secret, 0, sizeof server.secret);
    server.deaf = false;
    speak(BEFORE_RETRY); /* the ClientHello may not be out yet */
    if (server.choices & RETRIES)
        send_hello(true);
    speak(BEFORE_HELLO);
    send_hello(false);
    speak(BEFORE_EXTENSIONS);
    send_extensions();
    speak(BEFORE_REQUEST);
    if (!of_client()->resumed)
        send_proof();
    speak(BEFORE_FINISHED);
    if (of_client()->hash)
        send_finished();
    check_open();
    speak(NOTHING);
    check_open();
    client_close(&client);
}

void fuzz(struct bytes input)
{
    static const uint8_t ticket[] = {TICKET, 0};
    const unsigned choices = fuzz_byte(&input);
    struct tls_policy policy = client_policy(choices);
    struct tls_cache *cache =
        choices & CLIENT_RESUMES ? tls_cache_new(TLS_CACHE_MAX, TLS_CACHE_EVERY) : NULL;
    size_t changes;

    server.choices = fuzz_byte(&input);
    server.kind = fuzz_byte(&input);
    policy.versions = server.kind & ONLY_13 ? TLS_13 : TLS_12_OR_13;
    client.offers_protocol = server.kind & OFFERS_PROTOCOL;
    server.kind = (server.kind & KINDS) % PEER_KINDS;
    changes = fuzz_byte(&input) % 16 * PEER_CHANGE;
    changes = changes < input.len ? changes : input.len;
    server.changes = bytes_of(NULL, 0);
    server.text = bytes_of(ticket, sizeof ticket);
    if (cache)
        shake(&policy, cache);
    server.changes = bytes_of(input.data, changes);
    server.text = bytes_of(input.data + changes, input.len - changes);
    shake(&policy, cache);
    tls_cache_free(cache);
}
