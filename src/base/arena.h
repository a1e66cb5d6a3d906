/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct err;

/*
 * The locked arena: the one place for everything that a secret passes through. A reserved address
 * range of guard pages around a thread stack and a heap that grows in locked segments, from
 * memfd_secret(2) where the kernel has it, else private memory under mlock(2), MADV_DONTDUMP and
 * MADV_WIPEONFORK. It is process-wide, like the heap that it replaces, and stays mapped to the end.
 * All functions may be called from any thread.
 */

/*
 * The content of a block. It separates live secrets when remote text is masked and memory is
 * audited.
 */
enum arena_tag {
    ARENA_LIBRARY,     /* libcurl's, with BearSSL's contexts and record buffers in it */
    ARENA_WORK,        /* our own objects without a secret string of their own */
    ARENA_DOCUMENT,    /* HTTP bodies, secret documents, PEM text */
    ARENA_SESSION,     /* TLS sessions to be resumed: binary, so never found in a text */
    ARENA_CREDENTIALS, /* AWS secret keys, session tokens, signing keys */
    ARENA_TOKEN,       /* metadata and container tokens */
    ARENA_KEY,         /* private values */
    ARENA_TAGS
};

struct arena_options {
    bool lock_preferred; /* go on without locked memory where locking is refused */
};

struct arena_stats {
    size_t locked;             /* bytes locked now, stack included; 0 where locking was refused */
    size_t peak;               /* most heap bytes in use at once, headers included */
    size_t in_use;             /* heap bytes in use now, headers included */
    size_t tagged[ARENA_TAGS]; /* bytes asked for, by tag */
    size_t refused;            /* allocations that failed since the arena was opened */
    const char *backing;       /* "memfd_secret", "mlock" or "unlocked" */
};

/* Maps and locks the arena. Once, before the first allocation. ERR_MEMORY_LOCK, ERR_SYSTEM. */
int arena_open(const struct arena_options *options, struct err *err);

/* Zeroed memory for size bytes, aligned for any type; NULL when the arena is full or size is 0. */
void *arena_alloc(size_t size, enum arena_tag tag);

/*
 * As realloc(3) within the arena: a move wipes the old place. NULL leaves the old block as it was.
 */
void *arena_realloc(void *memory, size_t size, enum arena_tag tag);

/* Wipes and frees; NULL is allowed. */
void arena_free(void *memory);

/*
 * Whether the arena has locked memory of this size for work that could do with less. With
 * lock_preferred, too, it leaves no memory unlocked for that, unless some is unlocked already.
 */
bool arena_has_room(size_t size);

/* Runs work(argument) on a thread whose stack lies in the arena. One at a time. ERR_SYSTEM. */
int arena_thread_start(void (*work)(void *), void *argument, struct err *err);

/* Waits for that thread and wipes the stack that it used. */
int arena_thread_join(struct err *err);

void arena_stats(struct arena_stats *stats);

/*
 * The length of the longest prefix of text that is also part of a live block of a tag from
 * ARENA_CREDENTIALS on; 0 below ARENA_SECRET_RUN bytes.
 */
#define ARENA_SECRET_RUN 12
size_t arena_secret_prefix(const void *text, size_t len);

/*
 * Zeroes the whole heap, just before the process ends. Threads that still come here, or to
 * arena_guard(), wait for that end.
 */
void arena_wipe(void);

/* For a thread that outlives its work: call it before touching anything in the arena. */
void arena_guard(void);

/* memset(3) that the compiler may not drop. */
void wipe(void *memory, size_t len);

#endif
