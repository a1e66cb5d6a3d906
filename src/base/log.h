/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct err;

/*
 * The log. An event is one line, text or a JSON object: a name that does not change, and fields.
 * There is no function for free text, so that nothing is printed by accident. Control bytes are
 * escaped; private keys and the users of URLs are hidden (secrecy.h). Any thread may log. A line is
 * one write(2). No call fails; one that cannot write waits for a moment, the first time only.
 */
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_options {
    enum log_level level;
    enum log_format format;
    const char *file; /* written as well as standard error; NULL: none */
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
 * Opens options->file to append, and again each time that it was renamed. It must be a regular
 * file, or a name of standard output (log_is_stdout()); else ERR_CONFIG, and nothing changes. May
 * be called again. The text that options point to must live on.
 */
int log_open(const struct log_options *options, struct err *err);
bool log_is_stdout(const char *path);

/*
 * log_start() starts a thread for each file, which writes the lines, so that a write that hangs
 * stops no other thread. log_stop() ends them: before a fork, and before rights are given up, which
 * running threads would keep. No other thread may log meanwhile.
 */
void log_start(void);
void log_stop(void);

/* Writes an event: log_event(LOG_LEVEL_INFO, "installed", log_s("dir", dir), log_n("files", 3)); */
#define log_event(level, ...) log_event_(level, __VA_ARGS__, (struct log_field){0})
#define log_event_(level, event, ...)                                                              \
    log_write(level, event, (const struct log_field[]){__VA_ARGS__})
void log_write(enum log_level level, const char *event, const struct log_field *fields);

/*
 * For a thread that repeats its work. Each call begins a round. An event that the previous round
 * had too goes to level debug, so that the log shows changes. Numbers, reason and cause do not
 * count as a change. Handshakes stay as they are, since enclave/ decides which are news, and so
 * does the line that sums up a round. NULL ends this. Zero-initialise the memory.
 */
#define LOG_MEMORY_MAX 512 /* events of a round; further events are always logged */
struct log_memory {
    uint64_t before[LOG_MEMORY_MAX], now[LOG_MEMORY_MAX];
    size_t before_count, now_count;
};
void log_remember(struct log_memory *memory);

/* Called with every event, written or not, by the thread that logs it. Set it once, before the
 * first thread. */
typedef void log_observer(void *user, const char *event, const struct log_field *fields);
void log_observe(log_observer *observer, void *user);

/*
 * How many lines could not be written since the start, to standard error or the file: nobody reads,
 * or the disk is full. Event "log_lines_lost" says so in the log, where they are missing.
 */
size_t log_dropped(void);

/* An error, at the edge: event "error" with code, what, subject, reason and remedy. Returns the
 * exit status. */
int log_error(const struct err *err);

/*
 * Makes text from outside fit to be shown: its first line, at most 200 bytes and size - 1, with
 * control and non-ASCII bytes as \xNN. What it has in common with a secret in memory becomes
 * "[masked]", and so does all of it where it holds a private key. out always ends with a NUL.
 */
void redact(char *out, size_t size, struct bytes remote);

#endif
