/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent, with a wall clock that is as many seconds ahead as the file $TEST_CLOCK_FILE says;
 * what measures durations goes on as it does. The machine's own clock is left alone.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

enum { TEXT = 20 }; /* bytes of the file */

int64_t __real_clock_wall(void);
int64_t __wrap_clock_wall(void);

/* Mapped from before the sandbox, which knows nothing of it. */
static const char *file;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("TEST_CLOCK_FILE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = fd >= 0 ? mmap(NULL, TEXT, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (page != MAP_FAILED)
        file = page;
    if (fd >= 0)
        close(fd);
}

int64_t __wrap_clock_wall(void)
{
    char text[TEXT + 1] = "";

    if (file)
        memcpy(text, file, TEXT);
    return __real_clock_wall() + strtoll(text, NULL, 10);
}
