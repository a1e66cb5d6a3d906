/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Decimal numbers without a sign. How many digits text begins with; *value is what they say, -1
 * where an int64_t does not hold it, 0 where there are none.
 */
size_t decimal_read(struct bytes text, int64_t *value);

/* A text that is a number, and nothing else: it, or -1 where it is none or more than most. */
int64_t decimal_number(const char *text, int64_t most);

#endif
