/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns.h"

#include <string.h>
#include <sys/socket.h>

enum { HEADER = 12, LABEL_MAX = 63, NAME_MAX_WIRE = 255, JUMPS_MAX = 64, ALIASES_MAX = 16 };
enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28, CLASS_IN = 1, POINTER = 0xC0 };

static unsigned number(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;
}

static size_t address_size(int family)
{
    return family == AF_INET ? 4 : 16;
}

static unsigned type_of(int family)
{
    return family == AF_INET ? TYPE_A : TYPE_AAAA;
}

void dns_add(struct dns_addresses *addresses, int family, const uint8_t *bytes)
{
    struct dns_address address = {.family = family};
    size_t i;

    memcpy(address.bytes, bytes, address_size(family));
    for (i = 0; i < addresses->count; i++)
        if (memcmp(&addresses->list[i], &address, sizeof address) == 0)
            return;
    if (addresses->count < DNS_ADDRESSES_MAX)
        addresses->list[addresses->count++] = address;
}

size_t dns_ask(uint8_t out[DNS_QUERY_MAX], uint16_t id, const char *name, int family)
{
    const uint8_t header[HEADER] = {(uint8_t)(id >> 8), (uint8_t)id, 1 /* recursion */, [5] = 1};
    const uint8_t tail[] = {0, 0, (uint8_t)type_of(family), 0, CLASS_IN};
    size_t at = HEADER;

    memcpy(out, header, sizeof header);
    while (*name) {
        size_t len = strcspn(name, ".");

        if (len == 0 || len > LABEL_MAX || at - HEADER + 1 + len + 1 > NAME_MAX_WIRE)
            return 0;
        out[at++] = (uint8_t)len;
        memcpy(out + at, name, len);
        at += len;
        name += len + (name[len] == '.');
    }
    if (at == HEADER)
        return 0;
    memcpy(out + at, tail, sizeof tail);
    return at + sizeof tail;
}

bool dns_answers(struct bytes message, struct bytes query)
{
    size_t i;

    if (message.len < query.len || memcmp(message.data, query.data, 2) != 0 ||
        (message.data[2] & 0xF8) != 0x80 || number(message.data + 4) != 1)
        return false;
    for (i = HEADER; i < query.len; i++)
        if (lower(message.data[i]) != lower(query.data[i]))
            return false;
    return true;
}

bool dns_is_cut(struct bytes answer)
{
    return answer.data[2] & 2;
}

/* The label at *at, perhaps behind pointers; *at then stands behind it. -1: there is none. */
static int next_label(struct bytes message, size_t *at, unsigned *jumps, const uint8_t **label)
{
    const uint8_t *data = message.data;
    int len;

    while (*at + 1 < message.len && data[*at] >= POINTER) {
        if (++*jumps > JUMPS_MAX)
            return -1;
        *at = number(data + *at) & 0x3FFF;
    }
    if (*at >= message.len || data[*at] > LABEL_MAX || data[*at] >= message.len - *at)
        return -1;
    len = data[*at];
    *label = data + *at + 1;
    *at += 1 + (size_t)len;
    return len;
}

static bool same_name(struct bytes message, size_t a, size_t b)
{
    const uint8_t *left, *right;
    unsigned jumps = 0;
    int len, i;

    while ((len = next_label(message, &a, &jumps, &left)) > 0) {
        if (next_label(message, &b, &jumps, &right) != len)
            return false;
        for (i = 0; i < len; i++)
            if (lower(left[i]) != lower(right[i]))
                return false;
    }
    return len == 0 && next_label(message, &b, &jumps, &right) == 0;
}

/* Where a name ends that begins there; the message's length where it does not end. */
static size_t behind_name(struct bytes message, size_t at)
{
    while (at < message.len && message.data[at] != 0) {
        if (message.data[at] >= POINTER)
            return at + 2;
        at += 1 + (size_t)message.data[at];
    }
    return at + 1;
}

struct record {
    size_t owner, data; /* where in the message */
    unsigned type, class, len;
};

/* Reads the record at *at, which then stands behind it. */
static bool next_record(struct bytes message, size_t *at, struct record *record)
{
    enum { FIXED = 10 };
    const size_t fixed = behind_name(message, *at);

    if (fixed > message.len || message.len - fixed < FIXED)
        return false;
    record->owner = *at;
    record->type = number(message.data + fixed);
    record->class = number(message.data + fixed + 2);
    record->len = number(message.data + fixed + 8);
    record->data = fixed + FIXED;
    *at = record->data + record->len;
    return *at <= message.len;
}

enum dns_said dns_read(struct bytes answer, int family, struct dns_addresses *found)
{
    const unsigned rcode = answer.data[3] & 15U;
    bool any = false;
    size_t at = behind_name(answer, HEADER) + 4, wanted = HEADER;
    unsigned left = number(answer.data + 6), aliases = 0;
    struct record record;

    if (rcode)
        return DNS_RCODE + rcode;
    /* Neither an answer nor from somebody who could know one: as stray name servers speak. */
    if (number(answer.data + 6) == 0 && !(answer.data[2] & 4) && !(answer.data[3] & 0x80) &&
        number(answer.data + 10) == 0)
        return DNS_REFERRED;
    for (; left > 0 && next_record(answer, &at, &record); left--) {
        if (record.class != CLASS_IN || !same_name(answer, record.owner, wanted))
            continue;
        if (record.type == TYPE_CNAME && ++aliases <= ALIASES_MAX)
            wanted = record.data;
        if (record.type == type_of(family) && record.len == address_size(family)) {
            dns_add(found, family, answer.data + record.data);
            any = true;
        }
    }
    if (any)
        return DNS_FOUND;
    return left > 0 || aliases > ALIASES_MAX ? DNS_BROKEN : DNS_NO_ADDRESS;
}
