/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fs.h"

enum { LINKS_MAX = 40, MODE_BITS = 07777, LOOK = O_PATH | O_CLOEXEC };

/* Whoever owns "/" could put anything anywhere. In a user namespace that is how root is seen. */
bool trust_owner(uid_t uid, uid_t also)
{
    struct stat root;

    return uid == 0 || uid == geteuid() || (also != TRUST_NOBODY && uid == also) ||
           (stat("/", &root) == 0 && uid == root.st_uid);
}

mode_t trust_writers(int fd, const struct stat *status)
{
    const mode_t bits = status->st_mode & (S_IWGRP | S_IWOTH);
    struct statvfs mount;

    if (bits == 0 || (S_ISDIR(status->st_mode) && (status->st_mode & S_ISVTX)))
        return 0;
    return fstatvfs(fd, &mount) == 0 && (mount.f_flag & ST_RDONLY) ? 0 : bits;
}

int trust_end(struct trust_walk *walk, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(walk->why, sizeof walk->why, format, arguments);
    va_end(arguments);
    errno = error;
    return -1;
}

/* Fails at walk->name; where a link's text led there, that is what is wrong. */
static int end_at_name(struct trust_walk *walk, int error, const char *why)
{
    if (walk->link[0])
        return trust_end(walk, ENOTDIR, "%s is a symbolic link to no %s", walk->link,
                         walk->file ? "file" : "directory");
    return trust_end(walk, error, "%s/%s %s", walk->reached, walk->name, why);
}

/* Cuts the next name off: 1; 0 at the end; -1 where a name cannot be one. */
static int next_name(struct trust_walk *walk)
{
    const char *start = walk->pending + strspn(walk->pending, "/");
    const size_t len = strcspn(start, "/");

    if (len == 0)
        return 0;
    if (len >= sizeof walk->name)
        return trust_end(walk, ENAMETOOLONG, "%s/%.40s... has too long a name", walk->reached,
                         start);
    memcpy(walk->name, start, len);
    walk->name[len] = '\0';
    memmove(walk->pending, start + len, strlen(start + len) + 1);
    return 1;
}

static bool is_last(const struct trust_walk *walk)
{
    return walk->pending[strspn(walk->pending, "/")] == '\0';
}

/* Goes to a directory that is open. */
static int reach(struct trust_walk *walk, int fd)
{
    if (walk->at.fd >= 0)
        close(walk->at.fd);
    walk->at.fd = fd;
    walk->at.path = walk->reached[0] ? walk->reached : "/";
    if (fstat(fd, &walk->at.status) < 0)
        return trust_end(walk, errno, "%s cannot be looked at", walk->at.path);
    return walk->visit ? walk->visit(walk, &walk->at) : 0;
}

static int reach_root(struct trust_walk *walk)
{
    const char *root = walk->root ? walk->root : "/";
    int fd = open(root, LOOK | O_DIRECTORY);

    if (fd < 0)
        return trust_end(walk, errno, "%s cannot be opened: %s", root, strerror(errno));
    (void)snprintf(walk->reached, sizeof walk->reached, "%s", walk->root ? root : "");
    return reach(walk, fd);
}

/* Goes up, as links' texts may ask for. */
static int reach_parent(struct trust_walk *walk)
{
    char *slash = strrchr(walk->reached, '/');
    int fd;

    if (!walk->link[0])
        return trust_end(walk, EINVAL, "%s/.. leads upwards", walk->reached);
    fd = openat(walk->at.fd, "..", LOOK | O_DIRECTORY);
    if (fd < 0)
        return end_at_name(walk, errno, "cannot be left upwards");
    if (slash)
        *slash = '\0';
    return reach(walk, fd);
}

/* Puts the text of a link before what is left of the path. */
static int put_before(struct trust_walk *walk, const char *text)
{
    char rest[TRUST_PATH_MAX];

    memcpy(rest, walk->pending, strlen(walk->pending) + 1);
    if (!walk->link[0]) {
        walk->behind_link = strlen(rest);
        (void)snprintf(walk->link, sizeof walk->link, "%s/%s", walk->reached, walk->name);
    }
    if (++walk->links > LINKS_MAX)
        return end_at_name(walk, ELOOP, "is a link too many");
    if (snprintf(walk->pending, sizeof walk->pending, "%s%s", text, rest) >=
        (int)sizeof walk->pending)
        return end_at_name(walk, ENAMETOOLONG, "leads to too long a path");
    return text[0] == '/' ? reach_root(walk) : 0;
}

/* By the text of the very link that was looked at. */
static int follow(struct trust_walk *walk, int link, const struct stat *status)
{
    char text[TRUST_PATH_MAX];
    ssize_t len;

    if (walk->root)
        return trust_end(walk, EPERM, "%s/%s is a symbolic link; below a root none is followed",
                         walk->reached, walk->name);
    if (walk->no_link && walk->file && is_last(walk))
        return trust_end(walk, ELOOP, "%s/%s is a symbolic link", walk->reached, walk->name);
    if (!trust_owner(status->st_uid, walk->also))
        return trust_end(walk, EPERM,
                         "%s/%s is a symbolic link that belongs to a stranger, uid %lu",
                         walk->reached, walk->name, (unsigned long)status->st_uid);
    len = readlinkat(link, "", text, sizeof text);
    if (len <= 0 || (size_t)len == sizeof text)
        return end_at_name(walk, len < 0 ? errno : ENAMETOOLONG, "is a link that cannot be read");
    text[len] = '\0';
    return put_before(walk, text);
}

static int missing(struct trust_walk *walk, int error)
{
    char why[64];

    (void)snprintf(why, sizeof why, "cannot be entered: %s", strerror(error));
    if (error != ENOENT)
        return end_at_name(walk, error, why);
    if (walk->link[0] || !walk->make)
        return end_at_name(walk, ENOENT, "does not exist");
    return walk->make(walk, &walk->at, walk->name);
}

/* Takes one name: 0, or -1. */
static int take_step(struct trust_walk *walk)
{
    int fd, result;
    struct stat status;

    if (strcmp(walk->name, ".") == 0)
        return 0;
    if (strcmp(walk->name, "..") == 0)
        return reach_parent(walk);
    fd = openat(walk->at.fd, walk->name, LOOK | O_NOFOLLOW);
    if (fd < 0)
        fd = missing(walk, errno);
    if (fd < 0)
        return -1;
    if (fstat(fd, &status) < 0) {
        result = end_at_name(walk, errno, "cannot be looked at");
    } else if (S_ISLNK(status.st_mode)) {
        result = follow(walk, fd, &status);
    } else if (!S_ISDIR(status.st_mode)) {
        result = end_at_name(walk, ENOTDIR, "is not a directory");
    } else if (strlen(walk->reached) + strlen(walk->name) + 2 > sizeof walk->reached) {
        result = trust_end(walk, ENAMETOOLONG, "%s has too long a path", walk->reached);
    } else {
        const size_t len = strlen(walk->reached);

        (void)snprintf(walk->reached + len, sizeof walk->reached - len, "/%s", walk->name);
        return reach(walk, fd);
    }
    close(fd);
    return result;
}

/* Whether the name just cut off is the file's own, and no link. */
static bool is_file(const struct trust_walk *walk)
{
    struct stat status;

    if (!walk->file || !is_last(walk) || strcmp(walk->name, "..") == 0)
        return false;
    return fstatat(walk->at.fd, walk->name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
           !S_ISLNK(status.st_mode);
}

static int walk_on(struct trust_walk *walk)
{
    int more;

    while ((more = next_name(walk)) > 0) {
        if (is_file(walk))
            return 0;
        if (take_step(walk) < 0)
            return -1;
        if (strlen(walk->pending) <= walk->behind_link)
            walk->link[0] = '\0';
    }
    if (more == 0 && walk->file)
        return trust_end(walk, EISDIR, "%s is a directory", walk->at.path);
    return more;
}

int trust_walk(struct trust_walk *walk)
{
    char cwd[TRUST_PATH_MAX] = "";
    int saved;

    walk->at.fd = -1;
    walk->why[0] = '\0';
    if (walk->path[0] != '/' && !getcwd(cwd, sizeof cwd))
        return trust_end(walk, errno, "the working directory is unknown: %s", strerror(errno));
    if (snprintf(walk->pending, sizeof walk->pending, "%s%s%s", cwd, cwd[0] ? "/" : "",
                 walk->path) >= (int)sizeof walk->pending)
        return trust_end(walk, ENAMETOOLONG, "the path is too long");
    if (reach_root(walk) == 0 && walk_on(walk) == 0)
        return walk->at.fd;
    saved = errno;
    if (walk->at.fd >= 0)
        close(walk->at.fd);
    errno = saved;
    return -1;
}

/* Whether what is open could have been changed by a stranger: 0, or -1. */
static int judge_file(struct trust *trust, int fd, const struct stat *status, const char *path)
{
    const mode_t writers = trust_writers(fd, status);
    const bool strange = !trust_owner(status->st_uid, trust->also);

    if (strange && (!trust->one_stranger ||
                    (trust->stranger != TRUST_NOBODY && trust->stranger != status->st_uid))) {
        (void)snprintf(trust->why, sizeof trust->why, "%s belongs to user %lu, a stranger", path,
                       (unsigned long)status->st_uid);
    } else if (writers && (S_ISREG(status->st_mode) || S_ISDIR(status->st_mode))) {
        (void)snprintf(trust->why, sizeof trust->why,
                       "%s has mode %04o, so that others may write to it; run: chmod go-w %s", path,
                       status->st_mode & MODE_BITS, path);
    } else {
        if (strange)
            trust->stranger = status->st_uid;
        return 0;
    }
    errno = EPERM;
    return -1;
}

static int judge_step(struct trust_walk *walk, const struct trust_step *step)
{
    return judge_file(walk->context, step->fd, &step->status, step->path);
}

/* Opens the file that the walk led to, and judges it. */
static int open_last(const struct trust_walk *walk, int at, int flags, struct trust *trust)
{
    int fd = fs_open(at, walk->name, flags | O_NOFOLLOW), saved;
    char path[TRUST_PATH_MAX + sizeof walk->name];
    struct stat status;

    if (fd < 0) {
        (void)snprintf(trust->why, sizeof trust->why, "%s", strerror(errno));
        return -1;
    }
    (void)snprintf(path, sizeof path, "%.*s/%s", TRUST_PATH_MAX - 1, walk->reached, walk->name);
    if (fstat(fd, &status) == 0 && judge_file(trust, fd, &status, path) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int trust_open(const char *path, int flags, struct trust *trust)
{
    struct trust_walk walk = {
        .path = path,
        .also = trust->also,
        .file = true,
        .no_link = flags & O_NOFOLLOW,
        .visit = judge_step,
        .context = trust,
    };
    int at, fd, saved;

    trust->stranger = TRUST_NOBODY;
    trust->why[0] = '\0';
    at = trust_walk(&walk);
    if (at < 0) {
        if (walk.why[0])
            memcpy(trust->why, walk.why, sizeof trust->why);
        return -1;
    }
    fd = open_last(&walk, at, flags, trust);
    saved = errno;
    close(at);
    errno = saved;
    return fd;
}

int trust_read(const char *path, struct buf *out, struct trust *trust)
{
    int fd = trust_open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, trust);
    int result, saved;

    if (fd < 0)
        return -1;
    result = fs_read_fd(fd, out);
    saved = errno;
    if (result < 0)
        (void)snprintf(trust->why, sizeof trust->why, "%s", strerror(saved));
    close(fd);
    errno = saved;
    return result;
}
