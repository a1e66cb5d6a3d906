/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret                                                                           \
    447 /* the same on every architecture; musl 1.2.5 names it on some only                        \
         */
#endif

enum {
    GUARD_SIZE = 64 * 1024, /* a multiple of any page size */
    STACK_SIZE = 64 * 1024,
    SEGMENT_SIZE = 32 * 1024,
    HEAP_CAP = 4 * 1024 * 1024,
    ARENA_NEED_KIB = 512, /* locked for one fetch, at most: tests check it */
    ALIGNMENT = 16
};

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

static struct {
    pthread_mutex_t mutex;
    char *stack;
    char *heap;
    size_t heap_size; /* committed so far */
    struct block *last;
    int fd; /* of memfd_secret, -1 without */
    bool locked;
    pthread_t thread;
    struct arena_stats stats;
} arena = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

void wipe(void *memory, size_t len)
{
    if (len > 0)
        memset(memory, 0, len);
    __asm__ volatile("" : : "r"(memory) : "memory");
}

/* Maps a part of the secret file; a failed MAP_FIXED leaves a hole, which is reserved again. */
static int map_secret(char *address, size_t len, off_t offset)
{
    int saved;

    if (mmap(address, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, arena.fd, offset) !=
        MAP_FAILED)
        return madvise(address, len, MADV_DONTFORK);
    saved = errno;
    if (mmap(address, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
             0) != MAP_FAILED)
        errno = saved;
    return -1;
}

static int map_private(char *address, size_t len)
{
    if (mprotect(address, len, PROT_READ | PROT_WRITE) < 0 ||
        madvise(address, len, MADV_DONTDUMP) < 0 || madvise(address, len, MADV_WIPEONFORK) < 0)
        return -1;
    return arena.locked ? mlock(address, len) : 0;
}

/* Backs reserved memory by locked memory; offset is its place in the secret file. */
static int commit(char *address, size_t len, off_t offset)
{
    if ((arena.fd >= 0 ? map_secret(address, len, offset) : map_private(address, len)) < 0)
        return -1;
    if (arena.locked)
        arena.stats.locked += len;
    return 0;
}

static char *payload(struct block *block)
{
    return (char *)(block + 1);
}

static struct block *block_after(struct block *block)
{
    return block == arena.last ? NULL : (struct block *)(void *)(payload(block) + block->size);
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
static void merge_after(struct block *block)
{
    struct block *next = block_after(block);

    if (!next || next->state != BLOCK_FREE)
        return;
    block->size += sizeof *next + next->size;
    if (next == arena.last)
        arena.last = block;
    wipe(next, sizeof *next);
    if (block != arena.last)
        block_after(block)->before = block;
}

/* Cuts a block down to size and makes the rest a free block, if that is worth a header. */
static void split(struct block *block, size_t size)
{
    struct block *rest;

    if (block->size < size + sizeof *rest + ALIGNMENT)
        return;
    rest = (struct block *)(void *)(payload(block) + size);
    rest->size = block->size - size - sizeof *rest;
    rest->asked = 0;
    rest->before = block;
    rest->tag = 0;
    rest->state = BLOCK_FREE;
    if (block == arena.last)
        arena.last = rest;
    else
        block_after(block)->before = rest;
    block->size = size;
    merge_after(rest);
}

/* Commits more heap, so that the last block is free and holds size bytes at least. */
static struct block *grow(size_t size)
{
    bool extend = arena.last && arena.last->state == BLOCK_FREE;
    size_t need = size + sizeof(struct block) - (extend ? arena.last->size : 0);
    size_t more = (need + SEGMENT_SIZE - 1) / SEGMENT_SIZE * SEGMENT_SIZE;
    char *end = arena.heap + arena.heap_size;
    struct block *block;

    if (more > HEAP_CAP - arena.heap_size ||
        commit(end, more, (off_t)(STACK_SIZE + arena.heap_size)) < 0)
        return NULL;
    arena.heap_size += more;
    if (extend) {
        arena.last->size += more;
        return arena.last;
    }
    block = (struct block *)(void *)end;
    block->size = more - sizeof *block;
    block->before = arena.last;
    block->state = BLOCK_FREE;
    arena.last = block;
    return block;
}

static struct block *find_free(size_t size)
{
    struct block *block = arena.last ? (struct block *)(void *)arena.heap : NULL;

    while (block && (block->state != BLOCK_FREE || block->size < size))
        block = block_after(block);
    return block;
}

static void account(const struct block *block, bool used)
{
    size_t total = block->size + sizeof *block;

    if (used) {
        arena.stats.in_use += total;
        arena.stats.tagged[block->tag] += block->asked;
        if (arena.stats.in_use > arena.stats.peak)
            arena.stats.peak = arena.stats.in_use;
    } else {
        arena.stats.in_use -= total;
        arena.stats.tagged[block->tag] -= block->asked;
    }
}

static size_t rounded(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void *allocate(size_t size, enum arena_tag tag)
{
    struct block *block;

    if (size == 0 || size > HEAP_CAP || !arena.heap)
        return NULL;
    block = find_free(rounded(size));
    if (!block)
        block = grow(rounded(size));
    if (!block) {
        arena.stats.refused++;
        return NULL;
    }
    split(block, rounded(size));
    block->asked = size;
    block->tag = tag;
    block->state = BLOCK_USED;
    account(block, true);
    return payload(block);
}

static void release(struct block *block)
{
    account(block, false);
    wipe(payload(block), block->size);
    block->asked = 0;
    block->tag = 0;
    block->state = BLOCK_FREE;
    merge_after(block);
    if (block->before && block->before->state == BLOCK_FREE)
        merge_after(block->before);
}

/* Gives a block another size where it stands; false where that cannot be. */
static bool resize(struct block *block, size_t size)
{
    struct block *next = block_after(block);
    size_t room = block->size;

    if (next && next->state == BLOCK_FREE)
        room += sizeof *next + next->size;
    if (size > HEAP_CAP || rounded(size) > room)
        return false;
    account(block, false);
    if (rounded(size) > block->size)
        merge_after(block);
    if (size < block->asked)
        wipe(payload(block) + size, block->asked - size);
    split(block, rounded(size));
    block->asked = size;
    account(block, true);
    return true;
}

void *arena_alloc(size_t size, enum arena_tag tag)
{
    void *memory;

    pthread_mutex_lock(&arena.mutex);
    memory = allocate(size, tag);
    pthread_mutex_unlock(&arena.mutex);
    return memory;
}

void *arena_realloc(void *memory, size_t size, enum arena_tag tag)
{
    struct block *block;
    void *moved = NULL;

    if (!memory)
        return arena_alloc(size, tag);
    pthread_mutex_lock(&arena.mutex);
    block = block_of(memory);
    if (size > 0 && resize(block, size)) {
        moved = memory;
    } else if ((moved = allocate(size, tag))) {
        memcpy(moved, memory, size < block->asked ? size : block->asked);
        release(block);
    }
    pthread_mutex_unlock(&arena.mutex);
    return moved;
}

void arena_free(void *memory)
{
    if (!memory)
        return;
    pthread_mutex_lock(&arena.mutex);
    release(block_of(memory));
    pthread_mutex_unlock(&arena.mutex);
}

void arena_stats(struct arena_stats *stats)
{
    pthread_mutex_lock(&arena.mutex);
    *stats = arena.stats;
    pthread_mutex_unlock(&arena.mutex);
}

static size_t common_prefix(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t n = 0;

    while (n < a_len && n < b_len && a[n] == b[n])
        n++;
    return n;
}

size_t arena_secret_prefix(const void *text, size_t len)
{
    size_t longest = 0, at, n;
    struct block *block;

    pthread_mutex_lock(&arena.mutex);
    for (block = arena.last ? (struct block *)(void *)arena.heap : NULL; block;
         block = block_after(block)) {
        if (block->state != BLOCK_USED || block->tag < ARENA_CREDENTIALS)
            continue;
        for (at = 0; at + ARENA_SECRET_RUN <= block->asked; at++) {
            n = common_prefix(text, len, payload(block) + at, block->asked - at);
            longest = n > longest ? n : longest;
        }
    }
    pthread_mutex_unlock(&arena.mutex);
    return longest >= ARENA_SECRET_RUN ? longest : 0;
}

/* Not under the mutex: this must come to an end even where another thread holds it. */
void arena_wipe(void)
{
    if (arena.heap)
        wipe(arena.heap, arena.heap_size);
}

/* A file of secret memory for stack and heap, or -1 where the kernel has none. */
static int secret_file(void)
{
    int fd = (int)syscall(SYS_memfd_secret, (unsigned)O_CLOEXEC);

    if (fd >= 0 && ftruncate(fd, STACK_SIZE + HEAP_CAP) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int refuse_lock(struct err *err)
{
    struct rlimit limit = {0};
    int saved = errno;

    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    errno = saved;
    return err_set_errno(err, ERR_MEMORY_LOCK, "memlock",
                         "the limit is %llu KiB, the need about %d KiB",
                         (unsigned long long)limit.rlim_cur / 1024, ARENA_NEED_KIB);
}

/*
 * Tries the backings from the best on: secret file, locked memory and, if that is allowed, plain
 * memory.
 */
static int back_stack(const struct arena_options *options, struct err *err)
{
    arena.locked = true;
    arena.fd = secret_file();
    arena.stats.backing = "memfd_secret";
    if (arena.fd >= 0 && commit(arena.stack, STACK_SIZE, 0) == 0)
        return 0;
    if (arena.fd >= 0)
        close(arena.fd);
    arena.fd = -1;
    arena.stats.backing = "mlock";
    if (commit(arena.stack, STACK_SIZE, 0) == 0)
        return 0;
    if (!options->lock_preferred)
        return refuse_lock(err);
    arena.locked = false;
    arena.stats.backing = "unlocked";
    if (commit(arena.stack, STACK_SIZE, 0) == 0)
        return 0;
    return err_set_errno(err, ERR_SYSTEM, "memory", "cannot map the stack");
}

int arena_open(const struct arena_options *options, struct err *err)
{
    size_t total = 3 * (size_t)GUARD_SIZE + STACK_SIZE + HEAP_CAP;
    char *base = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED)
        return err_set_errno(err, ERR_SYSTEM, "memory", "cannot reserve %zu bytes", total);
    arena.stack = base + GUARD_SIZE;
    arena.heap = arena.stack + STACK_SIZE + GUARD_SIZE;
    return back_stack(options, err);
}

struct thread_start {
    void (*work)(void *);
    void *argument;
};

static void *thread_main(void *start_pointer)
{
    struct thread_start start = *(struct thread_start *)start_pointer;

    arena_free(start_pointer);
    start.work(start.argument);
    return NULL;
}

int arena_thread_start(void (*work)(void *), void *argument, struct err *err)
{
    struct thread_start *start = arena_alloc(sizeof *start, ARENA_WORK);
    pthread_attr_t attributes;
    int failure;

    if (!start)
        return err_set(err, ERR_MEMORY_FULL, NULL, "no room to start the thread");
    *start = (struct thread_start){work, argument};
    failure = pthread_attr_init(&attributes);
    if (!failure) {
        failure = pthread_attr_setstack(&attributes, arena.stack, STACK_SIZE);
        if (!failure)
            failure = pthread_create(&arena.thread, &attributes, thread_main, start);
        pthread_attr_destroy(&attributes);
    }
    if (failure) {
        arena_free(start);
        errno = failure;
        return err_set_errno(err, ERR_SYSTEM, "thread", "cannot start");
    }
    return 0;
}

int arena_thread_join(struct err *err)
{
    int failure = pthread_join(arena.thread, NULL);

    if (failure) {
        errno = failure;
        return err_set_errno(err, ERR_SYSTEM, "thread", "cannot join");
    }
    wipe(arena.stack, STACK_SIZE);
    return 0;
}
