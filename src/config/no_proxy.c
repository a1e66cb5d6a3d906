/* SPDX-License-Identifier: Apache-2.0 */
#include "config/no_proxy.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/decimal.h"

#define SPACE   " \t\r\n"
#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "-_"

enum { ENTRY_MAX = 300, ADDRESS = 16 };

enum kind { STRANGE, ALL, NETWORK, NAME };

/* An entry, taken apart. */
struct entry {
    enum kind kind;
    uint8_t address[ADDRESS]; /* IPv4 mapped into IPv6 */
    unsigned bits;            /* of it that count */
    char name[ENTRY_MAX];     /* without the dot that it may begin with */
    bool below_alone;
    unsigned port; /* 0: any */
};

static bool read_address(const char *text, uint8_t address[ADDRESS])
{
    static const uint8_t mapped[12] = {[10] = 0xFF, 0xFF};

    memcpy(address, mapped, sizeof mapped);
    return inet_pton(AF_INET, text, address + sizeof mapped) == 1 ||
           inet_pton(AF_INET6, text, address) == 1;
}

static bool read_number(const char *text, unsigned most, unsigned *number)
{
    const int64_t value = decimal_number(text, most);

    *number = (unsigned)value;
    return value >= 0;
}

static enum kind read_network(struct entry *entry, char *text, char *slash)
{
    const bool v6 = strchr(text, ':') != NULL;

    *slash = '\0';
    if (!read_address(text, entry->address) || !read_number(slash + 1, v6 ? 128 : 32, &entry->bits))
        return STRANGE;
    entry->bits += v6 ? 0 : 96;
    return NETWORK;
}

/* Cuts a port off, and the brackets around an IPv6 address: the rest, or NULL. */
static char *cut_port(char *text, unsigned *port)
{
    char *end, *rest = text;

    if (*text == '[') {
        end = strchr(++rest, ']');
        if (!end)
            return NULL;
        *end++ = '\0';
    } else {
        end = strchr(text, ':');
        if (!end || strchr(end + 1, ':')) /* none, or an IPv6 address */
            return text;
    }
    if (*end == '\0')
        return rest;
    if (*end != ':' || !read_number(end + 1, 65535, port) || *port == 0)
        return NULL;
    *end = '\0';
    return rest;
}

static enum kind read_name(struct entry *entry, const char *text)
{
    text += strncmp(text, "*.", 2) == 0;
    entry->below_alone = *text == '.';
    text += entry->below_alone;
    if (*text == '\0' || text[strspn(text, LETTERS ".")] != '\0')
        return STRANGE;
    memcpy(entry->name, text, strlen(text) + 1);
    return NAME;
}

static enum kind read_entry(struct entry *entry, const char *from, size_t len)
{
    char text[ENTRY_MAX], *slash, *rest;

    if (len >= sizeof text)
        return STRANGE;
    memcpy(text, from, len);
    text[len] = '\0';
    entry->port = 0;
    if (strcmp(text, "*") == 0)
        return ALL;
    slash = strchr(text, '/');
    if (slash)
        return read_network(entry, text, slash);
    rest = cut_port(text, &entry->port);
    if (!rest)
        return STRANGE;
    entry->bits = 128;
    return read_address(rest, entry->address) ? NETWORK : read_name(entry, rest);
}

/* The next entry that is not empty, without white space around it; NULL: there is none. */
static const char *next(const char **at, size_t *len, struct entry *entry)
{
    const char *start;

    while (**at) {
        start = *at + strspn(*at, SPACE ",");
        *len = strcspn(start, ",");
        *at = start + *len;
        while (*len > 0 && strchr(SPACE, start[*len - 1]))
            --*len;
        if (*len == 0)
            continue;
        entry->kind = read_entry(entry, start, *len);
        return start;
    }
    return NULL;
}

const char *no_proxy_strange(const char **at, size_t *len)
{
    struct entry entry = {.port = 0};
    const char *start;

    while ((start = next(at, len, &entry)) != NULL)
        if (entry.kind == STRANGE)
            return start;
    return NULL;
}

static bool is_within(const uint8_t address[ADDRESS], const struct entry *entry)
{
    unsigned whole = entry->bits / 8, rest = entry->bits % 8;

    return memcmp(address, entry->address, whole) == 0 &&
           (rest == 0 || (address[whole] ^ entry->address[whole]) >> (8 - rest) == 0);
}

static bool is_named(const char *host, const struct entry *entry)
{
    size_t len = strlen(host), name = strlen(entry->name);

    if (len > name && host[len - name - 1] == '.')
        return strcasecmp(host + len - name, entry->name) == 0;
    return !entry->below_alone && strcasecmp(host, entry->name) == 0;
}

bool no_proxy_fits(const char *list, const char *host, unsigned port)
{
    uint8_t address[ADDRESS];
    const bool numeric = read_address(host, address);
    struct entry entry = {.port = 0};
    size_t len;

    while (list && next(&list, &len, &entry)) {
        if (entry.port && entry.port != port)
            continue;
        if (entry.kind == ALL || (entry.kind == NETWORK && numeric && is_within(address, &entry)) ||
            (entry.kind == NAME && !numeric && is_named(host, &entry)))
            return true;
    }
    return false;
}
