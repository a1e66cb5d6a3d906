/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent, with a wall clock that is as many seconds ahead as the file $TEST_CLOCK_FILE says;
 * what measures durations goes on as it does. The machine's own clock is left alone.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

int64_t __real_clock_wall(void);
int64_t __wrap_clock_wall(void);

int64_t __wrap_clock_wall(void)
{
    const char *path = getenv("TEST_CLOCK_FILE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    char text[32] = "";

    if (fd >= 0) {
        (void)!read(fd, text, sizeof text - 1);
        close(fd);
    }
    return __real_clock_wall() + strtoll(text, NULL, 10);
}
