/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_line.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/secrecy.h"

/* A field that is too long is cut, so that those behind it find room. */
enum { FIELD_MAX = 1280, LINE_END = 4 };

static const char *const level_names[] = {
    [LOG_LEVEL_DEBUG] = "debug",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_ERROR] = "error",
};

static void line_put(struct log_line *line, const char *text)
{
    size_t len = strlen(text), room = sizeof line->text - LINE_END - line->len;

    if (len > room) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

/* Quotes as a JSON string; the text format uses the same where a value needs quotes. */
static void put_quoted(struct log_line *line, const char *text)
{
    const size_t room = sizeof line->text - LINE_END - line->len;
    const size_t end = line->len + (room < FIELD_MAX ? room : FIELD_MAX);
    char escape[8];

    line_put(line, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            (void)snprintf(escape, sizeof escape, "\\%c", c);
        else if (c < 0x20 || c > 0x7E)
            (void)snprintf(escape, sizeof escape, "\\u%04x", c);
        else
            (void)snprintf(escape, sizeof escape, "%c", c);
        if (line->len + strlen(escape) + sizeof "...\"" > end) {
            line_put(line, "...");
            break;
        }
        line_put(line, escape);
    }
    line_put(line, "\"");
}

static int needs_quotes(const char *text)
{
    if (*text == '\0' || strlen(text) > 1024) /* what does not fit is cut in quotes only */
        return 1;
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == '"' || *text == '=' || *text == '\\')
            return 1;
    return 0;
}

void log_line_field(struct log_line *line, enum log_format format, const struct log_field *field)
{
    char room[FIELD_MAX], number[24];
    const char *text = field->text ? secrecy_shown(field->text, room, sizeof room) : NULL;
    size_t start = line->len;

    line->full = false;
    if (format == LOG_FORMAT_JSON) {
        line_put(line, ",\"");
        line_put(line, field->key);
        line_put(line, "\":");
    } else {
        line_put(line, " ");
        line_put(line, field->key);
        line_put(line, "=");
    }
    (void)snprintf(number, sizeof number, "%lld", (long long)field->number);
    if (!text)
        line_put(line, number);
    else if (format == LOG_FORMAT_JSON || needs_quotes(text))
        put_quoted(line, text);
    else
        line_put(line, text);
    if (line->full)
        line->len = start;
}

void log_line_end(struct log_line *line, enum log_format format)
{
    const char *end = format == LOG_FORMAT_JSON ? "}\n" : "\n";

    memcpy(line->text + line->len, end, strlen(end));
    line->len += strlen(end);
}

void log_line_head(struct log_line *line, enum log_format format, enum log_level level,
                   const char *event)
{
    int json = format == LOG_FORMAT_JSON;
    char now[CLOCK_TEXT_MAX];

    clock_format(now, clock_wall());
    line_put(line, json ? "{\"time\":\"" : "");
    line_put(line, now);
    line_put(line, json ? "\",\"level\":\"" : " ");
    line_put(line, level_names[level]);
    line_put(line, json ? "\",\"event\":\"" : " ");
    line_put(line, event);
    line_put(line, json ? "\"" : "");
}
