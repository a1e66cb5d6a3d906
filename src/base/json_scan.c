/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_scan.h"

enum { DEPTH_MAX = 64 };

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

const char *json_scan(struct bytes text, size_t *at)
{
    struct scanner scanner = {.text = text};
    const char *wrong = NULL;
    int due = 1;

    while (due && !wrong) {
        wrong = scan_value(&scanner, &due);
        if (!wrong && !due)
            wrong = scan_after_value(&scanner, &due);
    }
    *at = scanner.at;
    return wrong;
}
