/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/decimal.h"
#include "base/hash.h"
#include "install/install_internal.h"

enum { NUMBER_MAX = 18 };

int line_next(struct bytes *text, struct line *line)
{
    const uint8_t *end = text->len ? memchr(text->data, '\n', text->len) : NULL;
    const uint8_t *start = text->data, *at;

    if (!end)
        return -1;
    line->words = 0;
    for (at = start; at <= end; at++) {
        if (*at > ' ' && *at <= '~')
            continue;
        if (at == start || line->words == LINE_WORDS_MAX || (at < end && *at != ' '))
            return -1;
        line->word[line->words++] = bytes_of(start, (size_t)(at - start));
        start = at + 1;
    }
    text->len -= (size_t)(end + 1 - text->data);
    text->data = end + 1;
    return 0;
}

bool line_is(const struct line *line, const char *keyword, size_t words)
{
    return line->words == words && bytes_equal_text(line->word[0], keyword);
}

bool line_copy(char *out, size_t size, struct bytes word)
{
    if (word.len >= size)
        return false;
    memcpy(out, word.data, word.len);
    out[word.len] = '\0';
    return true;
}

bool line_copy_digest(char out[HASH_HEX_SIZE], struct bytes word)
{
    return line_copy(out, HASH_HEX_SIZE, word) &&
           strspn(out, "0123456789abcdef") == HASH_HEX_SIZE - 1;
}

bool line_read_number(int64_t *out, struct bytes word)
{
    return word.len > 0 && word.len <= NUMBER_MAX && decimal_read(word, out) == word.len;
}

int line_add_number(struct buf *text, const char *keyword, const char *word, int64_t value)
{
    char number[24];

    (void)snprintf(number, sizeof number, "%lld", (long long)value);
    return word ? line_add(text, keyword, word, number) : line_add(text, keyword, number, NULL);
}

int line_add(struct buf *text, const char *keyword, const char *first, const char *second)
{
    if (buf_append_text(text, keyword) < 0 || buf_append_text(text, " ") < 0 ||
        buf_append_text(text, first) < 0)
        return -1;
    if (second && (buf_append_text(text, " ") < 0 || buf_append_text(text, second) < 0))
        return -1;
    return buf_append_text(text, "\n");
}
