/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_TEXT_H
#define AWS_TEXT_H

#include <stdbool.h>

#include "base/buf.h"

/* One or more bytes, all of printable ASCII without spaces: fit for a URL, a header, a log. */
static inline bool text_is_graphic(struct bytes text)
{
    size_t i;

    for (i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return text.len > 0;
}

/* Takes off what files and consoles put around a value: white space, and a byte order mark. */
static inline void text_trim(struct buf *text)
{
    static const char space[] = " \t\r\n", mark[] = "\xEF\xBB\xBF";
    size_t before = 0;

    if (text->len >= 3 && memcmp(text->data, mark, 3) == 0)
        before = 3;
    while (before < text->len && memchr(space, text->data[before], sizeof space - 1))
        before++;
    while (text->len > before && memchr(space, text->data[text->len - 1], sizeof space - 1))
        text->len--;
    if (!text->data)
        return;
    text->len -= before;
    memmove(text->data, text->data + before, text->len);
    text->data[text->len] = '\0';
}

#endif
