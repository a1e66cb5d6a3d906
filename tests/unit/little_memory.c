/* SPDX-License-Identifier: Apache-2.0 */
#include "little_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

static void **taken; /* each block holds the next one's address */

void leave_free(size_t size)
{
    void *kept = arena_alloc(size, ARENA_WORK), **block;
    size_t step;

    assert_non_null(kept);
    for (step = 1024 * 1024; step >= 1024; step /= 2)
        while ((block = arena_alloc(step, ARENA_WORK))) {
            *block = taken;
            taken = block;
        }
    arena_free(kept);
}

void give_back(void)
{
    void **block;

    while ((block = taken)) {
        taken = *block;
        arena_free(block);
    }
}
