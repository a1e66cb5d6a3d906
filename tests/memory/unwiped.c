/* SPDX-License-Identifier: Apache-2.0 */
/* The agent with a lapse: what is freed is not wiped. The tests must see it. */
#include <string.h>

#include "base/heap.h"

void *__real_heap_alloc(struct heap *heap, size_t size, enum arena_tag tag);

void __wrap_wipe(void *memory, size_t len)
{
    (void)memory;
    (void)len;
}

/* Who allocates relies on zeros. */
void *__wrap_heap_alloc(struct heap *heap, size_t size, enum arena_tag tag)
{
    void *memory = __real_heap_alloc(heap, size, tag);

    return memory ? memset(memory, 0, size) : NULL;
}
