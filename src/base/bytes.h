/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A read-only view of bytes that somebody else owns. Never NUL-terminated by contract. */
struct bytes {
    const uint8_t *data;
    size_t len;
};

static inline struct bytes bytes_of(const void *data, size_t len)
{
    return (struct bytes){data, len};
}

static inline struct bytes bytes_of_text(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

/* Cuts the part before the first separator, or all of it, off the front of text. */
static inline struct bytes bytes_cut(struct bytes *text, char separator)
{
    const uint8_t *end =
        text->len ? (const uint8_t *)memchr(text->data, separator, text->len) : NULL;
    const struct bytes part = bytes_of(text->data, end ? (size_t)(end - text->data) : text->len);
    const size_t used = part.len + (end != NULL);

    *text = bytes_of(text->data + used, text->len - used);
    return part;
}

/* Not constant-time: for public data only. */
static inline int bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline int bytes_equal_text(struct bytes a, const char *text)
{
    return bytes_equal(a, bytes_of_text(text));
}

#endif
