/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ATTEST_CBOR_H
#define ATTEST_CBOR_H

#include <stdbool.h>

#include "base/bytes.h"

/*
 * A reader of CBOR (RFC 8949), item by item, without recursion: the caller knows which item must
 * come. Arrays and maps may be of indefinite length; strings in chunks are refused.
 */
enum cbor_type {
    CBOR_UNSIGNED,
    CBOR_NEGATIVE, /* -1 - number */
    CBOR_BYTES,
    CBOR_TEXT,
    CBOR_ARRAY,
    CBOR_MAP,
    CBOR_TAG,
    CBOR_SIMPLE /* floating point numbers too */
};

enum { CBOR_NULL = 22 };

struct cbor {
    enum cbor_type type;
    uint64_t number;   /* the value; of a string, array or map, its length */
    struct bytes text; /* of a string: a view, never NULL */
    bool open;         /* an array or map of indefinite length */
};

/* Takes one item's head, and a string whole, off the front of *in; false where it is damaged. */
bool cbor_take(struct bytes *in, struct cbor *item);

/* Takes an item of this type. */
bool cbor_take_type(struct bytes *in, enum cbor_type type, struct cbor *item);

/*
 * Whether another element of an array, or pair of a map, follows; *taken is 0 at first. Takes the
 * end of a list of indefinite length. A list that is cut off has another element, but that cannot
 * be taken.
 */
bool cbor_more(struct bytes *in, const struct cbor *list, uint64_t *taken);

#endif
