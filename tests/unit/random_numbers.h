/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_RANDOM_NUMBERS_H
#define TESTS_UNIT_RANDOM_NUMBERS_H

#include <stdint.h>

/* The next one of a series that its seed, not 0, decides: xorshift64*. */
static inline uint64_t random_after(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed * 0x2545F4914F6CDD1D;
}

#endif
