/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SLIPS_H
#define BASE_SLIPS_H

#include "base/bytes.h"
#include "base/err.h"

/*
 * Recognises a text that is neither PEM nor JSON: another encoding of it, as people store it by
 * mistake. Returns its cause, and in *what a clause: "it is base64 of PEM". ERR_NONE: unknown.
 * ERR_MEMORY_FULL. Decoded text is wiped.
 */
enum err_code slips_find(struct bytes text, const char **what);

#endif
