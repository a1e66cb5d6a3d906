/* SPDX-License-Identifier: Apache-2.0 */
#ifndef X509_NAME_H
#define X509_NAME_H

#include "x509/verify.h"

/* A host as somebody wrote it: a DNS name, or an IP address. */
struct host {
    struct bytes dns;    /* without a final dot; data NULL: an address */
    uint8_t address[16]; /* in network order */
    size_t address_len;  /* 4 or 16 */
};

/*
 * false where text is neither. What resolvers take for an address ("127.1", "0x7f000001") is never
 * a DNS name.
 */
bool host_read(struct host *host, struct bytes text);

/*
 * Whether text is a DNS name of labels of letters, digits and hyphens (RFC 1123 2.1), for a lax
 * reader also underscores; no final dot, no wildcard.
 */
bool dns_name_valid(struct bytes text, bool strict);

/*
 * Whether the certificate is for the host (RFC 9525 section 6): VERIFY_OK, VERIFY_NAME_MISMATCH, or
 * VERIFY_COMMON_NAME_ONLY where only the common name matches and allow_cn is off.
 */
enum verify_status name_verify(const struct cert *leaf, const char *name, bool allow_cn,
                               char reason[VERIFY_REASON_MAX]);

#endif
