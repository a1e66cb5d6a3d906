/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "service/metrics.h"

enum { FILE_MODE = 0644 };

int metrics_write(struct metrics *metrics, const char *path, struct err *err)
{
    struct buf text = {.public = true};
    int result = -1;

    if (metrics_render(metrics, &text) < 0)
        (void)err_set(err, ERR_MEMORY_FULL, path, "no memory for the metrics");
    else if (fs_replace(path, buf_bytes(&text), FILE_MODE) < 0)
        (void)err_set_errno(err, ERR_SYSTEM, path, "the metrics cannot be written");
    else
        result = 0;
    buf_free(&text);
    return result;
}
