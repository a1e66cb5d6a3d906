/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/*
 * Appends the bytes of RFC 4648 base64 text; with skip_space, white space anywhere is ignored
 * (PEM). It checks padding and unused bits. -1: not base64, or no room. Branches and table look-ups
 * do not depend on the data's values.
 */
int base64_decode(struct buf *out, struct bytes text, int skip_space);

/*
 * The room that base64_decode() needs: after buf_reserve() of this size it fails only for the text.
 */
static inline size_t base64_decoded_max(size_t text_len)
{
    return text_len / 4 * 3 + 3;
}

/*
 * Appends base64 in lines of line_length characters, each ended by LF (0: one line, no LF). -1: no
 * room.
 */
int base64_encode(struct buf *out, struct bytes data, size_t line_length);

#endif
