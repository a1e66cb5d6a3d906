/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/shortage.h"

#include "base/arena.h"
#include "base/err.h"

size_t shortage_look(void)
{
    struct arena_stats stats;

    arena_stats(&stats);
    return stats.refused;
}

int shortage_blame(size_t before, const char *subject, struct err *err)
{
    if (shortage_look() == before || err_info(err->code)->class == ERR_OF_HOST)
        return -1;
    return err_set(err, ERR_MEMORY_FULL, subject, "no room to get it from AWS");
}
