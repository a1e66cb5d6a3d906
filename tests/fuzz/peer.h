/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_PEER_H
#define FUZZ_PEER_H

#include <bearssl.h>
#include <stdbool.h>

#include "base/bytes.h"

struct identity;

/* The identities that are made before fuzzing: "rsa", "ec", "p384"; the server's is the same. */
enum { PEER_KINDS = 3 };
const struct identity *peer_identity(unsigned kind);

/*
 * A TLS server that asks for a client certificate, and takes any, and damages what it says: each
 * change is five bytes, which message of the handshake or record behind it, what is done, where
 * (two bytes), and a byte. What it says behind the handshake is text.
 */
struct peer {
    br_ssl_server_context tls;
    const br_x509_class *x509;
    br_x509_pkey client_key;
    br_x509_decoder_context decoder;
    unsigned cert;         /* of the client's chain, the one that comes */
    struct bytes changes;  /* of the handshake */
    struct bytes text;     /* what is said then */
    bool has_changed_keys; /* from here on records are encrypted */
    unsigned messages;     /* that have passed */
    uint8_t buffer[BR_SSL_BUFSIZE_BIDI];
    uint8_t out[40000]; /* for the client */
    size_t out_len;
};
void peer_open(struct peer *peer, unsigned kind, unsigned choices, struct bytes changes,
               struct bytes text);

/*
 * Changes the message of that number as these changes say, in a buffer of PEER_MESSAGE_MAX bytes,
 * and perhaps the type of its record: how often it is sent.
 */
enum { PEER_CHANGE = 5, PEER_MESSAGE_MAX = 18000 };
unsigned peer_change(struct bytes changes, unsigned number, unsigned *type, uint8_t *message,
                     size_t *len);

/* Forgets the sessions that clients may resume: before each input. */
void peer_forget(void);

/* Takes bytes of the client's: how many. */
size_t peer_take(struct peer *peer, const uint8_t *data, size_t len);

/* What there is for the client now, damaged; peer_sent() takes it away. */
struct bytes peer_give(struct peer *peer);
void peer_sent(struct peer *peer, size_t len);

#endif
