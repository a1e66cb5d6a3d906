/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_ERROR_H
#define AWS_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct http_response;

/* Why an exchange with AWS, or with a source of credentials, did not succeed. */
#define AWS_ERROR_TEXT_MAX 512
struct aws_error {
    char code[64];                 /* AWS's own: "AccessDeniedException"; "" where none came */
    char text[AWS_ERROR_TEXT_MAX]; /* a clause for people: code, message, HTTP status, request id */
    enum err_code means;           /* what it is to the user: ERR_AWS_*, ERR_VERSION_*, ... */
    bool young;                    /* it may pass by itself: error_meaning.h */
    int64_t skew_s; /* where AWS complains of the request's time: how far its clock is ahead of this
                       host's; 0: not at all, or not by more than four minutes */
    bool dated;     /* AWS may have complained of that, and says what time it is */
    bool
        too_early; /* AWS's certificate is not valid yet: this host's clock is most likely behind */
};

/* AWS's clock as far as it is known, and how often a call has learned it. */
struct aws_clock {
    int64_t skew_s; /* how far it is ahead of ours */
    unsigned learned;
};

/*
 * Whether another try by the clock in the error may succeed; a difference of zero counts, since a
 * wrong clock may have been set right. Takes the difference over, and logs it.
 */
bool aws_clock_learn(struct aws_clock *clock, const struct aws_error *error);

/*
 * Whether to try again because somebody may set this host's clock; waits a second for that. False
 * at the deadline.
 */
bool aws_clock_wait(const struct aws_error *error, int64_t deadline);

/*
 * Reads whatever came instead of success: an AWS error, another HTTP answer, or a transport's
 * failure. Remote text is redacted, which masks what a live document holds: so the
 * response's body is freed first.
 */
void aws_error_read(struct aws_error *error, struct http_response *response);

#endif
