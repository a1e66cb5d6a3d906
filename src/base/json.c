/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define JSMN_STATIC
#define JSMN_PARENT_LINKS
#include <jsmn.h>

/*
 * Two steps. A recogniser holds the text to RFC 8259's grammar; jsmn then divides what is known to
 * be JSON into tokens, so that nothing which jsmn lets pass can reach a caller. Neither recurses.
 */
enum { DEPTH_MAX = 64, VALUES_MAX = 4096, PUBLIC_VALUES_MAX = 128 * 1024 };

struct json {
    const char *text;
    bool public; /* on the ordinary heap */
    int count;
    jsmntok_t tokens[];
};

struct scanner {
    struct bytes text;
    size_t at;
    unsigned depth;
    uint64_t kinds; /* of the open containers, the innermost in bit 0: 1 for an object */
};

/* The next byte, or -1 at the end. */
static int peek(const struct scanner *scanner)
{
    return scanner->at < scanner->text.len ? scanner->text.data[scanner->at] : -1;
}

static int accept(struct scanner *scanner, int c)
{
    if (peek(scanner) != c)
        return 0;
    scanner->at++;
    return 1;
}

static void skip_space(struct scanner *scanner)
{
    while (accept(scanner, ' ') || accept(scanner, '\t') || accept(scanner, '\n') ||
           accept(scanner, '\r'))
        ;
}

static size_t skip_digits(struct scanner *scanner)
{
    size_t start = scanner->at;

    while (peek(scanner) >= '0' && peek(scanner) <= '9')
        scanner->at++;
    return scanner->at - start;
}

static const char *scan_number(struct scanner *scanner)
{
    accept(scanner, '-');
    if (!accept(scanner, '0') && skip_digits(scanner) == 0)
        return "a value that is none of JSON's";
    if (accept(scanner, '.') && skip_digits(scanner) == 0)
        return "a number without its fraction";
    if (accept(scanner, 'e') || accept(scanner, 'E')) {
        if (!accept(scanner, '+'))
            accept(scanner, '-');
        if (skip_digits(scanner) == 0)
            return "a number without its exponent";
    }
    return NULL;
}

static const char *scan_word(struct scanner *scanner, const char *word)
{
    for (; *word; word++)
        if (!accept(scanner, *word))
            return "a value that is none of JSON's";
    return NULL;
}

/* The length of the UTF-8 sequence that text begins with (RFC 3629 section 4); 0: none. */
static size_t utf8_length(const uint8_t *text, size_t len)
{
    static const struct {
        uint8_t first_low, first_high, second_low, second_high, length;
    } forms[] = {
        {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    size_t i, k;

    if (text[0] < 0x80)
        return 1;
    for (i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (text[0] < forms[i].first_low || text[0] > forms[i].first_high)
            continue;
        if (len < forms[i].length || text[1] < forms[i].second_low ||
            text[1] > forms[i].second_high)
            return 0;
        for (k = 2; k < forms[i].length; k++)
            if ((text[k] & 0xC0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* What follows a backslash. */
static const char *scan_escape(struct scanner *scanner)
{
    int c = peek(scanner), i;

    if (c <= 0 || !strchr("\"\\/bfnrtu", c))
        return "a bad escape";
    scanner->at++;
    for (i = 0; c == 'u' && i < 4; i++, scanner->at++)
        if (hex_digit(peek(scanner)) < 0)
            return "a bad escape";
    return NULL;
}

static const char *scan_string(struct scanner *scanner)
{
    const char *wrong;
    size_t length;
    int c;

    if (!accept(scanner, '"'))
        return "a string is missing";
    while ((c = peek(scanner)) != '"') {
        if (c < 0)
            return "a string without its end";
        if (c < 0x20)
            return "a control byte in a string";
        length = utf8_length(scanner->text.data + scanner->at, scanner->text.len - scanner->at);
        if (length == 0)
            return "bytes that are not UTF-8";
        scanner->at += length;
        if (c == '\\' && (wrong = scan_escape(scanner)))
            return wrong;
    }
    scanner->at++;
    return NULL;
}

/* A member's name and its colon. */
static const char *scan_name(struct scanner *scanner)
{
    const char *wrong;

    skip_space(scanner);
    if ((wrong = scan_string(scanner)))
        return wrong;
    skip_space(scanner);
    return accept(scanner, ':') ? NULL : "a colon is missing";
}

/* Opens the container that starts here; *due tells whether a value follows: it is not empty. */
static const char *scan_open(struct scanner *scanner, int *due)
{
    int is_object = peek(scanner) == '{';

    if (scanner->depth == DEPTH_MAX)
        return "nested too deeply";
    scanner->at++;
    skip_space(scanner);
    if (accept(scanner, is_object ? '}' : ']'))
        return NULL;
    scanner->kinds = scanner->kinds << 1 | (uint64_t)is_object;
    scanner->depth++;
    *due = 1;
    return is_object ? scan_name(scanner) : NULL;
}

static const char *scan_value(struct scanner *scanner, int *due)
{
    *due = 0;
    skip_space(scanner);
    switch (peek(scanner)) {
    case '{':
    case '[': return scan_open(scanner, due);
    case '"': return scan_string(scanner);
    case 't': return scan_word(scanner, "true");
    case 'f': return scan_word(scanner, "false");
    case 'n': return scan_word(scanner, "null");
    case -1: return "a value is missing";
    default: return scan_number(scanner);
    }
}

/* What follows a value: the ends of containers, then perhaps a comma, after which a value is due.
 */
static const char *scan_after_value(struct scanner *scanner, int *due)
{
    while (scanner->depth > 0) {
        int is_object = scanner->kinds & 1;

        skip_space(scanner);
        if (accept(scanner, ',')) {
            *due = 1;
            return is_object ? scan_name(scanner) : NULL;
        }
        if (!accept(scanner, is_object ? '}' : ']'))
            return "a comma or a closing bracket is missing";
        scanner->kinds >>= 1;
        scanner->depth--;
    }
    skip_space(scanner);
    return scanner->at == scanner->text.len ? NULL : "text behind the document";
}

/* NULL where the text is JSON, else what is wrong at scanner->at. */
static const char *scan_document(struct scanner *scanner)
{
    const char *wrong;
    int due = 1;

    while (due)
        if ((wrong = scan_value(scanner, &due)) ||
            (!due && (wrong = scan_after_value(scanner, &due))))
            return wrong;
    return NULL;
}

static struct json *parse(struct bytes text, bool public, char reason[JSON_REASON_MAX])
{
    struct scanner scanner = {.text = text};
    const char *wrong = text.len > INT_MAX ? "too long" : scan_document(&scanner);
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
        (void)snprintf(reason, JSON_REASON_MAX, "%s (byte %zu)", wrong, scanner.at);
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
static int behind(const struct json *json, json_value value)
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
    *at = behind(json, i);
    return 1;
}

int json_item(const struct json *json, json_value array, int *at, json_value *value)
{
    int i = *at ? *at : array + 1;

    if (json_type(json, array) != JSON_ARRAY || i >= json->count ||
        json->tokens[i].start >= json->tokens[array].end)
        return 0;
    *value = i;
    *at = behind(json, i);
    return 1;
}

/* Four hexadecimal digits, known to be there. */
static uint32_t read_hex(const uint8_t *digits)
{
    uint32_t value = 0;
    int i;

    for (i = 0; i < 4; i++)
        value = value << 4 | (uint32_t)hex_digit(digits[i]);
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

struct bytes json_raw(const struct json *json, json_value value)
{
    const jsmntok_t *token = token_at(json, value);

    return token ? token_text(json, token) : bytes_of(NULL, 0);
}
