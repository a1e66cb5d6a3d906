/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_SAID_H
#define AWS_SAID_H

#include "base/buf.h"

/*
 * Appends the message of an answer that has none of AWS's forms: a message of JSON by another name,
 * the title of an HTML page, the text of XML, or the plain text, with white space as one blank. Use
 * it only for refusals: an answer that should hold secrets may hold them in another form. The
 * message is as hostile as the answer, and must be redacted. out stays as it was where memory is
 * short.
 */
void said_read(struct bytes body, struct buf *out);

/* The title of an HTML page, redacted, as " (\"Sign in\")", for an answer that should be another;
 * else "". */
#define SAID_TITLE_MAX 96
const char *said_title(struct bytes body, char out[SAID_TITLE_MAX]);

#endif
