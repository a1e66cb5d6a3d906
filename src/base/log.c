/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/aside.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/secrecy.h"

/*
 * A line longer than this is cut: an event is a fact, not a dump. It is no longer than PIPE_BUF, so
 * that who may write to a pipe may write all of it, and no other line comes between. A field that
 * is too long is cut, so that those behind it find room.
 */
enum { LINE_MAX_BYTES = 4096, FIELD_MAX = 1280, LINE_END = 4, PATIENCE_MS = 1000 };

/* How long a thread waits for a line to get out, once: a little more than its reader is given. */
enum { ASIDE_MS = PATIENCE_MS + 500, OPEN_MS = 3000, LOG_PATH_MAX = 1024 };

/* Where lines go. What stands here is its aside's alone, but for the count. */
struct outlet {
    struct aside aside;
    int fd;                  /* -1: none */
    char path[LOG_PATH_MAX]; /* to be opened again after it was renamed; "": never */
    bool full;               /* nobody reads */
    bool torn;               /* the last line is there in part */
    atomic_size_t lost;      /* lines, since the last one that went out there */
};

static struct outlet standard_error = {.aside = ASIDE, .fd = STDERR_FILENO};
static struct outlet file = {.aside = ASIDE, .fd = -1};

static struct {
    struct log_options options;
    log_observer *observer;
    void *user;
    atomic_bool to_file;
    atomic_size_t dropped; /* lines, in all, of both */
} sink = {.options = {.level = LOG_LEVEL_INFO}};

static _Thread_local struct log_memory *remembered;

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
    bool full;
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
        line->full = true;
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
    const size_t room = sizeof line->text - LINE_END - line->len;
    const size_t end = line->len + (room < FIELD_MAX ? room : FIELD_MAX);
    char escape[8];

    put(line, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            (void)snprintf(escape, sizeof escape, "\\%c", c);
        else if (c < 0x20 || c > 0x7E)
            (void)snprintf(escape, sizeof escape, "\\u%04x", c);
        else
            (void)snprintf(escape, sizeof escape, "%c", c);
        if (line->len + strlen(escape) + sizeof "...\"" > end) {
            put(line, "...");
            break;
        }
        put(line, escape);
    }
    put(line, "\"");
}

static int needs_quotes(const char *text)
{
    if (*text == '\0' || strlen(text) > 1024) /* what does not fit is cut in quotes only */
        return 1;
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == '"' || *text == '=' || *text == '\\')
            return 1;
    return 0;
}

/* Puts a field or none of it, where the line has no room even for a cut one. */
static void put_field(struct line *line, enum log_format format, const struct log_field *field)
{
    char room[FIELD_MAX];
    const char *text = field->text ? secrecy_shown(field->text, room, sizeof room) : NULL;
    size_t start = line->len;

    line->full = false;
    if (format == LOG_FORMAT_JSON) {
        put(line, ",\"");
        put(line, field->key);
        put(line, "\":");
    } else {
        put(line, " ");
        put(line, field->key);
        put(line, "=");
    }
    if (!text)
        put_number(line, field->number);
    else if (format == LOG_FORMAT_JSON || needs_quotes(text))
        put_quoted(line, text);
    else
        put(line, text);
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

/* As the umask of the beginning wants it: the agent sets another one for what it installs. */
static mode_t file_mode(void)
{
    static mode_t mode;

    if (mode == 0) {
        const mode_t mask = umask(S_IRWXG | S_IRWXO);

        (void)umask(mask);
        mode = (S_IRUSR | S_IWUSR | S_IRGRP) & ~mask;
    }
    return mode;
}

/*
 * Opens a regular file and nothing else: of a FIFO, a terminal or a device somebody else holds the
 * other end. Not to wait for a FIFO's reader before its kind is known: O_NONBLOCK. -1 with errno,
 * EINVAL where it is something else.
 */
static int open_regular(const char *path)
{
    const int flags =
        O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    int fd = open(path, flags, file_mode());
    struct stat status;

    if (fd < 0) {
        errno = errno == ENXIO ? EINVAL : errno;
        return -1;
    }
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return fd;
    close(fd);
    errno = EINVAL;
    return -1;
}

/* The file again under its name, after somebody renamed or removed the one that is open. What
 * stands there in its place and is no file is none: the old one will do. */
static void follow_rename(struct outlet *outlet)
{
    struct stat open_file, named;
    int fd;

    if (fstat(outlet->fd, &open_file) == 0 && stat(outlet->path, &named) == 0 &&
        open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino)
        return;
    fd = open_regular(outlet->path);
    if (fd < 0)
        return;
    close(outlet->fd);
    outlet->fd = fd;
    outlet->torn = false;
}

/* A pipe that nobody empties is not waited for again until somebody does. */
static bool has_room(struct outlet *outlet)
{
    struct pollfd out = {outlet->fd, POLLOUT, 0};

    outlet->full = poll(&out, 1, outlet->full ? 0 : PATIENCE_MS) == 0;
    return !outlet->full;
}

/* What a full disk has cut off is ended before another line begins. */
static int put_out(struct outlet *outlet, struct bytes text)
{
    const size_t all = text.len;
    ssize_t n = 0;

    if (!has_room(outlet)) {
        errno = EAGAIN;
        return -1;
    }
    if (outlet->torn && write(outlet->fd, "\n", 1) != 1)
        return -1;
    outlet->torn = false;
    for (; text.len > 0; text.data += n, text.len -= (size_t)n) {
        n = write(outlet->fd, text.data, text.len);
        if (n < 0 && errno == EINTR)
            n = 0;
        if (n < 0) {
            outlet->torn = text.len < all;
            return -1;
        }
    }
    return 0;
}

/* That lines are missing is said where they are missing, before the next one. */
static int tell_lost(struct outlet *outlet, size_t lost)
{
    const struct log_field lines = log_n("lines", (int64_t)lost);
    struct line line = {.len = 0};

    put_head(&line, sink.options.format, LOG_LEVEL_WARNING, "log_lines_lost");
    put_field(&line, sink.options.format, &lines);
    put_end(&line, sink.options.format);
    if (put_out(outlet, bytes_of(line.text, line.len)) < 0)
        return -1;
    atomic_fetch_sub(&outlet->lost, lost);
    return 0;
}

/* ---- aside, where they may hang ---- */

static int write_line(void *user, struct bytes line)
{
    struct outlet *outlet = user;
    const size_t lost = atomic_load(&outlet->lost);

    if (outlet->path[0])
        follow_rename(outlet);
    if (outlet->fd < 0 || (lost > 0 && tell_lost(outlet, lost) < 0))
        return -1;
    return put_out(outlet, line);
}

/* From now on that path; the empty one: no file any more. */
static int use_path(void *user, struct bytes path)
{
    struct outlet *outlet = user;
    char name[LOG_PATH_MAX] = "";
    int fd = -1;

    if (path.len >= sizeof name) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (path.len > 0)
        memcpy(name, path.data, path.len);
    name[path.len] = '\0';
    if (log_is_stdout(name))
        fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    else if (*name)
        fd = open_regular(name);
    if (*name && fd < 0)
        return -1;
    if (outlet->fd >= 0)
        close(outlet->fd);
    outlet->fd = fd;
    outlet->full = outlet->torn = false;
    memcpy(outlet->path, log_is_stdout(name) ? "" : name, log_is_stdout(name) ? 1 : path.len + 1);
    return 0;
}

/* ---- for those who log ---- */

static void send_to(struct outlet *outlet, const struct line *line)
{
    if (aside_do(&outlet->aside, write_line, outlet, bytes_of(line->text, line->len), ASIDE_MS) ==
        0)
        return;
    atomic_fetch_add(&outlet->lost, 1);
    atomic_fetch_add(&sink.dropped, 1);
}

static void send(const struct line *line)
{
    send_to(&standard_error, line);
    if (atomic_load(&sink.to_file))
        send_to(&file, line);
}

bool log_is_stdout(const char *path)
{
    return strcmp(path, "/dev/stdout") == 0 || strcmp(path, "/dev/fd/1") == 0 ||
           strcmp(path, "/proc/self/fd/1") == 0;
}

int log_open(const struct log_options *options, struct err *err)
{
    const char *path = options->file ? options->file : "";

    if ((options->file || atomic_load(&sink.to_file)) &&
        aside_do(&file.aside, use_path, &file, bytes_of_text(path), OPEN_MS) < 0) {
        if (errno == EINVAL)
            return err_set(err, ERR_CONFIG, path, "the log file is no regular file");
        return err_set_errno(err, ERR_CONFIG, path, "the log file cannot be opened");
    }
    atomic_store(&sink.to_file, options->file != NULL);
    sink.options = *options;
    return 0;
}

void log_start(void)
{
    (void)file_mode(); /* the sandbox lets nobody ask for the umask later */
    aside_start(&standard_error.aside);
    aside_start(&file.aside);
}

void log_stop(void)
{
    aside_stop(&standard_error.aside);
    aside_stop(&file.aside);
}

void log_observe(log_observer *observer, void *user)
{
    sink.observer = observer;
    sink.user = user;
}

size_t log_dropped(void)
{
    return atomic_load(&sink.dropped);
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

int log_error(const struct err *err)
{
    const struct err_info *info = err_info(err->code);

    log_event(
        LOG_LEVEL_ERROR, "error", log_s("code", info->name), log_s("what", info->what),
        log_s("cause", err_cause(err)), log_s("subject", err->subject[0] ? err->subject : NULL),
        log_s("reason", err->reason[0] ? err->reason : NULL), log_s("remedy", err_remedy(err)));
    return info->exit_status;
}
