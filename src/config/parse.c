/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/options.h"

int parse_refuse(struct parse *parse, const char *format, ...)
{
    enum err_code code = parse->source == SOURCE_FLAGS ? ERR_USAGE : ERR_CONFIG;
    char reason[ERR_REASON_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (parse->line > 0)
        return err_set(parse->err, code, parse->place, "line %u: %s", parse->line, reason);
    return err_set(parse->err, code, parse->place, "%s", reason);
}

const char *parse_keep(struct parse *parse, const char *text, size_t len)
{
    struct text *kept = malloc(sizeof *kept + len + 1);

    if (!kept) {
        (void)err_set(parse->err, ERR_SYSTEM, parse->place, "no memory");
        return NULL;
    }
    memcpy(kept->text, text, len);
    kept->text[len] = '\0';
    kept->next = parse->store->texts;
    parse->store->texts = kept;
    return kept->text;
}

/* A URL's user and password, "http://user:password@host" or without the scheme; a key. */
static bool may_be_secret(const char *word)
{
    const char *at = strrchr(word, '@');

    return (at && memchr(word, ':', (size_t)(at - word))) || strstr(word, "PRIVATE KEY");
}

const char *quoted(char out[QUOTED_MAX], const char *word)
{
    static const char ellipsis[] = "...";
    size_t len = 0;

    if (may_be_secret(word))
        word = "(not shown)";
    for (; *word && len + sizeof "\\xNN" + sizeof ellipsis < QUOTED_MAX; word++) {
        unsigned char c = (unsigned char)*word;
        bool visible = c >= 0x20 && c < 0x7f;

        len += (size_t)snprintf(out + len, QUOTED_MAX - len, visible ? "%c" : "\\x%02x", c);
    }
    (void)snprintf(out + len, QUOTED_MAX - len, "%s", *word ? ellipsis : "");
    return out;
}

/* Levenshtein's distance of two words, of at most WORD_MAX bytes each. */
enum { WORD_MAX = 32, NEAR = 2 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1];
    size_t b_len = strlen(b);

    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < b_len; j++) {
            size_t changed = diagonal + (a[i] != b[j]);

            diagonal = row[j + 1];
            row[j + 1] = least(changed, 1 + least(row[j], row[j + 1]));
        }
    }
    return row[b_len];
}

const struct option *option_near(const char *name, unsigned without)
{
    const struct option *nearest = NULL;
    size_t best = least(NEAR + 1, strlen(name));

    if (strlen(name) > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < option_count; i++) {
        size_t this = distance(options[i].name, name);

        if (this < best && !(options[i].flags & without)) {
            best = this;
            nearest = &options[i];
        }
    }
    return nearest;
}
