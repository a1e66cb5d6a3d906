/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_write.h"

#include <stdio.h>

#include "base/secrecy.h"

/* Of a text that must not be shown as it is. */
enum { SHOWN_MAX = 1024 };

static void put_raw(struct json_writer *writer, const char *text)
{
    if (!writer->failed && buf_append_text(writer->out, text) < 0)
        writer->failed = true;
}

/* The length of the UTF-8 character (RFC 3629) that text begins with; 0: it is none. */
static size_t character_length(const unsigned char *text)
{
    size_t len = text[0] < 0x80 ? 1 : text[0] < 0xE0 ? 2 : text[0] < 0xF0 ? 3 : 4, i;

    if (len == 1)
        return 1;
    if (text[0] < 0xC2 || text[0] > 0xF4 || (text[0] == 0xE0 && text[1] < 0xA0) ||
        (text[0] == 0xED && text[1] > 0x9F) || (text[0] == 0xF0 && text[1] < 0x90) ||
        (text[0] == 0xF4 && text[1] > 0x8F))
        return 0;
    for (i = 1; i < len; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

static void put_string(struct json_writer *writer, const char *text)
{
    char piece[8];
    size_t len;

    put_raw(writer, "\"");
    for (; *text; text += len ? len : 1) {
        const unsigned char c = (unsigned char)*text;

        len = character_length((const unsigned char *)text);
        if (len == 0)
            (void)snprintf(piece, sizeof piece, "\\ufffd");
        else if (c == '"' || c == '\\')
            (void)snprintf(piece, sizeof piece, "\\%c", c);
        else if (c < 0x20 || c == 0x7F)
            (void)snprintf(piece, sizeof piece, "\\u%04x", c);
        else if (c == 0xC2 && (unsigned char)text[1] < 0xA0) /* C1 */
            (void)snprintf(piece, sizeof piece, "\\u%04x", (unsigned char)text[1]);
        else
            (void)snprintf(piece, sizeof piece, "%.*s", (int)len, text);
        put_raw(writer, piece);
    }
    put_raw(writer, "\"");
}

/* What stands before a value. */
static void begin_value(struct json_writer *writer, const char *name)
{
    if (writer->again)
        put_raw(writer, ",");
    writer->again = true;
    if (!name)
        return;
    put_string(writer, name);
    put_raw(writer, ":");
}

void json_open(struct json_writer *writer, const char *name, char bracket)
{
    const char text[] = {bracket, '\0'};

    begin_value(writer, name);
    put_raw(writer, text);
    writer->again = false;
}

void json_close(struct json_writer *writer, char bracket)
{
    const char text[] = {bracket, '\0'};

    put_raw(writer, text);
    writer->again = true;
}

void json_put_text(struct json_writer *writer, const char *name, const char *text)
{
    char shown[SHOWN_MAX];

    begin_value(writer, name);
    if (text)
        put_string(writer, secrecy_shown(text, shown, sizeof shown));
    else
        put_raw(writer, "null");
}

void json_put_number(struct json_writer *writer, const char *name, int64_t number)
{
    char text[24];

    begin_value(writer, name);
    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    put_raw(writer, text);
}

void json_put_bool(struct json_writer *writer, const char *name, bool value)
{
    begin_value(writer, name);
    put_raw(writer, value ? "true" : "false");
}
