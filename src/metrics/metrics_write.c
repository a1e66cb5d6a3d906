/* SPDX-License-Identifier: Apache-2.0 */
#include "base/aside.h"
#include "base/buf.h"
#include "base/err.h"
#include "metrics/metrics.h"

enum { FILE_MODE = 0644, PATIENCE_MS = 1500 };

int metrics_write(struct metrics *metrics, struct aside *aside, const char *path, struct err *err)
{
    struct buf text = {.public = true};
    int result = -1;

    if (metrics_render(metrics, &text) < 0)
        (void)err_set(err, ERR_MEMORY_FULL, path, "no memory for the metrics");
    else if (aside_replace(aside, path, buf_bytes(&text), FILE_MODE, PATIENCE_MS) < 0)
        (void)err_set_errno(err, ERR_SYSTEM, path, "the metrics cannot be written");
    else
        result = 0;
    buf_free(&text);
    return result;
}
