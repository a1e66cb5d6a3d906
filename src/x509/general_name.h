/* SPDX-License-Identifier: Apache-2.0 */
#ifndef X509_GENERAL_NAME_H
#define X509_GENERAL_NAME_H

#include "x509/der.h"

/* GeneralName's choices (RFC 5280 4.2.1.6), by their DER tags. */
enum general_name {
    GENERAL_OTHER = DER_CONTEXT_CONSTRUCTED | 0,
    GENERAL_EMAIL = DER_CONTEXT | 1,
    GENERAL_DNS = DER_CONTEXT | 2,
    GENERAL_X400 = DER_CONTEXT_CONSTRUCTED | 3,
    GENERAL_DIRECTORY = DER_CONTEXT_CONSTRUCTED | 4, /* holds a Name */
    GENERAL_EDI_PARTY = DER_CONTEXT_CONSTRUCTED | 5,
    GENERAL_URI = DER_CONTEXT | 6,
    GENERAL_IP = DER_CONTEXT | 7,
    GENERAL_REGISTERED_ID = DER_CONTEXT | 8
};

/* "DNS:enclave.example", "URI:spiffe://…": without control or non-ASCII bytes, cut to size. */
void general_name_text(const struct der *name, char *out, size_t size);

/* All of a subjectAltName's, with ", " between; what does not fit any more is counted. */
void general_names_text(struct bytes san, char *out, size_t size);

#endif
