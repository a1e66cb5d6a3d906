/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_RETRY_H
#define AWS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct http_response;

/* What a failed exchange means for trying again. */
enum retry_class { RETRY_NEVER, RETRY_TRANSIENT, RETRY_THROTTLED };

/* By transport result, HTTP status and AWS's error code (may be NULL). */
enum retry_class retry_classify(const struct http_response *response, const char *error_code);

/*
 * Milliseconds to wait before try number attempt + 1 (attempt from 1): full jitter over base * 2^(attempt-1), capped at 20 s;
 * base 50 ms, 1 s when throttled. The SDKs' standard mode as of November 2026.
 */
int64_t retry_delay_ms(enum retry_class class, unsigned attempt);

#endif
