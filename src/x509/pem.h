/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IDENTITY_PEM_H
#define IDENTITY_PEM_H

#include <stdbool.h>

#include "base/buf.h"

/*
 * A tolerant PEM reader (RFC 7468, lax): text around blocks, CR, CRLF or LF, white space at line
 * ends, lines of any length. What is between a BEGIN and its END must be base64, whole and with
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
 * 1: *block describes the next block and its bytes were appended to der; 0: no more; -1: a block
 * that is damaged (block->label says which, "" where unknown) or no room.
 */
int pem_next(struct pem_reader *reader, struct pem_block *block, struct buf *der);

/* Whether the label is one of a private key, of whatever format. */
bool pem_is_private_key(const struct pem_block *block);

/* The label as it may be shown: one that nobody knows may be a secret itself, and is "unknown". */
const char *pem_label_name(const struct pem_block *block);

/* Appends one block, lines of 64, LF, final newline. */
int pem_append(struct buf *out, const char *label, struct bytes der);

#endif
