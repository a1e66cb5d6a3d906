/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CLIENT_PARTS_H
#define AWS_CLIENT_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "aws/client.h"
#include "aws/post.h"
#include "aws/proxy.h"
#include "aws/region.h"
#include "aws/retry.h"

struct prefetched;

/* What client.c and client_prefetch.c share. */
struct client {
    const struct aws *aws;
    struct http *http;
    struct prefetched *prefetched;
    unsigned batches;                /* so many */
    size_t at_once;                  /* calls side by side, */
    size_t fits;                     /* and how many answers there is memory for */
    char mute[REGION_MAX];           /* the region that did not answer last */
    size_t connections;              /* that were needed so far */
    struct credentials *credentials; /* NULL before the first request */
    struct proxy proxy;
    struct retry_quota quota;
    unsigned max_attempts;
    struct aws_clock clock;
    bool welcome; /* AWS has taken the credentials */
    bool refused; /* it wants others */
};

/* The request that a call sends now. */
struct post client_request(const struct client *client, const struct client_call *call);

/* Takes the answer that waits for a call, if one does. */
bool client_take(struct client *client, const struct client_call *call,
                 struct http_response *response);

/* Drops all that waits. */
void client_drop_all(struct client *client);

#endif
