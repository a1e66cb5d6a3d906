/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent, with a wall clock that is as many seconds ahead as the file $TEST_CLOCK_FILE says;
 * what measures durations goes on as it does. The machine's own clock is left alone. Timers of the
 * wall clock end when that one says. Where it sleeps, it does so as many times shorter as
 * $TEST_HASTE says; and as many times faster as $TEST_PACE says goes the clock of its schedule.
 * While the file ends in "!" there is no thread to be had.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"

int64_t __real_clock_wall(void);
int64_t __wrap_clock_wall(void);
void __real_clock_sleep(int64_t ms, int64_t at_ms);
void __wrap_clock_sleep(int64_t ms, int64_t at_ms);

int64_t __real_clock_ms(void);
int64_t __wrap_clock_ms(void);
int64_t __wrap_clock_left(int64_t deadline);
int __real_timerfd_settime(int timer, int flags, const struct itimerspec *when,
                           struct itimerspec *old);
int __wrap_timerfd_settime(int timer, int flags, const struct itimerspec *when,
                           struct itimerspec *old);

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);

enum { TEXT = 20, MS = 1000, NS = 1000000 }; /* bytes of the file */

/* Mapped from before the sandbox, which knows nothing of it. */
static const char *file;
static int64_t haste = 1, pace = 1, started;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("TEST_CLOCK_FILE"), *times = getenv("TEST_HASTE");
    const char *rate = getenv("TEST_PACE");
    const int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = fd >= 0 ? mmap(NULL, TEXT, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (page != MAP_FAILED)
        file = page;
    if (fd >= 0)
        close(fd);
    if (times)
        haste = strtoll(times, NULL, 10);
    if (rate)
        pace = strtoll(rate, NULL, 10);
    started = __real_clock_ms();
}

void __wrap_clock_sleep(int64_t ms, int64_t at_ms)
{
    __real_clock_sleep(ms / haste, at_ms);
}

static int64_t ahead(void)
{
    char text[TEXT + 1] = "";

    if (file)
        memcpy(text, file, TEXT);
    return strtoll(text, NULL, 10);
}

int64_t __wrap_clock_wall(void)
{
    return __real_clock_wall() + ahead();
}

int64_t __wrap_clock_ms(void)
{
    return started + (__real_clock_ms() - started) * pace;
}

int64_t __wrap_clock_left(int64_t deadline)
{
    const int64_t left = deadline - __wrap_clock_ms();

    return left > 0 ? left : 0;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument)
{
    if (file && file[TEXT - 1] == '!')
        return EAGAIN;
    return __real_pthread_create(thread, attributes, function, argument);
}

int __wrap_timerfd_settime(int timer, int flags, const struct itimerspec *when,
                           struct itimerspec *old)
{
    struct itimerspec real = *when;
    int64_t ms;

    if (flags & TFD_TIMER_CANCEL_ON_SET) {
        real.it_value.tv_sec -= ahead();
        if (real.it_value.tv_sec <= 0)
            real.it_value.tv_sec = 1; /* long ago; zero would disarm it */
    } else {
        ms = (int64_t)when->it_value.tv_sec * MS + when->it_value.tv_nsec / NS;
        ms = started + (ms - started) / pace;
        real.it_value.tv_sec = ms / MS;
        real.it_value.tv_nsec = (long)(ms % MS) * NS;
    }
    return __real_timerfd_settime(timer, flags, &real, old);
}
