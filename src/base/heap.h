/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/arena.h"

/*
 * The arena's allocator: first fit in one range that grows from its start in segments. Free memory
 * is zero, and so is new memory. The caller makes sure that only one thread is here at a time.
 */
struct heap {
    char *base;
    size_t size; /* backed so far */
    size_t cap;
    struct block *last;
    int (*commit)(char *address, size_t len); /* backs more of the range: 0, or -1 */
    struct arena_stats *stats;                /* kept up to date */
};

/* As arena_alloc(), arena_realloc() (memory not NULL), arena_free(), arena_secret_prefix(). */
void *heap_alloc(struct heap *heap, size_t size, enum arena_tag tag);
void *heap_realloc(struct heap *heap, void *memory, size_t size, enum arena_tag tag);
void heap_free(struct heap *heap, void *memory);
size_t heap_secret_prefix(const struct heap *heap, const void *text, size_t len);

/* Has enough backed for one block of that size: 0, or -1. */
int heap_reserve(struct heap *heap, size_t size);

#endif
