/* SPDX-License-Identifier: Apache-2.0 */
#ifndef X509_PEM_H
#define X509_PEM_H

#include <stdbool.h>

#include "base/buf.h"

struct err;

/*
 * A tolerant PEM reader (RFC 7468, lax): text around blocks, CR, CRLF or LF, white space at line
 * ends, lines of any length. The text between a BEGIN and its END must be base64, whole and with
 * right padding.
 */
struct pem_reader {
    struct bytes rest; /* set to the text; advanced by pem_next() */
};

#define PEM_LABEL_MAX 64
struct pem_block {
    char label[PEM_LABEL_MAX]; /* "CERTIFICATE", "PRIVATE KEY"… */
    bool encrypted;            /* an RFC 1421 header "Proc-Type: 4,ENCRYPTED" stood in it */
    struct bytes text;         /* the whole block, in the reader's text */
};

/*
 * PEM_BLOCK: *block describes the next block, whose bytes are appended to der. For a damaged one,
 * block->label is its label, "" where unknown. After any other result there are no more blocks.
 */
enum pem_found { PEM_NO_ROOM = -2, PEM_DAMAGED = -1, PEM_END = 0, PEM_BLOCK = 1 };
enum pem_found pem_next(struct pem_reader *reader, struct pem_block *block, struct buf *der);

/* The err of PEM_DAMAGED (ERR_PEM_INVALID) or PEM_NO_ROOM (ERR_MEMORY_FULL); -1. */
int pem_fail(enum pem_found found, const struct pem_block *block, const char *subject,
             struct err *err);

/*
 * The err of a text in which there is no block of the kind that is wanted; other: the last block
 * that is there, its label "" where none is. ERR_PEM_INVALID, or what the text is by mistake.
 */
int pem_lacks(const char *wanted, const struct pem_block *other, struct bytes text,
              const char *subject, struct err *err);

/* Whether the label is one of a certificate: also as old OpenSSL and NSS write it. */
bool pem_is_certificate(const struct pem_block *block);

/*
 * All certificates of a PEM text, in their order: their DER is appended to der, and cert, which has
 * room for max, gets views into it, which hold until der grows again. Blocks of other kinds are
 * left out. PEM_END; PEM_BLOCK: there are more than max; else as pem_next(), and bad says which.
 */
struct pem_list {
    struct bytes *cert;
    size_t max, count;
    bool private_key;            /* one of the blocks so far was one */
    struct pem_block bad, other; /* other: the last that is no certificate; its label "": none */
};
enum pem_found pem_certificates(struct pem_list *list, struct bytes pem, struct buf *der);

/* Whether the label is one of a private key, of whatever format. */
bool pem_is_private_key(const struct pem_block *block);

/* The label as it may be shown: one that nobody knows may be a secret itself, and is "unknown". */
const char *pem_label_name(const struct pem_block *block);

/* Appends one block, lines of 64, LF, final newline. */
int pem_append(struct buf *out, const char *label, struct bytes der);

#endif
