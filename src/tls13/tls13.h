/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS13_TLS13_H
#define TLS13_TLS13_H

#include <bearssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * A TLS 1.3 client (RFC 8446) in BearSSL's engine. The engine keeps buffers, records and alerts, so
 * that its user sees no difference. BearSSL's own handshake writes the ClientHello, and goes on
 * alone where the server chooses TLS 1.2. This room adds the parts of 1.3 to the ClientHello, and
 * does everything after a ServerHello that chooses 1.3: key schedule, record protection, messages.
 * The engine's X.509 engine judges certificates; hashes, curves and ciphers are the engine's.
 *
 * No 0-RTT, no client certificates after the handshake.
 */
enum {
    TLS13_VERSION = 0x0304,
    TLS13_AES_128_GCM_SHA256 = 0x1301, /* cipher suites, section B.4 */
    TLS13_AES_256_GCM_SHA384 = 0x1302,
    TLS13_CHACHA20_POLY1305_SHA256 = 0x1303,
    TLS13_HASH_MAX = 48,      /* of SHA-384 */
    TLS13_SCALAR_MAX = 66,    /* of P-521 */
    TLS13_ITEM_MAX = 1024,    /* the longest part of a message that is looked at as a whole */
    TLS13_SIGNATURE_MAX = 512 /* of RSA-4096 */
};

/*
 * What a session is resumed by (section 4.6.1), in addition to its ticket: the key is a secret, the
 * ticket is public.
 */
enum { TLS13_TICKET_MAX = 4096 };
struct tls13_psk {
    int64_t came_ms; /* on clock_ms() */
    uint32_t lifetime_s, age_add;
    uint16_t suite;
    uint8_t key[TLS13_HASH_MAX];
};

/*
 * The owner of the connection: the structure's first field points to such a class. The owner signs,
 * and decides by which key.
 */
typedef struct tls13_owner_class tls13_owner_class;
struct tls13_owner_class {
    /*
     * A CertificateRequest came. schemes: the server's SignatureSchemes, two bytes each. Returns
     * the one to sign by, with the chain to send; 0 sends none.
     */
    unsigned (*choose)(const tls13_owner_class **owner, const uint8_t *schemes, size_t len,
                       const br_x509_certificate **chain, size_t *count);
    /* Signs a hash by that scheme: the signature's length; 0 on failure. */
    size_t (*sign)(const tls13_owner_class **owner, unsigned scheme, const uint8_t *hash,
                   size_t len, uint8_t signature[TLS13_SIGNATURE_MAX]);
};

enum tls13_state {
    TLS13_BEGIN,        /* the ClientHello is not written */
    TLS13_SERVER_HELLO, /* awaited */
    TLS13_LEGACY,       /* the server chose TLS 1.2: BearSSL goes on alone */
    TLS13_RETRY,        /* HelloRetryRequest came, the second ServerHello is awaited */
    TLS13_EXTENSIONS,   /* EncryptedExtensions is awaited */
    TLS13_REQUEST,      /* CertificateRequest, or Certificate */
    TLS13_CERTIFICATE,
    TLS13_VERIFY,
    TLS13_FINISHED,
    TLS13_FLIGHT, /* ours is being sent */
    TLS13_OPEN,   /* the handshake is over */
    TLS13_CLOSING /* close_notify is due, or sent */
};

struct tls13;

/* A message on its way in: parts are gathered, or passed on as they come. */
struct tls13_reader {
    void (*then)(struct tls13 *); /* with the part; NULL: a header is awaited */
    void (*sink)(struct tls13 *, const uint8_t *data,
                 size_t len); /* gets the passed bytes; or NULL */
    uint32_t left;            /* bytes of the message behind the part */
    uint32_t list;            /* bytes of the list that is being read */
    uint32_t pass;            /* bytes to be passed on */
    uint16_t want, have;
    bool hashing;
    uint8_t item[TLS13_ITEM_MAX];
};

/* A flight on its way out. */
struct tls13_writer {
    uint8_t step;
    size_t certificate; /* of the chain */
    size_t at, len;     /* within the part */
    const uint8_t *part;
    uint8_t scratch[8 + TLS13_SIGNATURE_MAX];
};

/*
 * One connection. Lies in the arena; all secrets of it are here and in the engine's context. Its
 * fields are the room's own.
 */
struct tls13 {
    const br_ssl_handshake_class *handshake; /* first: what the engine calls */
    br_ssl_engine_context *engine;
    const tls13_owner_class **owner;
    enum tls13_state state;
    bool only;        /* no TLS 1.2 */
    bool retried;     /* HelloRetryRequest came */
    bool proven;      /* the server's Finished was right: application keys read */
    bool requested;   /* a CertificateRequest came */
    bool change_due;  /* our ChangeCipherSpec */
    bool hello_due;   /* our second ClientHello */
    bool update_due;  /* our KeyUpdate */
    bool close_due;   /* our close_notify */
    bool closed;      /* theirs came */
    uint8_t alert[2]; /* as far as it came */
    uint8_t alert_len;
    uint16_t suite;                 /* 0: not chosen */
    uint16_t group;                 /* of our share */
    uint16_t retry_group;           /* of the second one, 0: as before */
    uint16_t cookie_at, cookie_len; /* for the second one, in the reader's item */
    uint16_t scheme;                /* by which we sign; 0: no certificate is sent */
    const br_hash_class *hash;
    uint8_t hash_len;
    size_t hello_len; /* of the ClientHello as it was sent */
    bool fake_id;     /* the session ID is none, only for middleboxes' sake */
    uint8_t session_id_len;
    uint8_t session_id[32];
    const br_x509_certificate *chain;
    size_t chain_count;
    const uint8_t *offered; /* a ticket */
    size_t offered_len;
    struct tls13_psk psk; /* the one offered, then of the ticket that came last */
    uint8_t *ticket;      /* room for one that comes; NULL: none is wanted */
    size_t ticket_len;    /* of the one that came, as far as it did */
    bool ticket_whole;
    bool resumed;
    uint8_t scalar[TLS13_SCALAR_MAX];
    uint8_t secret[TLS13_HASH_MAX]; /* of the key schedule: handshake, then master */
    uint8_t ours[TLS13_HASH_MAX];   /* traffic secrets: of the handshake, then of the application */
    uint8_t theirs[TLS13_HASH_MAX];
    uint8_t next_ours[TLS13_HASH_MAX]; /* of the application, until our Finished is out */
    uint8_t exporter[TLS13_HASH_MAX];
    uint8_t resumption[TLS13_HASH_MAX];
    uint8_t before[TLS13_HASH_MAX]; /* hash of the transcript up to the message in hand */
    struct tls13_reader reader;
    struct tls13_writer writer;
};

/*
 * Takes part in the engine's next handshake, with or without TLS 1.2. Call it after the engine's
 * algorithms are set, before br_ssl_client_reset().
 */
void tls13_attach(struct tls13 *tls, br_ssl_engine_context *engine, const tls13_owner_class **owner,
                  bool only);

/*
 * After that: offers to resume a session. The ticket stays the caller's, and where it is. A session
 * that is resumed needs a new key exchange all the same (psk_dhe_ke).
 */
void tls13_offer(struct tls13 *tls, const struct tls13_psk *psk, const uint8_t *ticket, size_t len);

/* Takes tickets that come into room, of TLS13_TICKET_MAX bytes; others are passed over. */
void tls13_collect(struct tls13 *tls, uint8_t *room);

/* The last ticket that came: its length in the room; 0: none did. */
size_t tls13_ticket(const struct tls13 *tls, struct tls13_psk *psk);

/* Whether the server chose TLS 1.3, and to resume the session that was offered. */
bool tls13_chosen(const struct tls13 *tls);
bool tls13_resumed(const struct tls13 *tls);

/*
 * Keying material for the user of the connection (RFC 8446 section 7.5), after the handshake: false
 * before that, and for more than 255 bytes.
 */
bool tls13_export(const struct tls13 *tls, const char *label, struct bytes context, uint8_t *out,
                  size_t len);

#endif
