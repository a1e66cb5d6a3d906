/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/heap.h"
#include "base/redzone.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447 /* on every architecture; musl 1.2.5 names it on some only */
#endif

/*
 * Builds that sanitizers or valgrind watch have larger frames, and another C library: its
 * pthread_join(3) waits on a word of the stack by a futex that the kernel refuses in secret memory.
 */
#ifdef ARENA_WATCHED
#define STACK_KIB 1024
#else
#define STACK_KIB 64
#endif

enum {
    PAGE_LEAST = 4096,
    GUARD_SIZE = 64 * 1024, /* a multiple of any page size */
    STACK_SIZE = STACK_KIB * 1024,
    HEAP_CAP = 4 * 1024 * 1024,
    /* Locked for one fetch of one secret, at most, and where many endpoints are asked: tests check
       both. */
    NEED_KIB = 256,
    NEED_MOST_KIB = 512,
    HEAP_NEED = (NEED_KIB - 64 - 1) * 1024 /* of that, beside the stack and a block's header */
};

static struct {
    pthread_mutex_t mutex;
    char *stack;
    struct heap heap;
    int fd; /* of memfd_secret, -1 without */
    bool locked;
    bool lock_preferred;
    pthread_t thread;
    atomic_bool wiped;
    struct arena_stats stats;
} arena = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

void wipe(void *memory, size_t len)
{
    if (len > 0)
        memset(memory, 0, len);
    __asm__ volatile("" : : "r"(memory) : "memory");
}

/* Where the secret file backs an address: the stack lies first in it, then the heap. */
static off_t place_of(const char *address)
{
    return address < arena.heap.base ? address - arena.stack
                                     : STACK_SIZE + (address - arena.heap.base);
}

/* Maps a part of the secret file; a failed MAP_FIXED leaves a hole, which is reserved again. */
static int map_secret(char *address, size_t len)
{
    int saved;

    if (mmap(address, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, arena.fd,
             place_of(address)) != MAP_FAILED)
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

/* Backs reserved memory in the way that is in use. */
static int commit(char *address, size_t len)
{
    if ((arena.fd >= 0 ? map_secret(address, len) : map_private(address, len)) < 0)
        return -1;
    if (arena.locked)
        arena.stats.locked += len;
    return 0;
}

/* The same for the heap: what is over the limit stays unlocked, if that is allowed. */
static int commit_heap(char *address, size_t len)
{
    if (commit(address, len) == 0)
        return 0;
    if (!arena.lock_preferred || !arena.locked)
        return -1;
    if (arena.fd >= 0)
        close(arena.fd);
    arena.fd = -1;
    arena.locked = false;
    arena.stats.backing = "unlocked";
    return commit(address, len);
}

void arena_guard(void)
{
    while (atomic_load(&arena.wiped))
        (void)pause();
}

void *arena_alloc(size_t size, enum arena_tag tag)
{
    void *memory;

    pthread_mutex_lock(&arena.mutex);
    arena_guard();
    memory = heap_alloc(&arena.heap, size, tag);
    pthread_mutex_unlock(&arena.mutex);
    return memory;
}

void *arena_realloc(void *memory, size_t size, enum arena_tag tag)
{
    void *moved;

    if (!memory)
        return arena_alloc(size, tag);
    pthread_mutex_lock(&arena.mutex);
    arena_guard();
    moved = heap_realloc(&arena.heap, memory, size, tag);
    pthread_mutex_unlock(&arena.mutex);
    return moved;
}

void arena_free(void *memory)
{
    if (!memory)
        return;
    pthread_mutex_lock(&arena.mutex);
    arena_guard();
    heap_free(&arena.heap, memory);
    pthread_mutex_unlock(&arena.mutex);
}

bool arena_has_room(size_t size)
{
    bool room, preferred;

    pthread_mutex_lock(&arena.mutex);
    arena_guard();
    preferred = arena.lock_preferred;
    arena.lock_preferred = preferred && !arena.locked;
    room = heap_reserve(&arena.heap, size) == 0;
    arena.lock_preferred = preferred;
    pthread_mutex_unlock(&arena.mutex);
    return room;
}

void arena_stats(struct arena_stats *stats)
{
    pthread_mutex_lock(&arena.mutex);
    *stats = arena.stats;
    pthread_mutex_unlock(&arena.mutex);
}

size_t arena_secret_prefix(const void *text, size_t len)
{
    size_t run;

    pthread_mutex_lock(&arena.mutex);
    run = heap_secret_prefix(&arena.heap, text, len);
    pthread_mutex_unlock(&arena.mutex);
    return run;
}

/*
 * Secret memory that nobody has touched is zero, and to zero it would have the kernel make it
 * first, page by page: MAP_POPULATE does not help there. Other memory is made when it is locked,
 * and may be swapped out where it is not.
 */
static void wipe_touched(char *memory, size_t len)
{
    const size_t page = (size_t)getpagesize();
    unsigned char there[HEAP_CAP / PAGE_LEAST];
    size_t at;

    if (arena.fd < 0 || mincore(memory, len, there) < 0) {
        wipe(memory, len);
        return;
    }
    for (at = 0; at < len; at += page)
        if (there[at / page] & 1)
            wipe(memory + at, page);
}

/* Not under the mutex: this must come to an end even where another thread holds it. */
void arena_wipe(void)
{
    atomic_store(&arena.wiped, true);
    redzone_open(arena.heap.base, arena.heap.size);
    wipe_touched(arena.heap.base, arena.heap.size);
}

/* A file of secret memory for stack and heap, or -1 where the kernel has none. */
static int secret_file(void)
{
#ifdef ARENA_WATCHED
    int fd = -1;
#else
    int fd = (int)syscall(SYS_memfd_secret, (unsigned)O_CLOEXEC);
#endif

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
                         "the limit is %llu KiB; a fetch needs %d KiB, with many endpoints %d",
                         (unsigned long long)limit.rlim_cur / 1024, NEED_KIB, NEED_MOST_KIB);
}

/*
 * Tries the backings from the best on: secret file, locked memory and, if that is allowed, plain
 * memory.
 */
static int back_stack(struct err *err)
{
    arena.locked = true;
    arena.fd = secret_file();
    arena.stats.backing = "memfd_secret";
    if (arena.fd >= 0 && commit(arena.stack, STACK_SIZE) == 0)
        return 0;
    if (arena.fd >= 0)
        close(arena.fd);
    arena.fd = -1;
    arena.stats.backing = "mlock";
    if (commit(arena.stack, STACK_SIZE) == 0)
        return 0;
    if (!arena.lock_preferred)
        return refuse_lock(err);
    arena.locked = false;
    arena.stats.backing = "unlocked";
    if (commit(arena.stack, STACK_SIZE) == 0)
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
    arena.heap = (struct heap){
        .base = arena.stack + STACK_SIZE + GUARD_SIZE,
        .cap = HEAP_CAP,
        .commit = commit_heap,
        .stats = &arena.stats,
    };
    arena.lock_preferred = options->lock_preferred;
    if (back_stack(err) < 0)
        return -1;
    /* Whether a fetch's need can be locked is told at the start, not found out in the middle. A
     * segment at a time, so that those within the limit are. */
    while (arena.lock_preferred && arena.heap.size < HEAP_NEED)
        if (heap_reserve(&arena.heap, arena.heap.size + 1) < 0)
            return err_set_errno(err, ERR_SYSTEM, "memory", "cannot map the heap");
    return 0;
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
        return err_set_errno(err, failure == EAGAIN ? ERR_THREADS_FULL : ERR_SYSTEM, "thread",
                             "cannot start");
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
    redzone_open(arena.stack, STACK_SIZE);
    wipe_touched(arena.stack, STACK_SIZE);
    return 0;
}
