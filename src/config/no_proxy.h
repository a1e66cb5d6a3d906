/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_NO_PROXY_H
#define CONFIG_NO_PROXY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * NO_PROXY as Go's net/http reads it (https://pkg.go.dev/golang.org/x/net/http/httpproxy); curl and
 * Python differ. Commas separate the entries, with or without white space. "x" is that name and all
 * names below it, ".x" and "*.x" only those below it, "*" everything; an address; a network,
 * 10.0.0.0/8; a name or an address may have a port. Addresses are compared as the URL writes them:
 * no name is looked up.
 */

/*
 * The first entry from *at on that is not understood, and so never matches; moves *at after it.
 * NULL: there are no more. *len is its length.
 */
const char *no_proxy_strange(const char **at, size_t *len);

/* Whether a host, IPv6 without brackets, is reached without the proxy. NULL: an empty list. */
bool no_proxy_fits(const char *list, const char *host, unsigned port);

#endif
