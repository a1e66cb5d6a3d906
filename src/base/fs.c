/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads to the end of file, or to the buffer's bound. */
int fs_read_stream(int fd, struct buf *out)
{
    enum { STEP = 4096 };
    ssize_t n;

    for (;;) {
        size_t room = out->max ? out->max - out->len : STEP;
        uint8_t probe;

        if (room == 0) {
            n = read(fd, &probe, 1);
            wipe(&probe, 1);
            if (n > 0)
                errno = EFBIG;
            return n == 0 ? 0 : -1;
        }
        if (room > STEP)
            room = STEP;
        if (buf_reserve(out, room) < 0) {
            errno = ENOMEM;
            return -1;
        }
        n = read(fd, out->data + out->len, room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
    }
}

int fs_read_fd(int fd, struct buf *out)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -1;
    if (S_ISREG(status.st_mode))
        return fs_read_stream(fd, out);
    errno = EINVAL;
    return -1;
}

int fs_read(int at, const char *path, struct buf *out)
{
    /* O_NONBLOCK: opening a FIFO must not hang before its kind is known. */
    int fd = openat(at, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int result, saved;

    if (fd < 0)
        return -1;
    result = fs_read_fd(fd, out);
    saved = errno;
    close(fd);
    errno = saved;
    return result;
}

int fs_write_all(int fd, struct bytes data)
{
    ssize_t n;

    while (data.len > 0) {
        n = write(fd, data.data, data.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data.data += n;
        data.len -= (size_t)n;
    }
    return 0;
}

static int write_new(const char *path, struct bytes text, mode_t mode)
{
    int fd, result = -1, saved;

    if (unlink(path) < 0 && errno != ENOENT)
        return -1;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -1;
    if (fchmod(fd, mode) == 0)
        result = fs_write_all(fd, text);
    saved = errno;
    if (close(fd) < 0 && errno != EINTR && result == 0)
        return -1;
    errno = saved;
    return result;
}

int fs_replace(const char *path, struct bytes text, mode_t mode)
{
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof temporary, "%s.tmp", path), saved;

    if (n < 0 || (size_t)n >= sizeof temporary) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (write_new(temporary, text, mode) == 0 && rename(temporary, path) == 0)
        return 0;
    saved = errno;
    (void)unlink(temporary);
    errno = saved;
    return -1;
}

int fs_remove(const char *path)
{
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof temporary, "%s.tmp", path);

    if (n > 0 && (size_t)n < sizeof temporary && unlink(temporary) < 0 && errno != ENOENT)
        return -1;
    return unlink(path) < 0 && errno != ENOENT ? -1 : 0;
}
