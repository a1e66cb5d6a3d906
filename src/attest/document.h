/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ATTEST_DOCUMENT_H
#define ATTEST_DOCUMENT_H

#include <stdbool.h>

#include "base/bytes.h"

struct err;

/*
 * An attestation document of a Nitro Enclave, read and not yet believed: COSE_Sign1 (RFC 9052
 * section 4.2) with ES384 over a map, as AWS's NSM writes it. All are views into what was read.
 */
#define ATTEST_DOCUMENT_MAX 16384
#define ATTEST_PCRS         32
#define ATTEST_PCR_SIZE     48
#define ATTEST_BUNDLE_MAX   8
#define ATTEST_MODULE_MAX   128

struct attest_document {
    struct bytes header, payload, signature; /* of COSE_Sign1 */
    char module[ATTEST_MODULE_MAX + 1];      /* "i-0123456789abcdef0-enc0123456789abcdef": ASCII */
    int64_t timestamp_ms;                    /* since 1970 */
    struct bytes pcr[ATTEST_PCRS];           /* data NULL: the document has no such PCR */
    bool instance;                           /* they are those of an EC2 instance's NitroTPM */
    struct bytes certificate;                /* DER */
    struct bytes bundle[ATTEST_BUNDLE_MAX];  /* the root first */
    size_t bundle_count;
    struct bytes public_key, user_data,
        nonce; /* data NULL: null, or not there; else may be empty */
};

/*
 * Reads all of cose, tagged 18 or not. ERR_ATTEST_MALFORMED: it is no document, or a field is
 * unknown, doubled, or missing.
 */
int attest_document_read(struct attest_document *out, struct bytes cose, struct err *err);

/* Whether a PCR is there and is not all zero. */
bool attest_pcr_set(const struct attest_document *document, unsigned number);

#endif
