/* SPDX-License-Identifier: Apache-2.0 */
/* With dumping.c, the agent with a lapse: the arena is part of a core. The tests must see it. */
#include <sys/mman.h>

int __real_madvise(void *address, size_t len, int advice);

int __wrap_madvise(void *address, size_t len, int advice)
{
    return advice == MADV_DONTDUMP ? 0 : __real_madvise(address, len, advice);
}
