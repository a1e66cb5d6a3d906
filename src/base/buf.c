/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

static void *resize(const struct buf *buf, size_t capacity)
{
    return buf->public ? realloc(buf->data, capacity)
                       : arena_realloc(buf->data, capacity, buf->tag);
}

int buf_reserve(struct buf *buf, size_t len)
{
    size_t need, capacity = buf->capacity ? buf->capacity : FIRST_CAPACITY;
    uint8_t *data;

    if (len > SIZE_MAX / 4 - buf->len || (buf->max && len > buf->max - buf->len))
        return -1;
    need = buf->len + len + 1; /* one for the NUL */
    if (need <= buf->capacity)
        return 0;
    while (capacity < need)
        capacity *= 2;
    data = resize(buf, capacity);
    if (!data && capacity > need)
        data = resize(buf, capacity = need);
    if (!data)
        return -1;
    buf->data = data;
    buf->capacity = capacity;
    return 0;
}

int buf_append(struct buf *buf, const void *data, size_t len)
{
    if (buf_reserve(buf, len) < 0)
        return -1;
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return 0;
}

int buf_append_text(struct buf *buf, const char *text)
{
    return buf_append(buf, text, strlen(text));
}

void buf_free(struct buf *buf)
{
    if (buf->public)
        free(buf->data);
    else
        arena_free(buf->data);
    buf->data = NULL;
    buf->len = 0;
    buf->capacity = 0;
}
