/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"

/*
 * FUSE, 9p and virtiofs without a cache hand a caller's own pages on, and the kernel gives none of
 * memfd_secret(2)'s to anybody: EFAULT. Then it goes by a page of another kind, as well locked and
 * kept out of core dumps, that is wiped at once.
 */
enum { PAGE = 4096 };

static void *page_open(void)
{
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return NULL;
    if (mlock(page, PAGE) == 0 && madvise(page, PAGE, MADV_DONTDUMP) == 0)
        return page;
    (void)munmap(page, PAGE);
    return NULL;
}

static void page_close(void *page)
{
    const int saved = errno;

    wipe(page, PAGE);
    (void)munmap(page, PAGE);
    errno = saved;
}

static ssize_t read_some(int fd, void *out, size_t len)
{
    ssize_t n = read(fd, out, len);
    void *page;

    if (n >= 0 || errno != EFAULT || !(page = page_open()))
        return n;
    n = read(fd, page, len < PAGE ? len : PAGE);
    if (n > 0)
        memcpy(out, page, (size_t)n);
    page_close(page);
    return n;
}

static ssize_t write_some(int fd, struct bytes data)
{
    ssize_t n = write(fd, data.data, data.len);
    void *page;

    if (n >= 0 || errno != EFAULT || !(page = page_open()))
        return n;
    if (data.len > PAGE)
        data.len = PAGE;
    memcpy(page, data.data, data.len);
    n = write(fd, page, data.len);
    page_close(page);
    return n;
}

/* Reads to the end of file, or to the buffer's bound. */
int fs_read_stream(int fd, struct buf *out)
{
    enum { STEP = 4096 };
    ssize_t n;

    for (;;) {
        size_t room = out->max ? out->max - out->len : STEP;
        uint8_t probe;

        if (room == 0) {
            n = read_some(fd, &probe, 1);
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
        n = read_some(fd, out->data + out->len, room);
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
    errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
    return -1;
}

int fs_open(int at, const char *path, int flags)
{
    int fd = openat(at, path, flags);
    struct stat status;

    if (fd < 0 && errno == EACCES) {
        if (fstatat(at, path, &status, 0) == 0 && S_ISDIR(status.st_mode))
            errno = EISDIR;
        else
            errno = EACCES;
    }
    return fd;
}

/* Opens for reading what an O_PATH descriptor is of; without /proc by its path again, unguarded. */
static int reopen(int found, int at, const char *path)
{
    const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    char name[32];
    int fd;

    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", found);
    fd = open(name, flags);
    return fd < 0 && errno == ENOENT ? openat(at, path, flags) : fd;
}

/* A stranger's link may lead to a device, and there are some that begin to work once they are
 * opened: what a path leads to is looked at before. */
static int open_regular(int at, const char *path)
{
    const int found = openat(at, path, O_PATH | O_CLOEXEC);
    struct stat status;
    int fd = -1, saved;

    if (found < 0)
        return -1;
    if (fstat(found, &status) == 0) {
        if (S_ISREG(status.st_mode))
            fd = reopen(found, at, path);
        else
            errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
    }
    saved = errno;
    close(found);
    errno = saved;
    return fd;
}

int fs_read(int at, const char *path, struct buf *out)
{
    int fd = open_regular(at, path);
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
        n = write_some(fd, data);
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
    uint64_t id;
    int n, saved;

    random_bytes(&id, sizeof id);
    n = snprintf(temporary, sizeof temporary, "%s.%016llx.tmp", path, (unsigned long long)id);
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

/* ".tmp" alone is an older version's. */
bool fs_is_of(const char *name, const char *file)
{
    const size_t len = strlen(file);
    const char *rest = name + len;

    if (strncmp(name, file, len) != 0)
        return false;
    if (*rest == '.' && strspn(rest + 1, "0123456789abcdef") == 16)
        rest += 1 + 16;
    return *rest == '\0' || strcmp(rest, ".tmp") == 0;
}

int fs_sweep(const char *path)
{
    const char *slash = strrchr(path, '/');
    char directory[PATH_MAX];
    const struct dirent *entry;
    int fd, result = 0;
    DIR *dir;

    if (!slash || slash - path >= PATH_MAX - 1) {
        errno = EINVAL;
        return -1;
    }
    (void)snprintf(directory, sizeof directory, "%.*s/", (int)(slash - path), path);
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -1;
    }
    while ((entry = readdir(dir)))
        if (fs_is_of(entry->d_name, slash + 1) && strcmp(entry->d_name, slash + 1) != 0 &&
            unlinkat(fd, entry->d_name, 0) < 0 && errno != ENOENT && errno != EISDIR)
            result = -1;
    (void)closedir(dir);
    return result;
}

int fs_remove(const char *path)
{
    if (fs_sweep(path) < 0)
        return -1;
    return unlink(path) < 0 && errno != ENOENT ? -1 : 0;
}
