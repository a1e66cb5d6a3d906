/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_ENDPOINT_H
#define AWS_ENDPOINT_H

#include "aws/url.h"

struct aws;
struct err;

/* Where Secrets Manager is reached. url points into text: not to be copied. */
#define ENDPOINT_TEXT_MAX 512
struct aws_endpoint {
    char text[ENDPOINT_TEXT_MAX];
    struct url url;
};

/*
 * The endpoint that the user configured (endpoint-url, else AWS_ENDPOINT_URL_SECRETS_MANAGER, else
 * AWS_ENDPOINT_URL), else AWS's own in the region's partition. A configured http:// is refused
 * without allow-plaintext-endpoint; with it, requests must pass url_address_is_loopback().
 * ERR_CONFIG.
 */
int endpoint_resolve(struct aws_endpoint *endpoint, const struct aws *aws, const char *region,
                     struct err *err);

#endif
