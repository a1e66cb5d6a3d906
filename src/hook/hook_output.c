/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secrecy.h"
#include "hook/hook_internal.h"

enum { LINES_MAX = 100, STEP = 4096, PIPE_MAX = 1024 * 1024 };

/* A key's first lines tell that it is one; those behind them are a word of base64 each. */
static bool goes_on(const char *line)
{
    const size_t len = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                    "0123456789+/-_=:\r");

    return len > 0 && line[len] == '\0';
}

static void end_line(struct hook_output *output)
{
    const size_t len = output->len;
    char shown[32];
    bool hidden;

    output->line[len] = '\0';
    output->len = 0;
    hidden =
        secrecy_holds_key(bytes_of(output->line, len)) || (output->in_key && goes_on(output->line));
    output->in_key = hidden && !strstr(output->line, "-----END ");
    (void)snprintf(shown, sizeof shown, "(%zu bytes of a key)", len);
    if (output->lines++ < LINES_MAX)
        log_event(LOG_LEVEL_INFO, "hook_output", log_s("line", hidden ? shown : output->line));
}

/* Whether there was something. */
static bool read_some(struct hook_output *output)
{
    char data[STEP];
    ssize_t n = read(output->fd, data, sizeof data), i;

    for (i = 0; i < n; i++) {
        if (data[i] == '\n')
            end_line(output);
        else if (output->len < HOOK_LINE_MAX)
            output->line[output->len++] = data[i] == '\0' ? '?' : data[i];
    }
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
    if (output->len > 0)
        end_line(output);
    if (output->lines > LINES_MAX)
        log_event(LOG_LEVEL_WARNING, "hook_output_dropped",
                  log_n("lines", output->lines - LINES_MAX));
}
