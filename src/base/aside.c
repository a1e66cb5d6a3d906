/* SPDX-License-Identifier: Apache-2.0 */
#include "base/aside.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fs.h"

enum { STACK = 64 * 1024, FIRST_SIZE = 4096 /* a line of the log */ };

static void *serve(void *argument)
{
    struct aside *aside = argument;
    int result;

    pthread_mutex_lock(&aside->mutex);
    for (;;) {
        while (aside->state != ASIDE_ASKED && !aside->stop)
            pthread_cond_wait(&aside->changed, &aside->mutex);
        if (aside->stop)
            break;
        pthread_mutex_unlock(&aside->mutex);
        result = aside->work(aside->user, bytes_of(aside->data, aside->len));
        pthread_mutex_lock(&aside->mutex);
        aside->result = result;
        aside->error = errno;
        aside->state = aside->abandoned ? ASIDE_IDLE : ASIDE_DONE;
        aside->abandoned = false;
        pthread_cond_broadcast(&aside->changed);
    }
    pthread_mutex_unlock(&aside->mutex);
    return NULL;
}

int aside_thread(pthread_t *thread, void *(*function)(void *), void *argument)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int error = pthread_attr_init(&attributes);

    if (error)
        return -1;
    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGSYS); /* by which the sandbox refuses a call: blocked, it would kill */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_attr_setstacksize(&attributes, STACK);
    if (!error)
        error = pthread_create(thread, &attributes, function, argument);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return error ? -1 : 0;
}

static int reserve(struct aside *aside, size_t size)
{
    uint8_t *larger;

    if (size <= aside->size)
        return 0;
    larger = realloc(aside->data, size);
    if (!larger)
        return -1;
    aside->data = larger;
    aside->size = size;
    return 0;
}

void aside_start(struct aside *aside)
{
    pthread_condattr_t attributes;

    if (aside->running || aside->stop || reserve(aside, FIRST_SIZE) < 0 ||
        pthread_condattr_init(&attributes) != 0)
        return;
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (pthread_cond_init(&aside->changed, &attributes) == 0)
        aside->running = aside_thread(&aside->thread, serve, aside) == 0;
    (void)pthread_condattr_destroy(&attributes);
}

/* Waits for a change: false, where the time is over. */
static bool wait_until(struct aside *aside, const struct timespec *end)
{
    return pthread_cond_timedwait(&aside->changed, &aside->mutex, end) != ETIMEDOUT;
}

/* Under the mutex: 0; -1 with errno. */
static int ask_thread(struct aside *aside, aside_work *work, void *user, struct bytes data,
                      const struct timespec *end)
{
    while (aside->state != ASIDE_IDLE)
        if (aside->abandoned || !wait_until(aside, end)) {
            errno = ETIMEDOUT;
            return -1;
        }
    if (reserve(aside, data.len) < 0)
        return -1;
    if (data.len > 0)
        memcpy(aside->data, data.data, data.len);
    aside->len = data.len;
    aside->work = work;
    aside->user = user;
    aside->state = ASIDE_ASKED;
    pthread_cond_broadcast(&aside->changed);
    while (aside->state != ASIDE_DONE)
        if (!wait_until(aside, end) && aside->state != ASIDE_DONE) {
            aside->abandoned = true;
            errno = ETIMEDOUT;
            return -1;
        }
    aside->state = ASIDE_IDLE;
    pthread_cond_broadcast(&aside->changed);
    errno = aside->error;
    return aside->result;
}

int aside_do(struct aside *aside, aside_work *work, void *user, struct bytes data, int64_t ms)
{
    struct timespec end;
    int result, saved;

    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)(ms / 1000);
    end.tv_nsec += (long)(ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&aside->mutex);
    if (aside->running)
        result = ask_thread(aside, work, user, data, &end);
    else
        result = work(user, data);
    saved = errno;
    pthread_mutex_unlock(&aside->mutex);
    errno = saved;
    return result;
}

/* A mode, a path with its NUL, and behind them what the file is to hold. */
static int replace(void *unused, struct bytes data)
{
    mode_t mode;
    const char *path = (const char *)data.data + sizeof mode;
    const size_t head = sizeof mode + strlen(path) + 1;

    (void)unused;
    memcpy(&mode, data.data, sizeof mode);
    return fs_replace(path, bytes_of(data.data + head, data.len - head), mode);
}

int aside_replace(struct aside *aside, const char *path, struct bytes text, mode_t mode, int64_t ms)
{
    struct buf data = {.public = true};
    int result = -1, saved = ENOMEM;

    if (buf_append(&data, &mode, sizeof mode) == 0 &&
        buf_append(&data, path, strlen(path) + 1) == 0 &&
        buf_append(&data, text.data, text.len) == 0) {
        result = aside_do(aside, replace, NULL, buf_bytes(&data), ms);
        saved = errno;
    }
    buf_free(&data);
    errno = saved;
    return result;
}

bool aside_is_stuck(struct aside *aside)
{
    bool stuck;

    pthread_mutex_lock(&aside->mutex);
    stuck = aside->abandoned;
    pthread_mutex_unlock(&aside->mutex);
    return stuck;
}

void aside_stop(struct aside *aside)
{
    bool stuck;

    if (!aside->running)
        return;
    pthread_mutex_lock(&aside->mutex);
    stuck = aside->abandoned;
    aside->stop = true;
    pthread_cond_broadcast(&aside->changed);
    pthread_mutex_unlock(&aside->mutex);
    if (stuck)
        return; /* aside stays as it is: it does no work any more */
    (void)pthread_join(aside->thread, NULL);
    free(aside->data);
    aside->data = NULL;
    aside->size = aside->len = 0;
    aside->stop = aside->running = false;
}
