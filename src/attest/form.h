/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ATTEST_FORM_H
#define ATTEST_FORM_H

#include "base/buf.h"

struct err;

/*
 * Appends the document that text carries: as it is, as hexadecimal, as base64, or as either in a
 * member of a JSON object. Which one it is is seen by its first bytes. The member is called field;
 * NULL: by one of the names in use (attestation, attestation_doc, attestation_document, document).
 * ERR_ATTEST_MALFORMED.
 */
int attest_form_read(struct buf *out, struct bytes text, const char *field, struct err *err);

#endif
