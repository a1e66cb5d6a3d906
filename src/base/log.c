/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/aside.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log_line.h"

enum { PATIENCE_MS = 1000 }; /* with who reads */

/* How long a thread waits for a line to get out, once: a little more than its reader is given. */
enum { ASIDE_MS = PATIENCE_MS + 500, OPEN_MS = 3000, LOG_PATH_MAX = 1024 };

/* Where lines go. What stands here is its aside's alone, but for the count. */
struct outlet {
    struct aside aside;
    int fd;     /* -1: none */
    char *path; /* of LOG_PATH_MAX: to be opened again after it was renamed; "": never */
    struct next {
        int fd;
        char *path;     /* of LOG_PATH_MAX */
    } next;             /* opened, and in use once who asked for it agrees: it may have given up */
    atomic_bool agreed; /* to next */
    bool full;          /* nobody reads */
    bool torn;          /* the last line is there in part */
    atomic_size_t lost; /* lines, since the last one that went out there */
};

static char file_path[LOG_PATH_MAX], next_path[LOG_PATH_MAX];
static struct outlet standard_error = {.aside = ASIDE, .fd = STDERR_FILENO, .path = ""};
static struct outlet file = {.aside = ASIDE, .fd = -1, .path = file_path, .next = {-1, next_path}};

static struct {
    struct log_options options;
    log_observer *observer;
    void *user;
    atomic_bool to_file;
    atomic_size_t dropped; /* lines, in all, of both */
} sink = {.options = {.level = LOG_LEVEL_INFO}};

static _Thread_local struct log_memory *remembered;

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
static int put_lost(struct outlet *outlet, size_t lost)
{
    const struct log_field lines = log_n("lines", (int64_t)lost);
    struct log_line line = {.len = 0};

    log_line_head(&line, sink.options.format, LOG_LEVEL_WARNING, "log_lines_lost");
    log_line_field(&line, sink.options.format, &lines);
    log_line_end(&line, sink.options.format);
    if (put_out(outlet, bytes_of(line.text, line.len)) < 0)
        return -1;
    atomic_fetch_sub(&outlet->lost, lost);
    return 0;
}

/* ---- aside, where they may hang ---- */

static int settle(void *user, struct bytes unused)
{
    struct outlet *outlet = user;
    const int before = outlet->fd;

    (void)unused;
    if (!atomic_exchange(&outlet->agreed, false))
        return 0;
    outlet->fd = outlet->next.fd;
    outlet->next.fd = -1;
    outlet->full = outlet->torn = false;
    memcpy(outlet->path, outlet->next.path, LOG_PATH_MAX);
    if (before >= 0)
        close(before);
    return 0;
}

static int write_line(void *user, struct bytes line)
{
    struct outlet *outlet = user;
    const size_t lost = atomic_load(&outlet->lost);

    (void)settle(outlet, line);
    if (outlet->path[0])
        follow_rename(outlet);
    if (outlet->fd < 0 || (lost > 0 && put_lost(outlet, lost) < 0))
        return -1;
    return put_out(outlet, line);
}

/* Opens what is to be used next; the empty path: no file any more. */
static int open_next(void *user, struct bytes path)
{
    struct outlet *outlet = user;
    struct next *next = &outlet->next;

    (void)settle(outlet, path);
    if (path.len >= LOG_PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (next->fd >= 0)
        close(next->fd);
    next->fd = -1;
    if (path.len > 0)
        memcpy(next->path, path.data, path.len);
    next->path[path.len] = '\0';
    if (log_is_stdout(next->path)) {
        next->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        next->path[0] = '\0';
    } else if (path.len > 0) {
        next->fd = open_regular(next->path);
    }
    return path.len > 0 && next->fd < 0 ? -1 : 0;
}

/* ---- for those who log ---- */

static void send_to(struct outlet *outlet, const struct log_line *line)
{
    if (aside_do(&outlet->aside, write_line, outlet, bytes_of(line->text, line->len), ASIDE_MS) ==
        0)
        return;
    atomic_fetch_add(&outlet->lost, 1);
    atomic_fetch_add(&sink.dropped, 1);
}

bool log_is_stdout(const char *path)
{
    return strcmp(path, "/dev/stdout") == 0 || strcmp(path, "/dev/fd/1") == 0 ||
           strcmp(path, "/proc/self/fd/1") == 0;
}

static int use_file(const char *path, struct err *err)
{
    if (aside_do(&file.aside, open_next, &file, bytes_of_text(path), OPEN_MS) == 0) {
        atomic_store(&file.agreed, true);
        (void)aside_do(&file.aside, settle, &file, (struct bytes){0}, OPEN_MS);
        return 0;
    }
    /* Where the file in use hangs, it is still the one to be used. */
    if (errno == ETIMEDOUT && atomic_load(&sink.to_file) && sink.options.file &&
        strcmp(path, sink.options.file) == 0)
        return 0;
    if (errno == EINVAL)
        return err_set(err, ERR_CONFIG, path, "the log file is no regular file");
    return err_set_errno(err, ERR_CONFIG, path, "the log file cannot be opened");
}

int log_open(const struct log_options *options, struct err *err)
{
    if ((options->file || atomic_load(&sink.to_file)) &&
        use_file(options->file ? options->file : "", err) < 0)
        return -1;
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

static uint64_t hash_text(uint64_t hash, const char *text)
{
    return hash_fnv(hash, text, strlen(text) + 1);
}

/* What an event says, without what differs each time. */
static uint64_t meaning(const char *event, const struct log_field *fields)
{
    static const char *const fleeting[] = {"reason", "cause", "peer"};
    uint64_t hash = hash_text(HASH_FNV, event);
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

    if (!memory || strcmp(event, "handshake") == 0 || strcmp(event, "probed") == 0)
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
    struct log_line line = {.len = 0};

    if (sink.observer)
        sink.observer(sink.user, event, fields);
    if (repeats(event, fields))
        level = LOG_LEVEL_DEBUG;
    if (level < sink.options.level)
        return;
    log_line_head(&line, format, level, event);
    for (; fields->key; fields++)
        if (fields->text || fields->number != INT64_MIN)
            log_line_field(&line, format, fields);
    log_line_end(&line, format);
    send_to(&standard_error, &line);
    if (atomic_load(&sink.to_file))
        send_to(&file, &line);
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
