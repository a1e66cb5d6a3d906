/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "hook/hook_internal.h"

enum { LINES_MAX = 100, STEP = 4096, PIPE_MAX = 1024 * 1024 };

static void end_line(struct hook_output *output)
{
    output->line[output->len] = '\0';
    output->len = 0;
    if (output->lines++ < LINES_MAX)
        log_event(LOG_LEVEL_INFO, "hook_output", log_s("line", output->line));
}

static void put(struct hook_output *output, char c)
{
    if (c == '\n')
        end_line(output);
    else if (output->len < HOOK_LINE_MAX)
        output->line[output->len++] = c == '\0' ? '?' : c;
}

/* Whether there was something. */
static bool read_some(struct hook_output *output)
{
    char data[STEP];
    ssize_t n = read(output->fd, data, sizeof data), i;

    for (i = 0; i < n; i++)
        put(output, data[i]);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close(output->fd);
        output->fd = -1;
    }
    return n > 0;
}

void hook_output_read(struct hook_output *output)
{
    if (output->fd >= 0)
        (void)read_some(output);
}

void hook_output_end(struct hook_output *output)
{
    size_t steps = PIPE_MAX / STEP;

    while (output->fd >= 0 && steps-- > 0 && read_some(output))
        continue;
    if (output->fd >= 0)
        close(output->fd);
    output->fd = -1;
    if (output->len > 0)
        end_line(output);
    if (output->lines > LINES_MAX)
        log_event(LOG_LEVEL_WARNING, "hook_output_dropped",
                  log_n("lines", output->lines - LINES_MAX));
}
