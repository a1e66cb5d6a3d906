/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/der.h"

enum { LONG_TAG = 0x1F, LONG_LENGTH = 0x80, LENGTH_BYTES_MAX = 4 };

static bool take_byte(struct bytes *in, uint8_t *byte)
{
    if (in->len == 0)
        return false;
    *byte = *in->data;
    *in = bytes_of(in->data + 1, in->len - 1);
    return true;
}

/* The shortest form of a length has no leading zero, and no second byte for a length under 128. */
static bool take_length(struct bytes *in, size_t *len)
{
    uint8_t first;
    size_t count, i;

    if (!take_byte(in, &first))
        return false;
    *len = first;
    if (first < LONG_LENGTH)
        return true;
    count = first & 0x7Fu;
    if (count == 0 || count > LENGTH_BYTES_MAX || in->len < count || in->data[0] == 0)
        return false;
    for (*len = i = 0; i < count; i++)
        *len = *len << 8 | in->data[i];
    *in = bytes_of(in->data + count, in->len - count);
    return *len >= LONG_LENGTH;
}

bool der_any(struct bytes *in, struct der *element)
{
    struct bytes rest = *in;
    uint8_t tag;
    size_t len;

    if (!take_byte(&rest, &tag) || (tag & LONG_TAG) == LONG_TAG || !take_length(&rest, &len) ||
        len > rest.len)
        return false;
    element->tag = tag;
    element->value = bytes_of(rest.data, len);
    element->whole = bytes_of(in->data, (size_t)(rest.data - in->data) + len);
    *in = bytes_of(rest.data + len, rest.len - len);
    return true;
}

bool der_take(struct bytes *in, unsigned tag, struct bytes *value)
{
    struct bytes rest = *in;
    struct der element;

    if (!der_any(&rest, &element) || element.tag != tag)
        return false;
    *value = element.value;
    *in = rest;
    return true;
}

bool der_take_optional(struct bytes *in, unsigned tag, struct bytes *value)
{
    if (in->len > 0 && in->data[0] == tag)
        return der_take(in, tag, value);
    *value = bytes_of(NULL, 0);
    return true;
}

bool der_unsigned(struct bytes *in, struct bytes *number)
{
    struct bytes rest = *in, value;

    if (!der_take(&rest, DER_INTEGER, &value) || value.len == 0 || value.data[0] >= 0x80 ||
        (value.len > 1 && value.data[0] == 0 && value.data[1] < 0x80))
        return false;
    if (value.data[0] == 0)
        value = bytes_of(value.data + 1, value.len - 1);
    *number = value;
    *in = rest;
    return true;
}
