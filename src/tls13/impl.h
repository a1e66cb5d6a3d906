/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS13_IMPL_H
#define TLS13_IMPL_H

#include "tls13/tls13.h"

/* Inside tls13/. RFC 8446 unless another one is named. */

/* Record types (section 5.1), messages (4), extensions (4.2), alerts (6). */
enum { CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, APPLICATION_DATA = 23 };
enum {
    HELLO_REQUEST = 0,
    CLIENT_HELLO = 1,
    SERVER_HELLO = 2,
    NEW_SESSION_TICKET = 4,
    ENCRYPTED_EXTENSIONS = 8,
    CERTIFICATE = 11,
    CERTIFICATE_REQUEST = 13,
    CERTIFICATE_VERIFY = 15,
    FINISHED = 20,
    KEY_UPDATE = 24,
    MESSAGE_HASH = 254
};
enum {
    EXT_SERVER_NAME = 0,
    EXT_SUPPORTED_GROUPS = 10,
    EXT_SIGNATURE_ALGORITHMS = 13,
    EXT_ALPN = 16,
    EXT_RECORD_SIZE_LIMIT = 28,
    EXT_PRE_SHARED_KEY = 41,
    EXT_SUPPORTED_VERSIONS = 43,
    EXT_COOKIE = 44,
    EXT_PSK_MODES = 45,
    EXT_KEY_SHARE = 51
};
enum { CLOSE_NOTIFY = 0, USER_CANCELED = 90 };
enum { HEADER_SIZE = 4, RANDOM_SIZE = 32, RECORD_MAX = 16384 };

static inline void put16(uint8_t *out, size_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static inline void put24(uint8_t *out, size_t value)
{
    out[0] = (uint8_t)(value >> 16);
    put16(out + 1, value);
}

static inline unsigned get16(const uint8_t *in)
{
    return (unsigned)in[0] << 8 | in[1];
}

static inline uint32_t get24(const uint8_t *in)
{
    return (uint32_t)in[0] << 16 | get16(in + 1);
}

/*
 * A view that is read from its front. What runs out of it gives zeros, and bad stays.
 */
struct view {
    const uint8_t *data;
    size_t len;
    bool bad;
};

struct view view_take(struct view *view, size_t len);
uint32_t view_number(struct view *view, size_t bytes);
/* A vector with a length of so many bytes in front. */
struct view view_vector(struct view *view, size_t bytes);

/* ---- schedule.c: section 7 */

/* HKDF-Expand-Label (7.1) with an empty context, for at most 255 bytes. out may be the secret. */
void schedule_expand(const struct tls13 *tls, const uint8_t *secret, const char *label,
                     uint8_t *out, size_t len);
/* What the schedule begins with (7.1): the key of the session that was offered, or none. */
void schedule_begin(struct tls13 *tls, const uint8_t *psk);
/* The proof of that key in a ClientHello (4.2.11.2), whose transcript ends before it. */
void schedule_binder(const struct tls13 *tls, uint8_t out[TLS13_HASH_MAX]);
/* The secret of tickets, with the transcript up to our Finished; a ticket's key by its nonce. */
void schedule_resumption(struct tls13 *tls);
void schedule_ticket(const struct tls13 *tls, const uint8_t *nonce, size_t len,
                     uint8_t out[TLS13_HASH_MAX]);
/* From the shared secret of the key exchange to the traffic secrets of the handshake. */
void schedule_handshake(struct tls13 *tls, const uint8_t *shared, size_t len);
/* From those to the application's, with the transcript up to the server's Finished. */
void schedule_application(struct tls13 *tls);
/* The next traffic secret (7.2) in place of this one. */
void schedule_update(const struct tls13 *tls, uint8_t secret[TLS13_HASH_MAX]);
/* verify_data (4.4.4) by a traffic secret for that hash of the transcript. */
void schedule_finished(const struct tls13 *tls, const uint8_t *secret, const uint8_t *transcript,
                       uint8_t out[TLS13_HASH_MAX]);
/* The hash of the transcript so far. */
void schedule_transcript(const struct tls13 *tls, uint8_t out[TLS13_HASH_MAX]);
/* Sets up a suite of TLS 1.3: its hash; false for a number that was not offered. */
bool schedule_suite(struct tls13 *tls, unsigned suite);

/* ---- record.c: section 5 */

/* What the server takes in a record (RFC 8449 section 4); the limit is BearSSL's (inner.h). */
enum { RECORD_LIMIT_MIN = 64 };
void br_ssl_engine_new_max_frag_len(br_ssl_engine_context *engine, unsigned len);
void record_limit(br_ssl_engine_context *engine, size_t len);

/* Keys of a traffic secret for what the server, or what we, send from now on. */
void record_keys_in(struct tls13 *tls, const uint8_t *secret);
void record_keys_out(struct tls13 *tls, const uint8_t *secret);

/* ---- reader.c */

/* Asks for a part of the message that is being read: then() is called with it in reader.item. */
void reader_want(struct tls13 *tls, size_t len, void (*then)(struct tls13 *));
/* The same for all of the message, behind its header. */
void reader_whole(struct tls13 *tls, void (*then)(struct tls13 *));
/* Passes so many bytes to a sink; NULL: to nobody. Then calls then(). */
void reader_pass(struct tls13 *tls, size_t len,
                 void (*sink)(struct tls13 *, const uint8_t *, size_t),
                 void (*then)(struct tls13 *));
/* The message is over: its end must be here. */
void reader_end(struct tls13 *tls);
/* Whether a message has begun and not ended. */
bool reader_within(const struct tls13 *tls);
/* Takes in what the engine has of a handshake record. */
void reader_feed(struct tls13 *tls);

/* ---- the messages: each begins to read one, whose header is in reader.item */

void server_hello_begin(struct tls13 *tls);         /* server_hello.c */
void extensions_begin(struct tls13 *tls);           /* server_flight.c */
void request_begin(struct tls13 *tls);              /* server_flight.c */
void certificate_begin(struct tls13 *tls);          /* server_flight.c */
void verify_begin(struct tls13 *tls);               /* server_proof.c */
void finished_begin(struct tls13 *tls);             /* server_proof.c */
void after_begin(struct tls13 *tls, unsigned type); /* after.c */

/* The content that a CertificateVerify signs (4.4.3), hashed; its length, 0 for no such scheme. */
size_t proof_digest(const struct tls13 *tls, unsigned number, const char *context,
                    const uint8_t *transcript, uint8_t out[64]);

/* ---- client_hello.c */

/* Adds what TLS 1.3 wants to the ClientHello that BearSSL wrote. */
void client_hello_extend(struct tls13 *tls);
/*
 * Makes the second one (4.1.2) of the first, which still lies where it was: a ChangeCipherSpec went
 * since, which took its first byte.
 */
void client_hello_again(struct tls13 *tls);

/* ---- share.c: 4.2.8 */

enum { POINT_MAX = 133 };
/* Whether the engine has that group. */
bool share_is_known(const struct tls13 *tls, unsigned group);
/* A new scalar of ours for the group; its public value at out: the length. */
size_t share_make(struct tls13 *tls, unsigned group, uint8_t out[POINT_MAX]);
/* The shared secret at out: its length; 0 where the server's share is not good. */
size_t share_agree(const struct tls13 *tls, struct view share, uint8_t out[POINT_MAX]);

/* ---- client_flight.c */

/* Writes what is due, as far as there is room; whether it has written anything. */
bool flight_write(struct tls13 *tls);

/* ---- tls13.c */

void tls13_fail(struct tls13 *tls, int error);

#endif
