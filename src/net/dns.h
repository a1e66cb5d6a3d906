/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_DNS_H
#define NET_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Messages of the DNS (RFC 1035 section 4) for look-ups of addresses. Pure: nothing is sent here.
 */
#define DNS_NAME_MAX      256 /* as text, with a final dot and its end */
#define DNS_QUERY_MAX     271 /* header, the longest name, type and class */
#define DNS_MESSAGE_MAX   4096
#define DNS_ADDRESSES_MAX 32

/* What a server said to one question. */
enum dns_said {
    DNS_UNASKED = 0,
    DNS_SILENT = 1,
    DNS_UNREACHABLE = 2, /* no way there, or nobody listens */
    DNS_FOUND = 3,
    DNS_NO_ADDRESS = 4, /* the name has no such record */
    DNS_REFERRED = 5,   /* a referral: the server does not resolve for others */
    DNS_BROKEN = 6,     /* no DNS within the answer */
    DNS_CUT = 7,        /* the answer was cut off, and none came over TCP */
    DNS_RCODE = 8,      /* and above: this and the answer's RCODE */
    DNS_NO_NAME = 11,
    DNS_RCODE_LAST = 23
};

struct dns_address {
    int family; /* AF_INET, AF_INET6 */
    uint8_t bytes[16];
};

struct dns_addresses {
    struct dns_address list[DNS_ADDRESSES_MAX];
    size_t count;
};

/* Adds an address, unless it is there or there are enough. */
void dns_add(struct dns_addresses *addresses, int family, const uint8_t *bytes);

/*
 * Writes the question for the name's addresses of a family, a final dot or none: its length; 0:
 * there can be no such name.
 */
size_t dns_ask(uint8_t out[DNS_QUERY_MAX], uint16_t id, const char *name, int family);

/* Whether a message is an answer to this very question: id, name, type and class. */
bool dns_answers(struct bytes message, struct bytes query);

/* Whether an answer is cut off, and a whole one to be had over TCP. */
bool dns_is_cut(struct bytes answer);

/*
 * Reads an answer to a question for a family, follows up to sixteen aliases, and adds the
 * addresses. Returns what the answer said. If the answer ends too early, its part counts.
 */
enum dns_said dns_read(struct bytes answer, int family, struct dns_addresses *found);

#endif
