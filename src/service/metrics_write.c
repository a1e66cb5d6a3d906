/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "service/metrics.h"

enum { FILE_MODE = 0644 };

/* Whatever a killed run, or somebody else, left at the name goes first. */
static int create(const char *path)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

    if (unlink(path) < 0 && errno != ENOENT)
        return -1;
    return open(path, flags, FILE_MODE);
}

static int sync_file(int fd)
{
    int result;

    do {
        result = fsync(fd);
    } while (result < 0 && errno == EINTR);
    return result;
}

/* 0, or -1 with errno. */
static int fill(const char *path, struct bytes text)
{
    int fd = create(path), result = -1, saved;

    if (fd < 0)
        return -1;
    if (fchmod(fd, FILE_MODE) == 0 && fs_write_all(fd, text) == 0 && sync_file(fd) == 0)
        result = 0;
    saved = errno;
    if (close(fd) < 0 && errno != EINTR && result == 0)
        return -1;
    errno = saved;
    return result;
}

static int replace(const char *path, struct bytes text, struct err *err)
{
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof temporary, "%s.tmp", path);

    if (n < 0 || (size_t)n >= sizeof temporary)
        return err_set(err, ERR_SYSTEM, NULL, "the path of the metrics file is too long");
    if (fill(temporary, text) == 0 && rename(temporary, path) == 0)
        return 0;
    (void)err_set_errno(err, ERR_SYSTEM, path, "the metrics cannot be written");
    (void)unlink(temporary);
    return -1;
}

int metrics_write(struct metrics *metrics, const char *path, struct err *err)
{
    struct buf text = {.public = true};
    int result = -1;

    if (metrics_render(metrics, &text) < 0)
        (void)err_set(err, ERR_MEMORY_FULL, path, "no memory for the metrics");
    else
        result = replace(path, buf_bytes(&text), err);
    buf_free(&text);
    return result;
}
