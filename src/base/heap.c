/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/redzone.h"

enum { SEGMENT_SIZE = 32 * 1024, ALIGNMENT = 16 };

/*
 * Blocks lie one behind the other from the heap's start to its end; each knows the one before it.
 */
struct block {
    size_t size; /* of the payload, a multiple of ALIGNMENT */
    size_t asked;
    struct block *before;
    uint32_t tag;
    uint32_t state;
};

enum block_state { BLOCK_FREE = 0x66726565, BLOCK_USED = 0x75736564 };

_Static_assert(sizeof(struct block) % ALIGNMENT == 0, "payloads are aligned");

static char *payload(struct block *block)
{
    return (char *)(block + 1);
}

static struct block *block_after(const struct heap *heap, struct block *block)
{
    return block == heap->last ? NULL : (struct block *)(void *)(payload(block) + block->size);
}

/* Closes what of a block is not in use to all but this file. */
static void guard(struct block *block)
{
    redzone_open(payload(block), block->asked);
    redzone_close(payload(block) + block->asked, block->size - block->asked);
}

static struct block *block_of(void *memory)
{
    struct block *block = (struct block *)memory - 1;

    if (block->state != BLOCK_USED)
        abort(); /* freed twice, or overwritten: going on could leak */
    return block;
}

/*
 * Puts the free block behind a free one into it. The swallowed header is wiped: free memory is
 * zero.
 */
static void merge_after(struct heap *heap, struct block *block)
{
    struct block *next = block_after(heap, block);

    if (!next || next->state != BLOCK_FREE)
        return;
    block->size += sizeof *next + next->size;
    if (next == heap->last)
        heap->last = block;
    wipe(next, sizeof *next);
    redzone_close(next, sizeof *next);
    next = block_after(heap, block);
    if (next)
        next->before = block;
}

/* Cuts a block down to size and makes the rest a free block, if that is worth a header. */
static void split(struct heap *heap, struct block *block, size_t size)
{
    struct block *rest, *next = block_after(heap, block);

    if (block->size < size + sizeof *rest + ALIGNMENT)
        return;
    rest = (struct block *)(void *)(payload(block) + size);
    redzone_open(rest, sizeof *rest);
    rest->size = block->size - size - sizeof *rest;
    rest->asked = 0;
    rest->before = block;
    rest->tag = 0;
    rest->state = BLOCK_FREE;
    if (next)
        next->before = rest;
    else
        heap->last = rest;
    block->size = size;
    merge_after(heap, rest);
    guard(rest);
}

/* Has more of the range backed, so that the last block is free and holds size bytes at least. */
static struct block *grow(struct heap *heap, size_t size)
{
    bool extend = heap->last && heap->last->state == BLOCK_FREE;
    size_t need = size + sizeof(struct block) - (extend ? heap->last->size : 0);
    size_t more = (need + SEGMENT_SIZE - 1) / SEGMENT_SIZE * SEGMENT_SIZE;
    char *end = heap->base + heap->size;
    struct block *block;

    if (more > heap->cap - heap->size || heap->commit(end, more) < 0)
        return NULL;
    heap->size += more;
    if (extend) {
        heap->last->size += more;
        guard(heap->last);
        return heap->last;
    }
    block = (struct block *)(void *)end;
    block->size = more - sizeof *block;
    block->before = heap->last;
    block->state = BLOCK_FREE;
    heap->last = block;
    guard(block);
    return block;
}

static struct block *find_free(const struct heap *heap, size_t size)
{
    struct block *block = heap->last ? (struct block *)(void *)heap->base : NULL;

    while (block && (block->state != BLOCK_FREE || block->size < size))
        block = block_after(heap, block);
    return block;
}

int heap_reserve(struct heap *heap, size_t size)
{
    return find_free(heap, size) || grow(heap, size) ? 0 : -1;
}

static void account(struct heap *heap, const struct block *block, bool used)
{
    size_t total = block->size + sizeof *block;

    if (used) {
        heap->stats->in_use += total;
        heap->stats->tagged[block->tag] += block->asked;
        if (heap->stats->in_use > heap->stats->peak)
            heap->stats->peak = heap->stats->in_use;
    } else {
        heap->stats->in_use -= total;
        heap->stats->tagged[block->tag] -= block->asked;
    }
}

static size_t rounded(size_t size)
{
    return (size + REDZONE + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void *heap_alloc(struct heap *heap, size_t size, enum arena_tag tag)
{
    struct block *block;

    if (size == 0 || size > heap->cap)
        return NULL;
    block = find_free(heap, rounded(size));
    if (!block)
        block = grow(heap, rounded(size));
    if (!block) {
        heap->stats->refused++;
        return NULL;
    }
    split(heap, block, rounded(size));
    block->asked = size;
    block->tag = tag;
    block->state = BLOCK_USED;
    guard(block);
    account(heap, block, true);
    return payload(block);
}

static void release(struct heap *heap, struct block *block)
{
    account(heap, block, false);
    redzone_open(payload(block), block->size);
    wipe(payload(block), block->size);
    block->asked = 0;
    block->tag = 0;
    block->state = BLOCK_FREE;
    guard(block);
    merge_after(heap, block);
    if (block->before && block->before->state == BLOCK_FREE)
        merge_after(heap, block->before);
}

/* Gives a block another size where it stands; false where that cannot be. */
static bool resize(struct heap *heap, struct block *block, size_t size)
{
    struct block *next = block_after(heap, block);
    size_t room = block->size;

    if (next && next->state == BLOCK_FREE)
        room += sizeof *next + next->size;
    if (size > heap->cap || rounded(size) > room)
        return false;
    account(heap, block, false);
    if (rounded(size) > block->size)
        merge_after(heap, block);
    if (size < block->asked)
        wipe(payload(block) + size, block->asked - size);
    split(heap, block, rounded(size));
    block->asked = size;
    guard(block);
    account(heap, block, true);
    return true;
}

void *heap_realloc(struct heap *heap, void *memory, size_t size, enum arena_tag tag)
{
    struct block *block = block_of(memory);
    void *moved;

    if (size > 0 && resize(heap, block, size))
        return memory;
    moved = heap_alloc(heap, size, tag);
    if (moved) {
        memcpy(moved, memory, size < block->asked ? size : block->asked);
        release(heap, block);
    }
    return moved;
}

void heap_free(struct heap *heap, void *memory)
{
    release(heap, block_of(memory));
}

static size_t common_prefix(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t n = 0;

    while (n < a_len && n < b_len && a[n] == b[n])
        n++;
    return n;
}

size_t heap_secret_prefix(const struct heap *heap, const void *text, size_t len)
{
    struct block *block = heap->last ? (struct block *)(void *)heap->base : NULL;
    size_t longest = 0, at, n;

    for (; block; block = block_after(heap, block)) {
        if (block->state != BLOCK_USED || block->tag < ARENA_CREDENTIALS)
            continue;
        for (at = 0; at + ARENA_SECRET_RUN <= block->asked; at++) {
            n = common_prefix(text, len, payload(block) + at, block->asked - at);
            longest = n > longest ? n : longest;
        }
    }
    return longest >= ARENA_SECRET_RUN ? longest : 0;
}
