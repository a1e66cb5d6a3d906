/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_PROXY_H
#define AWS_PROXY_H

#include "net/http.h"

struct aws;
struct err;
struct url;

/* The proxy for requests to AWS, and to nobody else. Points into configuration and environment. */
struct proxy {
    struct http_proxy http; /* url NULL: there is none */
    const char *except;     /* hosts that are reached without it: config/no_proxy.h; or NULL */
    char url[320];
};

/*
 * proxy and no-proxy, else HTTPS_PROXY and NO_PROXY (or https_proxy, no_proxy, which win as they do
 * for curl); of the environment, else of the file. Not to be copied. ERR_CONFIG.
 */
int proxy_read(struct proxy *proxy, const struct aws *aws, struct err *err);

/*
 * The value of http_request.proxy for a URL. NULL for plain http, which stays on this machine, and
 * where the URL's host is an exception.
 */
const struct http_proxy *proxy_for(const struct proxy *proxy, const struct url *url);

#endif
