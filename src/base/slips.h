/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SLIPS_H
#define BASE_SLIPS_H

#include "base/bytes.h"
#include "base/err.h"

/*
 * What a text is, that is neither the PEM nor the JSON that was looked for: another encoding of
 * it, as people store it by mistake. Its cause, and in *what a clause: "it is base64 of PEM".
 * ERR_NONE: nothing known. ERR_MEMORY_FULL. What is decoded meanwhile is wiped.
 */
enum err_code slips_find(struct bytes text, const char **what);

#endif
