/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/log.h"

static int refuse(struct err *err)
{
    return err_set_errno(err, ERR_SYSTEM, "getrandom", "the kernel gives no random numbers");
}

int random_check(struct err *err)
{
    uint8_t byte;

    if (getrandom(&byte, sizeof byte, GRND_NONBLOCK) < 0 && errno != EAGAIN && errno != EINTR)
        return refuse(err);
    return 0;
}

void random_bytes(void *out, size_t len)
{
    uint8_t *at = out;
    struct err err;
    ssize_t n;

    while (len > 0) {
        n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            (void)refuse(&err);
            log_error(&err);
            abort();
        }
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
