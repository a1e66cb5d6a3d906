/* SPDX-License-Identifier: Apache-2.0 */
#ifndef X509_CERT_PARTS_H
#define X509_CERT_PARTS_H

#include "x509/cert.h"

/* The parts of cert_parse(). Each returns false or -1 where its part is malformed. */

/* The content of Extensions' SEQUENCE. */
int cert_read_extensions(struct cert *cert, struct bytes in, char reason[CERT_REASON_MAX]);

/* cert->spki. A key of an unknown kind is well-formed: key_type 0. */
bool cert_read_key(struct cert *cert);

/*
 * The content of AlgorithmIdentifier's SEQUENCE. An unknown algorithm is well-formed:
 * signature_key 0.
 */
bool cert_read_signature_algorithm(struct cert *cert, struct bytes algorithm);

/* Puts the clause into reason; -1. */
int cert_refuse(char reason[CERT_REASON_MAX], const char *why);

/* Takes a BIT STRING; unused (NULL: must be 0) is how many of its last bits do not count. */
bool cert_take_bits(struct bytes *in, struct bytes *bits, unsigned *unused);

#endif
