/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define JSMN_STATIC
#define JSMN_PARENT_LINKS
#include <jsmn.h>

#include "base/json_scan.h"

/*
 * Two steps. A recogniser holds the text to RFC 8259's grammar; jsmn then divides what is known to
 * be JSON into tokens, so that nothing which jsmn lets pass can reach a caller. Neither recurses.
 */
enum { VALUES_MAX = 4096, PUBLIC_VALUES_MAX = 128 * 1024 };

struct json {
    const char *text;
    bool public; /* on the ordinary heap */
    int count;
    jsmntok_t tokens[];
};

static struct json *parse(struct bytes text, bool public, char reason[JSON_REASON_MAX])
{
    size_t at = 0;
    const char *wrong = text.len > INT_MAX ? "too long" : json_scan(text, &at);
    struct json *json = NULL;
    jsmn_parser parser;
    int count = 0;
    size_t size;

    if (!wrong) {
        jsmn_init(&parser);
        count = jsmn_parse(&parser, (const char *)text.data, text.len, NULL, 0);
        if (count < 1 || count > (public ? PUBLIC_VALUES_MAX : VALUES_MAX))
            wrong = "too many values";
    }
    if (wrong) {
        (void)snprintf(reason, JSON_REASON_MAX, "%s (byte %zu)", wrong, at);
        return NULL;
    }
    size = sizeof *json + (size_t)count * sizeof json->tokens[0];
    json = public ? malloc(size) : arena_alloc(size, ARENA_WORK);
    if (!json) {
        (void)snprintf(reason, JSON_REASON_MAX, JSON_NO_MEMORY);
        return NULL;
    }
    json->text = (const char *)text.data;
    json->public = public;
    jsmn_init(&parser);
    json->count = jsmn_parse(&parser, json->text, text.len, json->tokens, (unsigned)count);
    return json;
}

struct json *json_parse(struct bytes text, char reason[JSON_REASON_MAX])
{
    return parse(text, false, reason);
}

struct json *json_parse_public(struct bytes text, char reason[JSON_REASON_MAX])
{
    return parse(text, true, reason);
}

void json_free(struct json *json)
{
    if (json && json->public)
        free(json);
    else
        arena_free(json);
}

static const jsmntok_t *token_at(const struct json *json, json_value value)
{
    return value >= 0 && value < json->count ? &json->tokens[value] : NULL;
}

static struct bytes token_text(const struct json *json, const jsmntok_t *token)
{
    return bytes_of(json->text + token->start, (size_t)(token->end - token->start));
}

enum json_type json_type(const struct json *json, json_value value)
{
    const jsmntok_t *token = token_at(json, value);

    if (!token)
        return JSON_NONE;
    switch (token->type) {
    case JSMN_OBJECT: return JSON_OBJECT;
    case JSMN_ARRAY: return JSON_ARRAY;
    case JSMN_STRING: return JSON_STRING;
    default: break;
    }
    switch (json->text[token->start]) {
    case 't': return JSON_TRUE;
    case 'f': return JSON_FALSE;
    case 'n': return JSON_NULL;
    default: return JSON_NUMBER;
    }
}

/* The place of what follows a value, and all within it. */
static int end_of(const struct json *json, json_value value)
{
    int i = value + 1;

    while (i < json->count && json->tokens[i].start < json->tokens[value].end)
        i++;
    return i;
}

bool json_is_nothing(const struct json *json, json_value value)
{
    const enum json_type type = json_type(json, value);

    return type == JSON_NULL || (type == JSON_STRING && json_raw(json, value).len == 0);
}

json_value json_present(const struct json *json, json_value object, const char *name)
{
    const json_value value = json_member(json, object, name);

    return json_is_nothing(json, value) ? JSON_ABSENT : value;
}

int json_each(const struct json *json, json_value object, int *at, json_value *name,
              json_value *value)
{
    int i = *at ? *at : object + 1;

    if (json_type(json, object) != JSON_OBJECT || i >= json->count ||
        json->tokens[i].start >= json->tokens[object].end)
        return 0;
    *name = i++;
    *value = i;
    *at = end_of(json, i);
    return 1;
}

int json_item(const struct json *json, json_value array, int *at, json_value *value)
{
    int i = *at ? *at : array + 1;

    if (json_type(json, array) != JSON_ARRAY || i >= json->count ||
        json->tokens[i].start >= json->tokens[array].end)
        return 0;
    *value = i;
    *at = end_of(json, i);
    return 1;
}

/* Four hexadecimal digits, known to be there. */
static uint32_t read_hex(const uint8_t *digits)
{
    uint32_t value = 0;
    int i;

    for (i = 0; i < 4; i++)
        value = value << 4 |
                (uint32_t)(digits[i] <= '9' ? digits[i] - '0' : (digits[i] | 0x20) - 'a' + 10);
    return value;
}

static size_t utf8_encode(uint32_t c, uint8_t utf8[4])
{
    size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, i;
    static const uint8_t first[] = {0x00, 0xC0, 0xE0, 0xF0};

    for (i = length; i > 1; i--, c >>= 6)
        utf8[i - 1] = (uint8_t)(0x80 | (c & 0x3F));
    utf8[0] = (uint8_t)(first[length - 1] | c);
    return length;
}

/* Takes a \u escape, or a surrogate pair of them, off a string that was found valid: as decode().
 */
static size_t decode_unicode(struct bytes *rest, uint8_t utf8[4])
{
    uint32_t c = read_hex(rest->data + 2), low;
    size_t taken = 6;

    if (c >= 0xD800 && c <= 0xDFFF) {
        if (c >= 0xDC00 || rest->len < 12 || rest->data[6] != '\\' || rest->data[7] != 'u')
            return 0;
        low = read_hex(rest->data + 8);
        if (low < 0xDC00 || low > 0xDFFF)
            return 0;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        taken = 12;
    }
    *rest = bytes_of(rest->data + taken, rest->len - taken);
    return utf8_encode(c, utf8);
}

/* Takes one byte or escape off a string that was found valid and decodes it to that many bytes of
 * UTF-8; 0 for a surrogate that stands alone. */
static size_t decode(struct bytes *rest, uint8_t utf8[4])
{
    static const char escapes[] = "b\bf\fn\nr\rt\t";
    const char *escape;
    size_t taken = 1;

    utf8[0] = rest->data[0];
    if (utf8[0] == '\\') {
        if (rest->data[1] == 'u')
            return decode_unicode(rest, utf8);
        escape = strchr(escapes, rest->data[1]);
        utf8[0] = escape ? (uint8_t)escape[1] : rest->data[1];
        taken = 2;
    }
    *rest = bytes_of(rest->data + taken, rest->len - taken);
    return 1;
}

static int is_named(const struct json *json, json_value value, const char *name)
{
    struct bytes rest = token_text(json, &json->tokens[value]), left = bytes_of_text(name);
    uint8_t utf8[4];
    size_t n;

    while (rest.len > 0) {
        n = decode(&rest, utf8);
        if (n == 0 || n > left.len || memcmp(utf8, left.data, n) != 0)
            return 0;
        left = bytes_of(left.data + n, left.len - n);
    }
    return left.len == 0;
}

json_value json_member(const struct json *json, json_value object, const char *name)
{
    json_value found = JSON_ABSENT, key, value;
    int at = 0;

    while (json_each(json, object, &at, &key, &value)) {
        if (!is_named(json, key, name))
            continue;
        if (found != JSON_ABSENT)
            return JSON_REPEATED;
        found = value;
    }
    return found;
}

int json_string(const struct json *json, json_value value, struct buf *out)
{
    size_t start = out->len, n;
    struct bytes rest;
    uint8_t utf8[4];

    if (json_type(json, value) != JSON_STRING || buf_reserve(out, 0) < 0)
        return -1;
    rest = token_text(json, &json->tokens[value]);
    while (rest.len > 0) {
        n = decode(&rest, utf8);
        if (n == 0 || buf_append(out, utf8, n) < 0) {
            out->len = start;
            out->data[start] = '\0';
            return -1;
        }
    }
    return 0;
}

int json_text(const struct json *json, json_value object, const char *const *names, struct buf *out)
{
    int result = 0;

    for (; *names && result < 1; names++) {
        const json_value value = json_present(json, object, *names);

        if (value != JSON_ABSENT)
            result = json_string(json, value, out) == 0 ? 1 : -1;
    }
    return result;
}

struct bytes json_raw(const struct json *json, json_value value)
{
    const jsmntok_t *token = token_at(json, value);

    return token ? token_text(json, token) : bytes_of(NULL, 0);
}
