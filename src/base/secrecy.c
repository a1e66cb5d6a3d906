/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secrecy.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"

/*
 * Bytes run through a tree of nodes. A node looks for a key in what it gets, and hands what its
 * bytes decode to on to its children: base64 from each of four phases, hexadecimal from each of
 * two. Nothing is kept but some last bytes, and those are wiped.
 */
enum {
    BASE64_PHASES = 4,
    CHILDREN = BASE64_PHASES + 2,
    NODES = 1 + CHILDREN + CHILDREN * CHILDREN, /* two layers */
    RAW = 16,
    TEXT = 40,
    SHORTEST = 16, /* bytes of text: shorter ones hold no beginning that could be told */
    TYPO_MAX = 24, /* bytes of a value that somebody may have mistyped */
    LINE_SHOWN_MAX = 2048
};

struct node {
    uint8_t raw[RAW];   /* the last bytes, */
    uint8_t text[TEXT]; /* and the last ones behind their escapes */
    uint8_t escape;     /* '%', '\\', 'x' (digits are missing), 0: none */
    uint8_t digits, value;
    bool used;
    struct {
        uint8_t skip, bits;
        uint32_t rest;
    } phases[CHILDREN];
};

struct tree {
    struct node nodes[NODES];
    bool found;
};

static bool is_one_of(uint8_t byte, const char *set)
{
    return byte && strchr(set, byte);
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* ---- what a key looks like ---- */

/* Whether the header of a SEQUENCE of at least so many bytes ends before end. */
static bool is_sequence(const uint8_t *end, unsigned least)
{
    if (end[-2] == 0x30 && end[-1] < 0x80 && end[-1] >= least)
        return true;
    if (end[-3] == 0x30 && end[-2] == 0x81 && end[-1] >= 0x80)
        return true;
    return end[-4] == 0x30 && end[-3] == 0x82 && end[-2] > 0;
}

/* PKCS#8: a version, then the AlgorithmIdentifier of RSA, of a curve, of Ed25519 and its like. */
static bool ends_pkcs8(const uint8_t *end)
{
    const uint8_t *version = end - 9;

    return version[0] == 2 && version[1] == 1 && version[2] <= 1 && end[-6] == 0x30 &&
           end[-4] == 6 && end[-3] >= 3 && end[-3] <= 9 && end[-5] >= end[-3] + 2 &&
           ((end[-2] == 0x2A && end[-1] == 0x86) || (end[-2] == 0x2B && end[-1] == 0x65) ||
            (end[-2] == 0x2B && end[-1] == 0x81)) &&
           is_sequence(version, 20);
}

/* SEC 1: version 1, then the private value of a curve that has such a length. */
static bool ends_sec1(const uint8_t *end)
{
    return end[-5] == 2 && end[-4] == 1 && end[-3] == 1 && end[-2] == 4 &&
           is_one_of(end[-1], "\x1C\x20\x30\x42") && is_sequence(end - 5, end[-1] + 5U);
}

/* PKCS#1 (and DSA's): version 0, then a modulus of 1024 bits or more. */
static bool ends_pkcs1(const uint8_t *end)
{
    if (end[-3] != 2 || end[-2] != 0x82 || end[-1] == 0 || end[-1] > 8)
        return end[-6] == 2 && end[-5] == 1 && end[-4] == 0 && end[-3] == 2 && end[-2] == 0x81 &&
               end[-1] >= 0x80 && end[-10] == 0x30 && end[-9] == 0x82;
    return end[-6] == 2 && end[-5] == 1 && end[-4] == 0 && end[-10] == 0x30 && end[-9] == 0x82 &&
           end[-8] > end[-1];
}

static bool ends_with(const uint8_t *end, size_t room, const char *word)
{
    size_t len = strlen(word);

    return len <= room && memcmp(end - len, word, len) == 0;
}

/* "BEGIN PRIVATE KEY", "END EC PRIVATE KEY"; a form's '+' counts as a blank. */
static bool ends_pem(const uint8_t text[static TEXT])
{
    const uint8_t *end = text + TEXT - strlen("PRIVATE KEY"), *at = end;

    if (!ends_with(text + TEXT, TEXT, "PRIVATE KEY"))
        return false;
    while (at > text &&
           (at[-1] == ' ' || (at[-1] >= '0' && at[-1] <= '9') || (at[-1] >= 'A' && at[-1] <= 'Z')))
        at--;
    for (; at < end; at++)
        if (memcmp(at, "BEGIN ", 6) == 0 || memcmp(at, "END ", 4) == 0)
            return true;
    return false;
}

/* ---- the tree ---- */

static void forget(struct tree *tree, size_t index)
{
    size_t child = index * CHILDREN + 1, i;

    if (!tree->nodes[index].used)
        return;
    wipe(&tree->nodes[index], sizeof tree->nodes[index]);
    for (i = 0; child < NODES && i < CHILDREN; i++)
        forget(tree, child + i);
}

static void begin_run(struct tree *tree, size_t index, size_t first, size_t count)
{
    struct node *node = &tree->nodes[index];
    size_t i;

    for (i = first; i < first + count; i++) {
        forget(tree, index * CHILDREN + 1 + i);
        node->phases[i].skip = (uint8_t)(i - first);
        node->phases[i].bits = 0;
        node->phases[i].rest = 0;
    }
}

static void feed(struct tree *tree, size_t index, uint8_t byte);

static void decode(struct tree *tree, size_t index, size_t phase, unsigned value, unsigned width)
{
    struct node *node = &tree->nodes[index];
    uint32_t rest = node->phases[phase].rest << width | value;

    if (node->phases[phase].skip > 0) {
        node->phases[phase].skip--;
        return;
    }
    node->phases[phase].bits = (uint8_t)(node->phases[phase].bits + width);
    node->phases[phase].rest = rest & 0xFFFF;
    if (node->phases[phase].bits < 8)
        return;
    node->phases[phase].bits = (uint8_t)(node->phases[phase].bits - 8);
    feed(tree, index * CHILDREN + 1 + phase, (uint8_t)(rest >> node->phases[phase].bits));
}

/* Blanks and line ends part nothing, nor do the colons of hexadecimal. */
static void decode_all(struct tree *tree, size_t index, uint8_t c)
{
    const int base64 = base64_value(c), hex = hex_value(c);
    size_t i;

    if (index * CHILDREN + 1 >= NODES || is_one_of(c, " \t\r\n"))
        return;
    if (base64 < 0)
        begin_run(tree, index, 0, BASE64_PHASES);
    for (i = 0; base64 >= 0 && i < BASE64_PHASES; i++)
        decode(tree, index, i, (unsigned)base64, 6);
    if (hex < 0 && c != ':')
        begin_run(tree, index, BASE64_PHASES, CHILDREN - BASE64_PHASES);
    for (; hex >= 0 && i < CHILDREN; i++)
        decode(tree, index, i, (unsigned)hex, 4);
}

static void take_text(struct tree *tree, size_t index, uint8_t c)
{
    struct node *node = &tree->nodes[index];

    memmove(node->text, node->text + 1, TEXT - 1);
    node->text[TEXT - 1] = c == '+' ? ' ' : c;
    if (ends_pem(node->text) || ends_with(node->text + TEXT, TEXT, "openssh-key-v1"))
        tree->found = true;
    decode_all(tree, index, c);
}

/* The digits of an escape, behind which its byte comes; %25 may begin another one. */
static void take_digit(struct tree *tree, size_t index, uint8_t c)
{
    struct node *node = &tree->nodes[index];
    const uint8_t kind = node->escape;
    const int value = hex_value(c);

    node->escape = 0;
    if (value < 0) {
        take_text(tree, index, c);
        return;
    }
    node->value = (uint8_t)(node->value << 4 | value);
    node->escape = kind;
    if (--node->digits > 0)
        return;
    node->escape = 0;
    if (node->value == '%') {
        node->escape = '%';
        node->digits = 2;
    } else {
        take_text(tree, index, node->value);
    }
}

static void take_escape(struct tree *tree, size_t index, uint8_t c)
{
    struct node *node = &tree->nodes[index];

    if (c == '\\') /* however often it was escaped itself */
        return;
    node->escape = 0;
    node->value = 0;
    node->digits = c == 'u' ? 4 : 2;
    if (c == 'u' || c == 'x')
        node->escape = 'x';
    else
        take_text(tree, index, is_one_of(c, "nrt") ? '\n' : c);
}

static void feed(struct tree *tree, size_t index, uint8_t byte)
{
    struct node *node = &tree->nodes[index];

    if (!node->used)
        for (size_t i = 0; i < CHILDREN; i++)
            node->phases[i].skip = (uint8_t)(i % BASE64_PHASES);
    node->used = true;
    memmove(node->raw, node->raw + 1, RAW - 1);
    node->raw[RAW - 1] = byte;
    if (ends_pkcs8(node->raw + RAW) || ends_sec1(node->raw + RAW) || ends_pkcs1(node->raw + RAW))
        tree->found = true;
    if (node->escape == '\\') {
        take_escape(tree, index, byte);
    } else if (node->escape) {
        take_digit(tree, index, byte);
    } else if (byte == '\\' || byte == '%') {
        node->escape = byte;
        node->digits = 2;
        node->value = 0;
    } else {
        take_text(tree, index, byte);
    }
}

bool secrecy_holds_key(struct bytes text)
{
    struct tree tree;
    size_t i;

    if (text.len < SHORTEST)
        return false;
    memset(&tree, 0, sizeof tree);
    for (i = 0; i < text.len && !tree.found; i++)
        feed(&tree, 0, text.data[i]);
    wipe(tree.nodes, sizeof tree.nodes);
    return tree.found;
}

/* ---- to be shown ---- */

/* How much of a URL's authority is a user and a password; of one that was cut, all of it may be. */
static size_t user_length(const char *authority)
{
    const size_t len = strcspn(authority, "/?# \t\r\n\"'<>");
    const char *colon = memchr(authority, ':', len);
    size_t at = len;

    while (at > 0 && authority[at - 1] != '@')
        at--;
    if (at > 0)
        return at - 1;
    if (authority[len] != '\0' || *authority == '[' || !colon)
        return 0;
    return strspn(colon + 1, "0123456789") == strlen(colon + 1) ? 0 : len;
}

const char *secrecy_shown(const char *text, char *out, size_t size)
{
    const struct bytes all = bytes_of_text(text);
    const char *from = text, *at = text;
    size_t len = 0, hidden;

    if (secrecy_holds_key(all)) {
        (void)snprintf(out, size, "(%zu bytes that hold a private key)", all.len);
        return out;
    }
    while ((at = strstr(at, "://"))) {
        at += 3;
        hidden = user_length(at);
        if (hidden > 0 && len < size) {
            len += (size_t)snprintf(out + len, size - len, "%.*s***", (int)(at - from), from);
            from = at += hidden;
        }
    }
    if (from == text)
        return text;
    if (len < size)
        (void)snprintf(out + len, size - len, "%s", from);
    return out;
}

/* What a terminal would obey, but the ends of lines: C0, DEL, C1 as UTF-8, and C1 as it is. */
static void disarm(char *line)
{
    size_t i, within = 0; /* how much of a character of UTF-8 is to come */

    for (i = 0; line[i]; i++) {
        const unsigned char c = (unsigned char)line[i], next = (unsigned char)line[i + 1];
        const bool is_c1 = c == 0xC2 && next >= 0x80 && next < 0xA0;

        if ((c < 0x20 && c != '\n') || c == 0x7F || is_c1 || (c >= 0x80 && c < 0xA0 && !within))
            line[i] = '?';
        if (c >= 0xC2 && c < 0xF5 && !is_c1)
            within = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
        else
            within = within && c >= 0x80 && c < 0xC0 ? within - 1 : 0;
    }
}

void secrecy_mask(char *line, size_t size)
{
    char shown[LINE_SHOWN_MAX];
    const size_t len = strlen(line);
    const bool ends = len > 0 && line[len - 1] == '\n';
    const char *text;

    if (ends)
        line[len - 1] = '\0';
    text = secrecy_shown(line, shown, sizeof shown);
    if (text != line)
        (void)snprintf(line, size, "%.*s%s", (int)size - 2, text, ends ? "\n" : "");
    else if (ends)
        line[len - 1] = '\n';
    disarm(line);
}

/* A URL's user and password, "http://user:password@host" or without the scheme. */
static bool may_hold_password(const char *value)
{
    const char *at = strrchr(value, '@');

    return at && memchr(value, ':', (size_t)(at - value));
}

const char *secrecy_quoted(char out[SECRECY_QUOTED_MAX], const char *value)
{
    size_t len = 0;

    while (value[len] >= ' ' && value[len] <= '~')
        len++;
    if (len <= TYPO_MAX && value[len] == '\0' && !may_hold_password(value))
        (void)snprintf(out, SECRECY_QUOTED_MAX, "\"%s\"", value);
    else
        (void)snprintf(out, SECRECY_QUOTED_MAX, "(%zu bytes)", strlen(value));
    return out;
}
