/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SECRECY_H
#define BASE_SECRECY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/*
 * Secrets in the wrong place: a private key where a name was meant, a password in a URL. The second
 * net; the first one is that each value has a grammar.
 */

/*
 * Whether text holds a private key, whole or its beginning: PEM (RFC 7468, OpenSSH) or DER (RFC
 * 5958, RFC 5915, RFC 8017), raw or in up to two layers of base64 (RFC 4648, at each phase, either
 * alphabet) or hexadecimal, URL- or JSON-escaped, split over lines or not.
 */
bool secrecy_holds_key(struct bytes text);

/*
 * A text in a form that may be shown: text itself, where there is nothing to hide. Otherwise out,
 * with "***" in place of a URL's user and password, or only the length where the text holds a
 * private key. Cut where it does not fit into out.
 */
const char *secrecy_shown(const char *text, char *out, size_t size);

/* The same in the text's own place, size bytes, for a terminal: control characters become "?", but
 * the ends of lines. */
void secrecy_mask(char *line, size_t size);

/*
 * A value that cannot be what it was put for, to be named in a message: in quotes where it is
 * short, since then it is mistyped; else by its length alone, "(57 bytes)".
 */
#define SECRECY_QUOTED_MAX 40
const char *secrecy_quoted(char out[SECRECY_QUOTED_MAX], const char *value);

#endif
