/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_URL_H
#define AWS_URL_H

#include <stdbool.h>

struct sockaddr;

/* An http or https URL that a user configured, taken apart. */
struct url {
    bool tls;       /* https */
    char name[256]; /* the host, an IPv6 address without its brackets, a DNS name without a final
                       dot: what TLS verifies */
    unsigned port;
    char host[264];   /* value of the Host header: the port is left out where it is the scheme's */
    const char *path; /* in the text: the part after the host, "" where there is none */
};

/*
 * Strict: 0; -1 where text is no such URL, names a user, or holds a fragment, a space, or a byte
 * that is not printable ASCII.
 */
int url_parse(struct url *url, const char *text);

/*
 * For http_request.address_allowed, where plain http must not leave the machine: loopback, and
 * that or the link-local addresses of the ECS and EKS agents.
 */
bool url_address_is_loopback(const struct sockaddr *address);
bool url_address_is_agent(const struct sockaddr *address);

#endif
