/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_SIGV4_H
#define AWS_SIGV4_H

#include <stdint.h>

#include "base/buf.h"

struct credentials;

/*
 * AWS Signature Version 4 by headers:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html Pure:
 * request, credentials and time in, headers out; no clock, no environment, no I/O.
 */
struct sigv4_header {
    struct bytes name, value;
};

struct sigv4_request {
    struct bytes method;
    struct bytes path; /* raw, as in the request line; it has no query. Signed without dot segments
                          and double slashes, as every service but S3 wants it */
    const struct sigv4_header *headers; /* to be signed, Host included */
    size_t header_count;
    struct bytes body;
};

struct sigv4_scope {
    const char *region;
    const char *service;
    int64_t time; /* seconds since 1970 */
};

/* Everything that signing makes. The caller zero-initialises it and frees it with sigv4_free(). */
struct sigv4_result {
    struct buf canonical_request;
    struct buf string_to_sign;
    struct buf authorization; /* value of the Authorization header, NUL-terminated */
    char date[17];            /* value of X-Amz-Date */
    char signature[65];
};

/*
 * 0, or -1 where the arena is full or the request holds more headers than SIGV4_LIST_MAX, less
 * those that signing adds.
 */
#define SIGV4_LIST_MAX 64
int sigv4_sign(struct sigv4_result *result, const struct sigv4_request *request,
               const struct credentials *credentials, const struct sigv4_scope *scope);
void sigv4_free(struct sigv4_result *result);

#endif
