/* SPDX-License-Identifier: Apache-2.0 */
/* The agent that may dump core: only MADV_DONTDUMP keeps secrets out of the file. */
#include <sys/resource.h>

int __wrap_setrlimit(int resource, const struct rlimit *limit)
{
    (void)resource;
    (void)limit;
    return 0;
}

int __wrap_prctl(int option, ...)
{
    (void)option;
    return 0;
}
