/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_REDZONE_H
#define BASE_REDZONE_H

#include <stddef.h>

/*
 * Tells AddressSanitizer or valgrind, in the builds made for them, what of the arena is in use:
 * they know malloc(3), and nothing of an allocator of our own. In the program that ships these are
 * nothing, and no byte lies between two blocks.
 */
#if defined(__SANITIZE_ADDRESS__)

void __asan_poison_memory_region(const volatile void *memory, size_t len);
void __asan_unpoison_memory_region(const volatile void *memory, size_t len);

#define REDZONE                    16
#define redzone_close(memory, len) __asan_poison_memory_region(memory, len)
#define redzone_open(memory, len)  __asan_unpoison_memory_region(memory, len)

#elif defined(ARENA_MEMCHECK)

#include <valgrind/memcheck.h>

#define REDZONE                    16
#define redzone_close(memory, len) (void)VALGRIND_MAKE_MEM_NOACCESS(memory, len)
#define redzone_open(memory, len)  (void)VALGRIND_MAKE_MEM_DEFINED(memory, len)

#else

#define REDZONE                    0
#define redzone_close(memory, len) ((void)(memory), (void)(len))
#define redzone_open(memory, len)  ((void)(memory), (void)(len))

#endif

#endif
