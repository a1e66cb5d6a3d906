/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_XML_H
#define AWS_XML_H

#include "base/buf.h"

/*
 * A strict reader of the XML in which AWS's query protocol answers: elements, attributes (skipped),
 * text, the five entities and references to ASCII characters. A document type, comments, CDATA and
 * processing instructions are refused; nesting is bounded.
 *
 * Appends the text of the one element at path, "ErrorResponse/Error/Code". 1: it is there; 0: it is
 * not; -1: the document is no such XML, the element is there twice or holds others, or no room.
 */
int xml_text(struct bytes document, const char *path, struct buf *out);

#endif
