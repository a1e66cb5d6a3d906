/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent that stops, as by SIGSTOP, at the moments at which little or nothing may be left: after
 * each job, and when the arena was wiped for the last time.
 */
#include <signal.h>

#include "base/arena.h"

int __real_arena_thread_join(struct err *err);
void __real_arena_wipe(void);

int __wrap_arena_thread_join(struct err *err)
{
    int result = __real_arena_thread_join(err);

    (void)raise(SIGSTOP);
    return result;
}

void __wrap_arena_wipe(void)
{
    __real_arena_wipe();
    (void)raise(SIGSTOP);
}
