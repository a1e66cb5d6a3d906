/* SPDX-License-Identifier: Apache-2.0 */
#ifndef X509_DER_H
#define X509_DER_H

#include <stdbool.h>

#include "base/bytes.h"

/*
 * A strict reader of DER (X.690 section 10): definite lengths in their shortest form, one-byte
 * tags. Each function takes one element off the front of *in; false, and *in as it was, where that
 * is another element, damaged or cut off. Calls join with &&. Values are views.
 */
enum der_tag {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT = 0x80,            /* | number: [n] IMPLICIT of a primitive type */
    DER_CONTEXT_CONSTRUCTED = 0xA0 /* | number: [n] EXPLICIT, or IMPLICIT of a constructed type */
};

struct der {
    unsigned tag;
    struct bytes value; /* content */
    struct bytes whole; /* with its header */
};

/* Any element. */
bool der_any(struct bytes *in, struct der *element);

/* The content of an element that must have this tag. */
bool der_take(struct bytes *in, unsigned tag, struct bytes *value);

/*
 * As der_take(); where the next element has another tag, or there is none, true with value->data
 * NULL and nothing taken.
 */
bool der_take_optional(struct bytes *in, unsigned tag, struct bytes *value);

/*
 * An INTEGER that is not negative, shortest form: big-endian without leading zeros, so that zero
 * has no bytes.
 */
bool der_unsigned(struct bytes *in, struct bytes *number);

#endif
