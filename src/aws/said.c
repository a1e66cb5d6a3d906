/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/said.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/log.h"

enum { TAKEN_MAX = 512 };

static bool is_blank(uint8_t c)
{
    return c <= ' ';
}

/* Appends text with one blank for white space and, where those are marks, for each "<...>". */
static void take_text(struct bytes text, bool marks, struct buf *out)
{
    char taken[TAKEN_MAX];
    size_t len = 0, i;
    bool gap = false, mark = false;

    for (i = 0; i < text.len && len + 2 < sizeof taken; i++) {
        const uint8_t c = text.data[i];

        if (marks && c == '<')
            mark = true;
        if (mark || is_blank(c)) {
            gap = len > 0;
            mark = mark && c != '>';
            continue;
        }
        if (gap)
            taken[len++] = ' ';
        gap = false;
        taken[len++] = (char)c;
    }
    (void)buf_append(out, taken, len);
}

/* What stands in the first element "<title>"; len 0: there is none. */
static struct bytes find_title(struct bytes body)
{
    static const char begin[] = "<title";
    size_t i, len = sizeof begin - 1;

    for (i = 0; i + len < body.len; i++) {
        const uint8_t *at = body.data + i, *from, *to;

        if (strncasecmp((const char *)at, begin, len) != 0)
            continue;
        from = memchr(at, '>', body.len - i);
        to = from ? memchr(from, '<', body.len - (size_t)(from - body.data)) : NULL;
        return to ? bytes_of(from + 1, (size_t)(to - from - 1)) : bytes_of(NULL, 0);
    }
    return bytes_of(NULL, 0);
}

void said_read(struct bytes body, struct buf *out)
{
    char reason[JSON_REASON_MAX];
    struct json *json;
    struct bytes title;

    while (body.len > 0 && is_blank(*body.data))
        body = bytes_of(body.data + 1, body.len - 1);
    if (body.len == 0)
        return;
    if (*body.data == '<') {
        title = find_title(body);
        take_text(title.len ? title : body, title.len == 0, out);
        return;
    }
    json = json_parse(body, reason);
    if (json && json_type(json, 0) == JSON_OBJECT)
        (void)json_text(json, 0,
                        JSON_NAMES("error_description", "errorMessage", "error", "Error", "detail",
                                   "reason", "title"),
                        out);
    else
        take_text(body, false, out);
    json_free(json);
}

const char *said_title(struct bytes body, char out[SAID_TITLE_MAX])
{
    struct buf title = {.tag = ARENA_WORK};
    char shown[SAID_TITLE_MAX - 8];

    out[0] = '\0';
    take_text(find_title(body), false, &title);
    redact(shown, sizeof shown, buf_bytes(&title));
    if (*shown)
        (void)snprintf(out, SAID_TITLE_MAX, " (\"%s\")", shown);
    buf_free(&title);
    return out;
}
