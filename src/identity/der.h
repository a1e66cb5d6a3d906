/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IDENTITY_DER_H
#define IDENTITY_DER_H

#include <stdbool.h>

#include "base/bytes.h"

enum der_tag {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_CONTEXT_0 = 0xA0, /* [0], constructed */
    DER_CONTEXT_1 = 0xA1
};

/* Whether in begins with an element of that tag. */
static inline bool der_is(struct bytes in, unsigned tag)
{
    return in.len > 0 && in.data[0] == tag;
}

/*
 * Takes the element that *in begins with off it, if it has the tag (of one byte) and its length is
 * definite, in the shortest form (X.690 section 10.1), and within *in. *content may be in itself.
 */
static inline bool der_take(struct bytes *in, unsigned tag, struct bytes *content)
{
    size_t header = 2, len, i;

    if (in->len < 2 || in->data[0] != tag)
        return false;
    len = in->data[1];
    if (len >= 0x80) {
        header += len & 0x7F;
        if (header == 2 || header > 5 || header > in->len)
            return false;
        for (len = 0, i = 2; i < header; i++)
            len = len << 8 | in->data[i];
        if (len < 0x80 || len >> (8 * (header - 3)) == 0)
            return false;
    }
    if (len > in->len - header)
        return false;
    *content = bytes_of(in->data + header, len);
    if (content != in)
        *in = bytes_of(content->data + len, in->len - header - len);
    return true;
}

#endif
