/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/cbor.h"

enum { ONE_BYTE = 24, EIGHT_BYTES = 27, INDEFINITE = 31, BREAK = 0xFF };

static struct bytes skip_bytes(struct bytes in, size_t len)
{
    return bytes_of(in.data + len, in.len - len);
}

/* What stands in the head's low bits, or in the 1, 2, 4 or 8 bytes behind it. */
static bool take_number(struct bytes *in, unsigned low, uint64_t *number)
{
    size_t len, i;

    *number = low;
    if (low < ONE_BYTE)
        return true;
    len = (size_t)1 << (low - ONE_BYTE);
    if (low > EIGHT_BYTES || in->len < len)
        return false;
    for (*number = i = 0; i < len; i++)
        *number = *number << 8 | in->data[i];
    *in = skip_bytes(*in, len);
    return true;
}

bool cbor_take(struct bytes *in, struct cbor *item)
{
    struct bytes rest = *in;
    unsigned low;

    if (rest.len == 0)
        return false;
    *item = (struct cbor){.type = (enum cbor_type)(rest.data[0] >> 5)};
    low = rest.data[0] & 31U;
    rest = skip_bytes(rest, 1);
    item->open = low == INDEFINITE && (item->type == CBOR_ARRAY || item->type == CBOR_MAP);
    if (!item->open && !take_number(&rest, low, &item->number))
        return false;
    if (item->type == CBOR_BYTES || item->type == CBOR_TEXT) {
        if (item->number > rest.len)
            return false;
        item->text = bytes_of(rest.data, (size_t)item->number);
        rest = skip_bytes(rest, item->text.len);
    }
    *in = rest;
    return true;
}

bool cbor_take_type(struct bytes *in, enum cbor_type type, struct cbor *item)
{
    return cbor_take(in, item) && item->type == type;
}

bool cbor_more(struct bytes *in, const struct cbor *list, uint64_t *taken)
{
    if (!list->open)
        return (*taken)++ < list->number;
    if (in->len == 0 || in->data[0] != BREAK)
        return true;
    *in = skip_bytes(*in, 1);
    return false;
}
