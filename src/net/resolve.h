/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "net/dns.h"
#include "net/resolv_conf.h"

/*
 * Names to addresses, by files and DNS, as glibc does with "hosts: files dns", on the calling
 * thread: it blocks. It does not touch the arena. Unlike glibc it asks the next server after a
 * second of silence, and a late answer still counts.
 */

/* What a look-up found, and what each server said to the name that decided. */
struct resolved {
    struct dns_addresses found;
    char name[DNS_NAME_MAX]; /* as it was asked, a domain behind it or not; "": files had it */
    size_t server_count;
    bool by_default; /* resolv.conf names no server */
    struct {
        char text[RESOLV_CONF_ADDRESS];
        enum dns_said said[2]; /* to A, to AAAA */
    } servers[RESOLV_CONF_SERVERS];
};

/* Called with the result so far, whenever there is more; or NULL. */
typedef void resolve_told(const char *name, const struct resolved *resolved);

/* The families that are worth asking for: AF_UNSPEC; AF_INET where IPv6 is off. */
int resolve_family(const struct resolv_conf *conf);

/* Looks a name up by the system's files and servers, for a family or both (AF_UNSPEC). */
void resolve(const char *name, int family, resolve_told *told, struct resolved *resolved);

/*
 * Asks the servers given, and no file. To hear each one's own answer, ask each alone. A later
 * server is asked where those before fail or are silent; its denial counts when they have had their
 * time.
 */
void resolve_by(const struct resolv_conf *conf, const char *name, int family, resolve_told *told,
                struct resolved *resolved);

/* "10.0.0.2 answered NXDOMAIN for A and SERVFAIL for AAAA; 10.0.0.3 answered nothing" */
#define RESOLVE_TEXT_MAX 256
void resolve_explain(const struct resolved *resolved, char out[RESOLVE_TEXT_MAX]);

/*
 * Why the last look-up of a host by libcurl failed, or what it waits for; "": it did neither. host:
 * "name", "name:port", or a URL of it.
 */
void resolve_failure(const char *host, char out[RESOLVE_TEXT_MAX]);

#endif
