/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Decimal numbers without a sign. Returns how many digits text begins with, and sets *value to
 * their value: -1 where an int64_t cannot hold it, 0 where there are none.
 */
size_t decimal_read(struct bytes text, int64_t *value);

/* The value of a text that is only a number; -1 where it is none, or more than most. */
int64_t decimal_number(const char *text, int64_t most);

#endif
