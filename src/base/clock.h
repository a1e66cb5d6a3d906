/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds on a clock that never jumps and counts suspend (CLOCK_BOOTTIME). */
int64_t clock_ms(void);

/* Seconds since 1970-01-01T00:00:00Z on the wall clock. */
int64_t clock_wall(void);

/* Milliseconds left until at_ms (of clock_ms), never negative. */
int64_t clock_left(int64_t at_ms);

/* Milliseconds of processor time that this process has used. */
int64_t clock_processor(void);

/*
 * When the share of the next of so many tasks ends, of the time until at_ms. A share is at least a
 * 32nd: less would help nobody, and most tasks need less than their share.
 */
#define CLOCK_SHARES_MAX 32
int64_t clock_share(int64_t at_ms, size_t among);

/* Sleeps the milliseconds given, or until at_ms if that is sooner. */
void clock_sleep(int64_t ms, int64_t at_ms);

/*
 * A civil UTC time to seconds since 1970, and back. Proleptic Gregorian, no leap seconds (RFC 5280
 * 4.1.2.5).
 */
struct civil {
    int year, month, day, hour, minute, second; /* month and day from 1 */
};
int64_t clock_from_civil(const struct civil *civil);
void clock_to_civil(int64_t seconds, struct civil *civil);

#define CLOCK_TEXT_MAX 32
/* "2026-11-23T10:00:00Z" */
void clock_format(char out[CLOCK_TEXT_MAX], int64_t seconds);
/* Reads ISO 8601 UTC as AWS writes it, fractions ignored: 0, or -1 where text is something else. */
int clock_parse(const char *text, int64_t *seconds);
/* The same of a Date in HTTP, "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7). */
int clock_parse_http(const char *text, int64_t *seconds);

#endif
