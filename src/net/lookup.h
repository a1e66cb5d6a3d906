/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_LOOKUP_H
#define NET_LOOKUP_H

#include "net/resolve.h"

/*
 * Inside net/: one name after the other, asked of the name servers without search domains. lookup.c
 * chooses the server and the time, resolve.c the names.
 */
enum { LOOKUP_FAMILIES = 2 }; /* A, AAAA */

/* What one family is asked for. */
struct question {
    bool open; /* not answered yet */
    uint8_t packet[DNS_QUERY_MAX];
    size_t len;
    size_t turn;     /* tries so far */
    size_t last;     /* server that was asked last */
    size_t failures; /* servers that gave no answer but an error */
    int64_t next;    /* when the next try is due, on clock_ms() */
    int64_t asked[RESOLV_CONF_SERVERS];
    bool awaits[RESOLV_CONF_SERVERS]; /* an answer to the last try: more of the same do not count */
};

/* One name, asked without search domains. */
struct lookup {
    const struct resolv_conf *conf;
    struct resolved *resolved;
    struct question questions[LOOKUP_FAMILIES];
    int fds[RESOLV_CONF_SERVERS];   /* a connected socket each, so that nobody else can answer */
    bool dead[RESOLV_CONF_SERVERS]; /* silent for a whole patience */
    size_t order[RESOLV_CONF_SERVERS];
    int64_t patience, end;
    const char *name; /* the look-up's, without a domain */
    resolve_told *told;
};

/*
 * Asks one name, for so long at most. Fills the look-up's resolved anew, and adds addresses. false:
 * the name is impossible.
 */
bool lookup_ask(struct lookup *lookup, const char *name, int family, int64_t ms);

/* A datagram's or a stream's socket that is connected to there, or begins to be; -1: no way. */
int lookup_socket(const struct name_server *server, int type);

#endif
