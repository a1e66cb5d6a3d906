/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_POST_H
#define AWS_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct aws;
struct aws_endpoint;
struct credentials;
struct err;
struct http;
struct http_response;
struct proxy;

/* One request to a service of AWS, signed for its own moment. */
struct post {
    const struct aws *aws; /* whose deadline, anchors and profile count */
    struct http *http;
    const struct proxy *proxy;
    const struct aws_endpoint *endpoint;
    const char *service; /* "sts": in the signature */
    const char *content_type;
    const char *target;                    /* X-Amz-Target; NULL: none */
    const char *accept;                    /* Accept; NULL: none */
    const struct credentials *credentials; /* NULL: unsigned */
    int64_t skew_s;                        /* of AWS's clock */
    struct bytes body;
    size_t answer_max;
    bool spare;         /* not asked again for want of memory */
    const char *object; /* the object of the request, for errors */
};

/*
 * Performs so many, all by the first one's http: as http_perform(). ERR_MEMORY_FULL where there is
 * no room for requests and signatures.
 */
int post(const struct post *posts, struct http_response *responses, size_t count, struct err *err);

#endif
