/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IDENTITY_EXPECT_H
#define IDENTITY_EXPECT_H

#include <stddef.h>

struct cert;
struct err;

/* Whose identity is expected: a guard against another environment's secret. */
struct expected {
    const char *subject; /* with "=": all of it, as cert_subject_text() writes it; else the common
                            name; NULL: any */
    const char *const *sans; /* DNS names, IP addresses and URIs that subjectAltName must hold: what
                                is an address or a URI is met by no DNS name */
    size_t san_count;
    const char *const *cas; /* SHA-256 of certificates, in lower-case hexadecimal: trust no other */
    size_t ca_count;        /* 0: any */
};

/*
 * 0, or -1 with ERR_IDENTITY_UNEXPECTED, whose reason says what was found instead. Names are
 * compared as text: a wildcard matches only itself.
 */
int expect_leaf(const struct expected *expected, const struct cert *leaf, const char *subject,
                struct err *err);

/* The same for a trust anchor, or for a certificate that becomes one. */
int expect_anchor(const struct expected *expected, const struct cert *anchor, const char *subject,
                  struct err *err);

#endif
