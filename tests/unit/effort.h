/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_EFFORT_H
#define TESTS_UNIT_EFFORT_H

#include <stddef.h>
#include <stdlib.h>

/*
 * Of long series one of so many is tried where the program is watched or emulated (tools/watched,
 * tools/emulated), and thus many times slower; elsewhere all.
 */
static inline size_t one_of(size_t many)
{
    return getenv("TEST_KIND") ? many : 1;
}

#endif
