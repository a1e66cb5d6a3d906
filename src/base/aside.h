/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ASIDE_H
#define BASE_ASIDE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"

/*
 * For work that may hang, because nobody reads the output or a file system does not answer: a
 * separate thread does one piece at a time, and the caller waits no longer than it likes. No secret
 * may pass through it. Before aside_start(), and where no thread can be made, the caller does the
 * work itself, one caller at a time. Initialise with ASIDE.
 */
typedef int aside_work(void *user, struct bytes data); /* 0; -1 with errno */

struct aside {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t thread;
    enum { ASIDE_IDLE, ASIDE_ASKED, ASIDE_DONE } state;
    bool running, stop;
    bool abandoned; /* nobody waits for the work in progress any more */
    aside_work *work;
    void *user;
    uint8_t *data; /* a copy, on the ordinary heap */
    size_t len, size;
    int result, error;
};
#define ASIDE {.mutex = PTHREAD_MUTEX_INITIALIZER}

/* The thread has the rights that the caller has at that moment. It takes no signal. */
void aside_start(struct aside *aside);

/*
 * Lets the thread do work with a copy of data. Returns its result, or -1 with errno ETIMEDOUT where
 * it has not ended within ms, or abandoned work has not ended yet. Then the work goes on alone, so
 * user must stay valid, and until it ends every other call fails at once.
 */
int aside_do(struct aside *aside, aside_work *work, void *user, struct bytes data, int64_t ms);

/* fs_replace(), aside. */
int aside_replace(struct aside *aside, const char *path, struct bytes text, mode_t mode,
                  int64_t ms);

/* Whether abandoned work has not ended yet. */
bool aside_is_stuck(struct aside *aside);

/*
 * Ends the thread, for a caller that must have no other thread: before a fork, or before it gives
 * up rights. A thread that is stuck stays behind, and ends as soon as it can.
 */
void aside_stop(struct aside *aside);

/* Starts a thread with a small stack that takes no signal: 0, or -1. */
int aside_thread(pthread_t *thread, void *(*function)(void *), void *argument);

#endif
