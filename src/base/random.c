/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *out, size_t len)
{
    uint8_t *at = out;
    ssize_t n;

    while (len > 0) {
        n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort();
        at += n;
        len -= (size_t)n;
    }
}

uint32_t random_below(uint32_t below)
{
    uint32_t value, threshold;

    if (below == 0)
        return 0;
    threshold =
        (UINT32_MAX - below + 1) % below; /* 2^32 mod below: what would favour small numbers */
    do
        random_bytes(&value, sizeof value);
    while (value < threshold);
    return value % below;
}
