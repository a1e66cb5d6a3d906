/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_RESOLV_CONF_H
#define NET_RESOLV_CONF_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct dns_addresses;

#define RESOLV_CONF_SERVERS    3 /* as everywhere: what follows is not read */
#define RESOLV_CONF_SEARCH_MAX 2048
#define RESOLV_CONF_ADDRESS    (INET6_ADDRSTRLEN + 16)

/* A name server, by the text that resolv.conf has. */
struct name_server {
    char text[RESOLV_CONF_ADDRESS];
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t size;
};

/* What resolv.conf(5) says, as glibc reads it. */
struct resolv_conf {
    struct name_server servers[RESOLV_CONF_SERVERS];
    size_t count;
    bool silent;                         /* it names none: then 127.0.0.1 is asked */
    char search[RESOLV_CONF_SEARCH_MAX]; /* domains, with spaces in between */
    unsigned ndots;                      /* a name with fewer is asked with a domain first */
    unsigned timeout_s, attempts;
    bool rotate, use_tcp, no_aaaa, no_tld_query;
};

/* Reads a file, as much of it as there is; without any there is one server, 127.0.0.1. */
void resolv_conf_read(struct resolv_conf *conf, const char *path);

/* Adds the addresses of a family (AF_UNSPEC: both) that a hosts(5) file has for a name. */
void hosts_read(const char *path, const char *name, int family, struct dns_addresses *found);

#endif
