/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

/* 0xFF where low <= c <= high, else 0: no branch, no table. */
static unsigned in_range(unsigned c, unsigned low, unsigned high)
{
    return (((low - 1 - c) & (c - high - 1)) >> 8) & 0xFF;
}

/* The six bits that a character stands for, or 0xFF where it is not of the alphabet. */
static unsigned six_bits(unsigned c)
{
    unsigned upper = in_range(c, 'A', 'Z'), lower = in_range(c, 'a', 'z');
    unsigned digit = in_range(c, '0', '9'), plus = in_range(c, '+', '+');
    unsigned slash = in_range(c, '/', '/');
    unsigned value = (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (digit & (c - '0' + 52)) |
                     (plus & 62) | (slash & 63);

    return (value & 0x3F) | (~(upper | lower | digit | plus | slash) & 0xFF);
}

static char character(unsigned value)
{
    unsigned upper = in_range(value, 0, 25), lower = in_range(value, 26, 51);
    unsigned digit = in_range(value, 52, 61), plus = in_range(value, 62, 62);
    unsigned slash = in_range(value, 63, 63);

    return (char)((upper & (value + 'A')) | (lower & (value - 26 + 'a')) |
                  (digit & (value - 52 + '0')) | (plus & '+') | (slash & '/'));
}

int base64_decode(struct buf *out, struct bytes text, int skip_space)
{
    unsigned group = 0, count = 0, padding = 0, bad = 0, c;
    size_t i;

    if (buf_reserve(out, base64_decoded_max(text.len)) < 0)
        return -1;
    for (i = 0; i < text.len; i++) {
        c = text.data[i];
        if (skip_space && (c == ' ' || c == '\t' || c == '\r' || c == '\n'))
            continue;
        if (c == '=') {
            padding++;
            c = 'A';
        } else if (padding > 0) {
            return -1;
        }
        bad |= six_bits(c) >> 7;
        group = group << 6 | (six_bits(c) & 0x3F);
        if (++count % 4 == 0) {
            out->data[out->len] = (uint8_t)(group >> 16);
            out->data[out->len + 1] = (uint8_t)(group >> 8);
            out->data[out->len + 2] = (uint8_t)group;
            out->len += 3;
            group &= 0xFFFFFF;
        }
    }
    if (bad || count % 4 != 0 || padding > 2)
        return -1;
    for (; padding > 0; padding--)
        if (out->data[--out->len] != 0)
            return -1; /* bits that no encoder sets */
    if (out->data)
        out->data[out->len] = '\0';
    return 0;
}

int base64_encode(struct buf *out, struct bytes data, size_t line_length)
{
    size_t i, column = 0;

    for (i = 0; i < data.len; i += 3) {
        unsigned left = (unsigned)(data.len - i);
        unsigned group = (unsigned)data.data[i] << 16 |
                         (left > 1 ? (unsigned)data.data[i + 1] << 8 : 0) |
                         (left > 2 ? (unsigned)data.data[i + 2] : 0);
        char four[4] = {character(group >> 18), character(group >> 12 & 63),
                        character(group >> 6 & 63), character(group & 63)};

        if (left < 3)
            four[3] = '=';
        if (left < 2)
            four[2] = '=';
        if (buf_append(out, four, sizeof four) < 0)
            return -1;
        column += sizeof four;
        if (line_length && (column >= line_length || left <= 3)) {
            if (buf_append(out, "\n", 1) < 0)
                return -1;
            column = 0;
        }
    }
    return 0;
}
