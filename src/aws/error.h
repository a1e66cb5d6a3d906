/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_ERROR_H
#define AWS_ERROR_H

#include "base/err.h"

struct http_response;

/* Why an exchange with AWS, or with a source of credentials, did not succeed. */
#define AWS_ERROR_TEXT_MAX 480
struct aws_error {
    char code[64];                 /* AWS's own: "AccessDeniedException"; "" where none came */
    char text[AWS_ERROR_TEXT_MAX]; /* a clause for people: code, message, HTTP status, request id */
};

/*
 * Reads whatever came instead of success: an AWS error, another HTTP answer, or a transport's
 * failure. Remote text is redacted, which masks what a live document holds: so the response's body
 * is freed first. Where AWS complains of the request's time, a clock that differs from AWS's by
 * more than four minutes is named.
 */
void aws_error_read(struct aws_error *error, struct http_response *response);

/* What it means to the user: ERR_AWS_*, ERR_SECRET_NOT_FOUND, ERR_CONFIG, ERR_SYSTEM. */
enum err_code aws_error_code(const struct aws_error *error, const struct http_response *response);

#endif
