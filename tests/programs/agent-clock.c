/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent, with a wall clock that is as many seconds ahead as the file $TEST_CLOCK_FILE says;
 * what measures durations goes on as it does. The machine's own clock is left alone. And where it
 * sleeps, it does so as many times shorter as $TEST_HASTE says.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

int64_t __real_clock_wall(void);
int64_t __wrap_clock_wall(void);
void __real_clock_sleep(int64_t ms, int64_t at_ms);
void __wrap_clock_sleep(int64_t ms, int64_t at_ms);

enum { TEXT = 20 }; /* bytes of the file */

/* Mapped from before the sandbox, which knows nothing of it. */
static const char *file;
static int64_t haste = 1;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("TEST_CLOCK_FILE"), *times = getenv("TEST_HASTE");
    const int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = fd >= 0 ? mmap(NULL, TEXT, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (page != MAP_FAILED)
        file = page;
    if (fd >= 0)
        close(fd);
    if (times)
        haste = strtoll(times, NULL, 10);
}

void __wrap_clock_sleep(int64_t ms, int64_t at_ms)
{
    __real_clock_sleep(ms / haste, at_ms);
}

int64_t __wrap_clock_wall(void)
{
    char text[TEXT + 1] = "";

    if (file)
        memcpy(text, file, TEXT);
    return __real_clock_wall() + strtoll(text, NULL, 10);
}
