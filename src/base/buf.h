/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/arena.h"
#include "base/bytes.h"

/*
 * A growable byte buffer in the arena. Zero-initialise it, set tag (and max, for a limit), append,
 * free. After the first append, data always has a NUL after its len bytes.
 */
struct buf {
    uint8_t *data;
    size_t len;
    size_t capacity;
    size_t max; /* most bytes it may hold; 0: no bound but the arena's */
    enum arena_tag tag;
    bool public; /* on the ordinary heap instead: for public data that may be large */
};

/* 0, or -1 when max or the arena is exhausted; the content then stays as it was. */
int buf_append(struct buf *buf, const void *data, size_t len);
int buf_append_text(struct buf *buf, const char *text);

/* Makes room for len more bytes, so that a decoder may write there; same failures. */
int buf_reserve(struct buf *buf, size_t len);

/* Wipes, frees and resets to empty; tag and max stay. */
void buf_free(struct buf *buf);

static inline struct bytes buf_bytes(const struct buf *buf)
{
    return bytes_of(buf->data, buf->len);
}

#endif
