/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/token_file.h"

#include <string.h>

#include "base/log.h"

int token_file_read(const char *path, struct buf *token, char why[TRUST_WHY_MAX])
{
    struct trust trust = {.also = TRUST_NOBODY, .one_stranger = true};
    const int result = trust_read(path, token, &trust);

    if (result < 0)
        memcpy(why, trust.why, TRUST_WHY_MAX);
    else if (trust.stranger != TRUST_NOBODY)
        log_event(LOG_LEVEL_WARNING, "token_of_another_user", log_s("file", path),
                  log_n("uid", (int64_t)trust.stranger));
    return result;
}
