/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/xml.h"

#include <stdbool.h>
#include <stdlib.h>

enum { DEPTH_MAX = 16, REFERENCE_MAX = 10 };

struct reader {
    const uint8_t *at, *end;
    struct bytes open[DEPTH_MAX];
    size_t depth;
    bool ended; /* the root was closed */
    const char *path;
    size_t matched; /* elements of path that are open */
    bool found;
    struct buf *out;
};

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name_byte(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':';
}

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && is_space(*reader->at))
        reader->at++;
}

/* Goes over a text that must stand here. */
static bool skip(struct reader *reader, const char *text)
{
    size_t len = strlen(text);

    if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, text, len) != 0)
        return false;
    reader->at += len;
    return true;
}

/* What is left, up to the first byte c; len is all of it where there is none. */
static struct bytes until(const struct reader *reader, uint8_t c)
{
    size_t len = (size_t)(reader->end - reader->at);
    const uint8_t *found = len ? memchr(reader->at, c, len) : NULL;

    return bytes_of(reader->at, found ? (size_t)(found - reader->at) : len);
}

static struct bytes read_name(struct reader *reader)
{
    const uint8_t *start = reader->at;

    while (reader->at < reader->end && is_name_byte(*reader->at))
        reader->at++;
    return bytes_of(start, (size_t)(reader->at - start));
}

/* Whether name is the element of path at that depth; *last: it is the one that is looked for. */
static bool is_on_path(const char *path, size_t depth, struct bytes name, bool *last)
{
    size_t len;

    for (; depth > 0; depth--) {
        path += strcspn(path, "/");
        path += *path == '/';
    }
    len = strcspn(path, "/");
    *last = path[len] == '\0';
    return bytes_equal(name, bytes_of(path, len));
}

/* Inside of the element that is looked for. */
static bool is_wanted(const struct reader *reader)
{
    bool last;

    return reader->depth > 0 && reader->matched == reader->depth &&
           is_on_path(reader->path, reader->depth - 1, reader->open[reader->depth - 1], &last) &&
           last;
}

static int open_element(struct reader *reader, struct bytes name)
{
    bool last;

    if (reader->depth == DEPTH_MAX || reader->ended || is_wanted(reader))
        return -1;
    if (reader->matched == reader->depth && is_on_path(reader->path, reader->depth, name, &last)) {
        reader->matched++;
        if (last && reader->found)
            return -1;
        reader->found |= last;
    }
    reader->open[reader->depth++] = name;
    return 0;
}

static int close_element(struct reader *reader, struct bytes name)
{
    if (reader->depth == 0 || !bytes_equal(reader->open[reader->depth - 1], name))
        return -1;
    if (reader->matched == reader->depth)
        reader->matched--;
    reader->depth--;
    reader->ended = reader->depth == 0;
    return 0;
}

/* name="value" or name='value' */
static int skip_attribute(struct reader *reader)
{
    struct bytes value;
    uint8_t quote;

    if (read_name(reader).len == 0 || !skip(reader, "=") || reader->at == reader->end)
        return -1;
    quote = *reader->at++;
    value = until(reader, quote);
    if ((quote != '"' && quote != '\'') || (value.len && memchr(value.data, '<', value.len)))
        return -1;
    reader->at += value.len;
    if (reader->at == reader->end)
        return -1;
    reader->at++;
    return 0;
}

/* Behind "<": an element's beginning, its end, or both in one. */
static int read_tag(struct reader *reader)
{
    bool closes = skip(reader, "/");
    struct bytes name = read_name(reader);
    const uint8_t *before = reader->at;

    if (name.len == 0)
        return -1;
    for (skip_space(reader); !closes && reader->at > before; skip_space(reader)) {
        if (reader->at == reader->end || !is_name_byte(*reader->at))
            break;
        if (skip_attribute(reader) < 0)
            return -1;
        before = reader->at;
    }
    if (closes)
        return skip(reader, ">") ? close_element(reader, name) : -1;
    if (open_element(reader, name) < 0)
        return -1;
    if (skip(reader, "/>"))
        return close_element(reader, name);
    return skip(reader, ">") ? 0 : -1;
}

/* The ASCII character that "&name;" stands for; 0: it is another one, or none. */
static uint8_t reference(struct bytes name)
{
    static const struct {
        const char *name;
        char means;
    } entities[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    char text[REFERENCE_MAX + 1] = "";
    unsigned long c;
    bool hex;
    size_t i;

    for (i = 0; i < sizeof entities / sizeof entities[0]; i++)
        if (bytes_equal_text(name, entities[i].name))
            return (uint8_t)entities[i].means;
    if (name.len < 2 || name.len > REFERENCE_MAX || name.data[0] != '#')
        return 0;
    memcpy(text, name.data, name.len);
    hex = text[1] == 'x';
    i = 1 + (size_t)hex;
    if (text[i + strspn(text + i, hex ? "0123456789abcdefABCDEF" : "0123456789")] != '\0')
        return 0;
    c = strtoul(text + i, NULL, hex ? 16 : 10);
    return (c >= ' ' && c <= '~') || c == '\t' || c == '\n' ? (uint8_t)c : 0;
}

static int append_reference(struct reader *reader, bool wanted)
{
    struct bytes name = until(reader, ';');
    uint8_t c = reference(name);

    if (c == 0 || name.len == (size_t)(reader->end - reader->at))
        return -1;
    reader->at += name.len + 1;
    return wanted ? buf_append(reader->out, &c, 1) : 0;
}

/* Text up to the next tag. Outside of the root there is none but space. */
static int read_characters(struct reader *reader)
{
    bool wanted = is_wanted(reader);

    while (reader->at < reader->end && *reader->at != '<') {
        uint8_t c = *reader->at++;

        if (!is_space(c) && (c < ' ' || reader->depth == 0))
            return -1;
        if (c == '&' && append_reference(reader, wanted) < 0)
            return -1;
        if (c != '&' && wanted && buf_append(reader->out, &c, 1) < 0)
            return -1;
    }
    return 0;
}

int xml_text(struct bytes document, const char *path, struct buf *out)
{
    struct reader reader = {
        .at = document.data, .end = document.data + document.len, .path = path, .out = out};

    skip_space(&reader);
    if (skip(&reader, "<?xml ")) {
        reader.at += until(&reader, '>').len;
        if (!skip(&reader, ">"))
            return -1;
    }
    while (reader.at < reader.end) {
        if (read_characters(&reader) < 0)
            return -1;
        if (reader.at < reader.end && (!skip(&reader, "<") || read_tag(&reader) < 0))
            return -1;
    }
    if (!reader.ended)
        return -1;
    return reader.found;
}
