/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is short: in a program that is linked with --wrap of heap_alloc, heap_realloc,
 * malloc, calloc and realloc each allocation from a number on fails while it is armed.
 */
#ifndef TESTS_UNIT_SHORTAGE_H
#define TESTS_UNIT_SHORTAGE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/heap.h"

/* Of the thread that is tried alone: the server has all that it needs. */
static _Thread_local struct {
    bool armed, starved;
    size_t count, from; /* the first one that fails */
} allocations;

static bool refused(void)
{
    if (!allocations.armed || ++allocations.count < allocations.from)
        return false;
    allocations.starved = true;
    errno = ENOMEM;
    return true;
}

void *__real_heap_alloc(struct heap *heap, size_t size, enum arena_tag tag);
void *__wrap_heap_alloc(struct heap *heap, size_t size, enum arena_tag tag);
void *__real_heap_realloc(struct heap *heap, void *memory, size_t size, enum arena_tag tag);
void *__wrap_heap_realloc(struct heap *heap, void *memory, size_t size, enum arena_tag tag);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_heap_alloc(struct heap *heap, size_t size, enum arena_tag tag)
{
    if (!refused())
        return __real_heap_alloc(heap, size, tag);
    heap->stats->refused++;
    return NULL;
}

void *__wrap_heap_realloc(struct heap *heap, void *memory, size_t size, enum arena_tag tag)
{
    if (!refused())
        return __real_heap_realloc(heap, memory, size, tag);
    heap->stats->refused++;
    return NULL;
}

void *__wrap_malloc(size_t size)
{
    return refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return refused() ? NULL : __real_realloc(memory, size);
}

#endif
