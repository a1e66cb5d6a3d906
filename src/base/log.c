/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"

/* A line longer than this is cut: an event is a fact, not a dump. */
enum { LINE_MAX_BYTES = 2048, LINE_END = 4, PATIENCE_MS = 1000 };

static struct {
    pthread_mutex_t mutex;
    struct log_options options;
    int fd; /* of options.file, -1 without */
    log_observer *observer;
    void *user;
    bool stuck;     /* nobody reads standard error */
    size_t lost;    /* lines, since the last one that went out there */
    size_t dropped; /* lines, in all */
} sink = {.mutex = PTHREAD_MUTEX_INITIALIZER, .options = {.level = LOG_LEVEL_INFO}, .fd = -1};

static _Thread_local struct log_memory *remembered;

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
    int full;
};

static const char *const level_names[] = {
    [LOG_LEVEL_DEBUG] = "debug",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_ERROR] = "error",
};

static void put(struct line *line, const char *text)
{
    size_t len = strlen(text), room = sizeof line->text - LINE_END - line->len;

    if (len > room) {
        line->full = 1;
        return;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void put_number(struct line *line, int64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    put(line, text);
}

/* Quotes as a JSON string; the text format uses the same where a value needs quotes. */
static void put_quoted(struct line *line, const char *text)
{
    size_t bound = sizeof line->text - LINE_END - 8;
    char escape[8];

    put(line, "\"");
    for (; *text && line->len < bound; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            (void)snprintf(escape, sizeof escape, "\\%c", c);
        else if (c < 0x20 || c > 0x7E)
            (void)snprintf(escape, sizeof escape, "\\u%04x", c);
        else
            (void)snprintf(escape, sizeof escape, "%c", c);
        put(line, escape);
    }
    put(line, "\"");
}

static int needs_quotes(const char *text)
{
    if (*text == '\0')
        return 1;
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == '"' || *text == '=' || *text == '\\')
            return 1;
    return 0;
}

/* Puts a field whole or not at all: a cut one would break the line's grammar. */
static void put_field(struct line *line, enum log_format format, const struct log_field *field)
{
    size_t start = line->len;

    if (format == LOG_FORMAT_JSON) {
        put(line, ",\"");
        put(line, field->key);
        put(line, "\":");
    } else {
        put(line, " ");
        put(line, field->key);
        put(line, "=");
    }
    if (!field->text)
        put_number(line, field->number);
    else if (format == LOG_FORMAT_JSON || needs_quotes(field->text))
        put_quoted(line, field->text);
    else
        put(line, field->text);
    if (line->full)
        line->len = start;
}

static void put_end(struct line *line, enum log_format format)
{
    const char *end = format == LOG_FORMAT_JSON ? "}\n" : "\n";

    memcpy(line->text + line->len, end, strlen(end));
    line->len += strlen(end);
}

static void put_head(struct line *line, enum log_format format, enum log_level level,
                     const char *event)
{
    int json = format == LOG_FORMAT_JSON;
    char now[CLOCK_TEXT_MAX];

    clock_format(now, clock_wall());
    put(line, json ? "{\"time\":\"" : "");
    put(line, now);
    put(line, json ? "\",\"level\":\"" : " ");
    put(line, level_names[level]);
    put(line, json ? "\",\"event\":\"" : " ");
    put(line, event);
    put(line, json ? "\"" : "");
}

/* The file again under its name, after somebody renamed or removed the one that is open. */
static void follow_rename(void)
{
    struct stat open_file, named;
    int fd;

    if (fstat(sink.fd, &open_file) == 0 && stat(sink.options.file, &named) == 0 &&
        open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino)
        return;
    fd = open(sink.options.file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return;
    close(sink.fd);
    sink.fd = fd;
}

/*
 * A pipe that nobody empties must not stop the agent. A line is shorter than PIPE_BUF, so that who
 * may write may write all of it. Patience is had once.
 */
static bool send_to_stderr(const struct line *line)
{
    struct pollfd out = {STDERR_FILENO, POLLOUT, 0};

    sink.stuck = poll(&out, 1, sink.stuck ? 0 : PATIENCE_MS) == 0;
    return !sink.stuck && fs_write_all(STDERR_FILENO, bytes_of(line->text, line->len)) == 0;
}

/* That lines are missing is said where they are missing, before the next one. */
static bool tell_lost(void)
{
    const struct log_field lines = log_n("lines", (int64_t)sink.lost);
    struct line line = {.len = 0};

    put_head(&line, sink.options.format, LOG_LEVEL_WARNING, "log_lines_lost");
    put_field(&line, sink.options.format, &lines);
    put_end(&line, sink.options.format);
    return send_to_stderr(&line);
}

static void send_or_lose(const struct line *line)
{
    if (sink.lost > 0 && tell_lost())
        sink.lost = 0;
    if (sink.lost == 0 && send_to_stderr(line))
        return;
    sink.lost++;
    sink.dropped++;
}

static void send(const struct line *line)
{
    pthread_mutex_lock(&sink.mutex);
    send_or_lose(line);
    if (sink.fd >= 0) {
        follow_rename();
        (void)fs_write_all(sink.fd, bytes_of(line->text, line->len));
    }
    pthread_mutex_unlock(&sink.mutex);
}

int log_open(const struct log_options *options, struct err *err)
{
    int fd = -1;

    if (options->file) {
        fd = open(options->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (fd < 0)
            return err_set_errno(err, ERR_CONFIG, options->file, "the log file cannot be opened");
    }
    pthread_mutex_lock(&sink.mutex);
    if (sink.fd >= 0)
        close(sink.fd);
    sink.fd = fd;
    sink.options = *options;
    pthread_mutex_unlock(&sink.mutex);
    return 0;
}

void log_observe(log_observer *observer, void *user)
{
    sink.observer = observer;
    sink.user = user;
}

size_t log_dropped(void)
{
    size_t dropped;

    pthread_mutex_lock(&sink.mutex);
    dropped = sink.dropped;
    pthread_mutex_unlock(&sink.mutex);
    return dropped;
}

void log_remember(struct log_memory *memory)
{
    remembered = memory;
    if (!memory)
        return;
    memcpy(memory->before, memory->now, memory->now_count * sizeof *memory->now);
    memory->before_count = memory->now_count;
    memory->now_count = 0;
}

/* FNV-1a, over the end of the text too. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    do {
        hash = (hash ^ (unsigned char)*text) * 0x100000001B3;
    } while (*text++);
    return hash;
}

/* What an event says, without what differs each time. */
static uint64_t meaning(const char *event, const struct log_field *fields)
{
    static const char *const fleeting[] = {"reason", "cause", "peer"};
    uint64_t hash = hash_text(0xCBF29CE484222325, event);
    size_t i;

    for (; fields->key; fields++) {
        for (i = 0; i < sizeof fleeting / sizeof *fleeting; i++)
            if (strcmp(fields->key, fleeting[i]) == 0)
                break;
        if (fields->text && i == sizeof fleeting / sizeof *fleeting)
            hash = hash_text(hash_text(hash, fields->key), fields->text);
    }
    return hash;
}

/* Whether it was said in the round before; notes that it is said in this one. */
static bool repeats(const char *event, const struct log_field *fields)
{
    struct log_memory *memory = remembered;
    uint64_t hash;
    size_t i;

    if (!memory || strcmp(event, "handshake") == 0)
        return false;
    hash = meaning(event, fields);
    if (memory->now_count < LOG_MEMORY_MAX)
        memory->now[memory->now_count++] = hash;
    for (i = 0; i < memory->before_count; i++)
        if (memory->before[i] == hash)
            return true;
    return false;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    enum log_format format = sink.options.format;
    struct line line = {.len = 0};

    if (sink.observer)
        sink.observer(sink.user, event, fields);
    if (repeats(event, fields))
        level = LOG_LEVEL_DEBUG;
    if (level < sink.options.level)
        return;
    put_head(&line, format, level, event);
    for (; fields->key; fields++)
        if (fields->text || fields->number != INT64_MIN)
            put_field(&line, format, fields);
    put_end(&line, format);
    send(&line);
}

void log_error(const struct err *err)
{
    const struct err_info *info = err_info(err->code);

    log_event(LOG_LEVEL_ERROR, "error", log_s("code", info->name), log_s("what", info->what),
              log_s("subject", err->subject[0] ? err->subject : NULL),
              log_s("reason", err->reason[0] ? err->reason : NULL), log_s("remedy", err_remedy(err)));
}
