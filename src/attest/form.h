/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ATTEST_FORM_H
#define ATTEST_FORM_H

#include "base/buf.h"

struct err;

/*
 * Appends the document in text: raw, hexadecimal, base64, or hexadecimal or base64 in a member of a
 * JSON object. The first bytes decide which form it is. field names the member; NULL: one of the
 * usual names (attestation, attestation_doc, attestation_document, document). ERR_ATTEST_MALFORMED.
 */
int attest_form_read(struct buf *out, struct bytes text, const char *field, struct err *err);

#endif
