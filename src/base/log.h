/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct err;

/*
 * The log: one line an event, as text or as one JSON object, on standard error or appended to a
 * file. An event has a stable name and typed fields; there is no free-text interface, so that
 * nothing is printed by accident. Control bytes are escaped, private keys and users in URLs hidden
 * (secrecy.h). Safe from any thread; a line goes out in one write(2). A log that cannot be written
 * never fails the caller, nor holds it up for more than a moment, once.
 */
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_options {
    enum log_level level;
    enum log_format format;
    const char *file; /* NULL: standard error alone. Else both: supervisors read the one, people the
                         other */
};

/* A field: text (may be NULL: the field is left out) or number. */
struct log_field {
    const char *key;
    const char *text;
    int64_t number;
};

static inline struct log_field log_s(const char *key, const char *text)
{
    return (struct log_field){key, text, text ? 0 : INT64_MIN};
}

static inline struct log_field log_n(const char *key, int64_t number)
{
    return (struct log_field){key, NULL, number};
}

/*
 * The file is opened with O_APPEND, and again after it was renamed. It is a regular one, or what is
 * named as standard output (log_is_stdout()). ERR_CONFIG where it cannot be opened; then all stays
 * as it was. May be called again; options' text must live on.
 */
int log_open(const struct log_options *options, struct err *err);
bool log_is_stdout(const char *path);

/*
 * From log_start() on lines are written by threads of their own, so that one that hangs stops
 * nobody. log_stop() ends these, for who must be alone in its process: before a fork, and before
 * rights are given up, which threads that are there already would keep. Not beside another thread
 * that logs.
 */
void log_start(void);
void log_stop(void);

/* Writes an event: log_event(LOG_LEVEL_INFO, "installed", log_s("dir", dir), log_n("files", 3)); */
#define log_event(level, ...) log_event_(level, __VA_ARGS__, (struct log_field){0})
#define log_event_(level, event, ...)                                                              \
    log_write(level, event, (const struct log_field[]){__VA_ARGS__})
void log_write(enum log_level level, const char *event, const struct log_field *fields);

/*
 * For who does the same again and again. Between two calls of a thread with the same memory lies a
 * round, and an event of that thread that the round before had as well, but for its numbers, its
 * reason and its cause, is logged at level debug: what is said is what changed. Handshakes are
 * always said, since the log is their record. NULL ends it. Zero-initialise the memory.
 */
#define LOG_MEMORY_MAX 512 /* events of a round; what is beyond them is said again */
struct log_memory {
    uint64_t before[LOG_MEMORY_MAX], now[LOG_MEMORY_MAX];
    size_t before_count, now_count;
};
void log_remember(struct log_memory *memory);

/* Is shown every event, whatever its level, by any thread. Before the first thread, once. */
typedef void log_observer(void *user, const char *event, const struct log_field *fields);
void log_observe(log_observer *observer, void *user);

/*
 * Lines that did not get out, on standard error or into the file, since the start: as nobody read
 * what was written before, there is nobody any more, or the disk is full. The log itself says how
 * many are missing, where they are missing, as soon as it can (event "log_lines_lost").
 */
size_t log_dropped(void);

/* An error, at the edge: event "error" with code, what, subject, reason and remedy. Returns the
 * exit status. */
int log_error(const struct err *err);

/*
 * Makes remote text fit to be shown: first line, at most 200 bytes and never more than size - 1,
 * control and non-ASCII bytes escaped as \xNN, every run that it has in common with a live secret
 * replaced by "[masked]", and all of it where any private key is in it. Always terminates out.
 */
void redact(char *out, size_t size, struct bytes remote);

#endif
