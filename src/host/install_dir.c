/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "host/install_internal.h"

enum { LOCK_POLL_MS = 50, WALK_FLAGS = O_PATH | O_DIRECTORY | O_CLOEXEC };

/* A walk from the root to the target, one name at a time, so that no link is followed unseen. */
struct walk {
    const struct place *place;
    bool create;
    const char *rest; /* of the place's path, behind name */
    char name[NAME_MAX + 1];
    struct err *err;
};

static int fail(const struct walk *walk, enum err_code code, const char *why)
{
    return err_set(walk->err, code, walk->place->path, "%.*s %s",
                   (int)(walk->rest - walk->place->path), walk->place->path, why);
}

static int fail_errno(const struct walk *walk, enum err_code code, const char *why)
{
    return err_set_errno(walk->err, code, walk->place->path, "%.*s %s",
                         (int)(walk->rest - walk->place->path), walk->place->path, why);
}

int sync_fd(int fd)
{
    int result;

    do
        result = fsync(fd);
    while (result < 0 && errno == EINTR);
    return result;
}

bool place_trusts(const struct place *place, uid_t uid)
{
    const struct install_target *target = place->target;

    return uid == 0 || uid == geteuid() || (target->owner_set && uid == target->owner);
}

/* Makes the entry of a new directory durable; its parent is known by a descriptor that cannot sync.
 */
static int sync_parent(int at)
{
    int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result;

    if (fd < 0)
        return -1;
    result = sync_fd(fd);
    close(fd);
    return result;
}

/* The configured group may pass, but only we may rename below: the owner stays ours. */
static int make_directory(const struct walk *walk, int at)
{
    const struct install_target *target = walk->place->target;
    gid_t group = target->owner_set ? target->group : (gid_t)-1;
    int fd;

    if (mkdirat(at, walk->name, target->dir_mode) < 0 && errno != EEXIST)
        return fail_errno(walk, ERR_INSTALL_FAILED, "cannot be created");
    fd = openat(at, walk->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && fchmod(fd, target->dir_mode) == 0 && fchown(fd, (uid_t)-1, group) == 0 &&
        sync_parent(at) == 0)
        return fd;
    (void)fail_errno(walk, ERR_INSTALL_FAILED, "cannot be created");
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Goes through a link that a trusted owner made, by the text of the very link that was looked at.
 */
static int follow_link(const struct walk *walk, int at)
{
    char text[PLACE_PATH_MAX];
    int fd = -1, link = openat(at, walk->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    ssize_t len;

    if (link < 0 || fstat(link, &status) < 0) {
        (void)fail_errno(walk, ERR_TARGET_INVALID, "cannot be opened");
    } else if (!S_ISLNK(status.st_mode)) {
        (void)fail(walk, ERR_TARGET_INVALID, "is not a directory");
    } else if (walk->place->target->root[0]) {
        (void)fail(walk, ERR_TARGET_INVALID, "is a symbolic link; below a root none is followed");
    } else if (!place_trusts(walk->place, status.st_uid)) {
        (void)fail(walk, ERR_TARGET_INVALID, "is a symbolic link that belongs to a stranger");
    } else {
        len = readlinkat(link, "", text, sizeof text);
        if (len > 0 && (size_t)len < sizeof text) {
            text[len] = '\0';
            fd = openat(at, text, WALK_FLAGS);
        }
        if (fd < 0)
            (void)fail_errno(walk, ERR_TARGET_INVALID, "is a symbolic link to no directory");
    }
    if (link >= 0)
        close(link);
    return fd;
}

static int enter(const struct walk *walk, int at)
{
    int fd = openat(at, walk->name, WALK_FLAGS | O_NOFOLLOW);

    if (fd >= 0)
        return fd;
    if (errno == ENOTDIR || errno == ELOOP)
        return follow_link(walk, at);
    if (errno != ENOENT)
        return fail_errno(walk, ERR_TARGET_INVALID, "cannot be entered");
    if (!walk->create)
        return fail(walk, ERR_NO_IDENTITY, "does not exist");
    return make_directory(walk, at);
}

/* Cuts the next name off the path: 1; 0 at the end; -1 where a name cannot be one. */
static int next_name(struct walk *walk)
{
    const char *start = walk->rest + strspn(walk->rest, "/");
    size_t len = strcspn(start, "/");

    walk->rest = start + len;
    if (len == 0)
        return 0;
    if (len > NAME_MAX)
        return fail(walk, ERR_TARGET_INVALID, "has too long a name");
    memcpy(walk->name, start, len);
    walk->name[len] = '\0';
    if (strcmp(walk->name, "..") == 0)
        return fail(walk, ERR_TARGET_INVALID, "leads upwards");
    return 1;
}

/* Others who can write on the way can replace whole sets; a volume may be so on purpose. */
static void warn_if_writable(const struct walk *walk, int fd)
{
    const struct place *place = walk->place;
    char path[PLACE_PATH_MAX];
    struct stat status;

    if (fstat(fd, &status) < 0 || (place_trusts(place, status.st_uid) &&
                                   (!(status.st_mode & S_IWOTH) || (status.st_mode & S_ISVTX))))
        return;
    (void)snprintf(path, sizeof path, "%.*s", (int)(walk->rest - place->path), place->path);
    log_event(LOG_LEVEL_WARNING, "target_writable_by_others", log_s("dir", path),
              log_n("owner", status.st_uid));
}

static int walk_to_end(struct walk *walk, int at)
{
    int next, more;

    while ((more = next_name(walk)) > 0) {
        next = enter(walk, at);
        close(at);
        if (next < 0)
            return -1;
        if (walk->create)
            warn_if_writable(walk, next);
        at = next;
    }
    if (more == 0)
        return at;
    close(at);
    return -1;
}

static int join_path(struct place *place, struct err *err)
{
    const struct install_target *target = place->target;
    const char *slash = target->sub[0] ? "/" : "";
    int len = snprintf(place->path, sizeof place->path, "%s%s%s%s", target->root, target->dir,
                       slash, target->sub);

    if (target->dir[0] != '/')
        return err_set(err, ERR_TARGET_INVALID, target->dir, "the path is not absolute");
    if (strchr(target->sub, '/') || strncmp(target->sub, "..", 2) == 0)
        return err_set(err, ERR_TARGET_INVALID, target->sub, "is no name for a subdirectory");
    if (len < 0 || (size_t)len >= sizeof place->path)
        return err_set(err, ERR_TARGET_INVALID, place->path, "the path is too long");
    return 0;
}

int place_open(struct place *place, const struct install_target *target, bool create,
               struct err *err)
{
    struct walk walk = {.place = place, .create = create, .err = err};
    const char *root = target->root[0] ? target->root : "/";
    int at;

    *place = (struct place){.target = target, .fd = -1};
    if (join_path(place, err) < 0)
        return -1;
    walk.rest = place->path + strlen(target->root);
    at = open(root, WALK_FLAGS);
    if (at < 0)
        return err_set_errno(err, ERR_TARGET_INVALID, place->path, "%s cannot be opened", root);
    at = walk_to_end(&walk, at);
    if (at < 0)
        return -1;
    place->fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place->fd < 0)
        (void)fail_errno(&walk, ERR_TARGET_INVALID, "cannot be read");
    close(at);
    return place->fd < 0 ? -1 : 0;
}

void place_close(struct place *place)
{
    if (place->fd >= 0)
        close(place->fd);
    place->fd = -1;
}

int place_lock(const struct place *place, struct err *err)
{
    int64_t deadline = place->target->deadline;

    while (flock(place->fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK)
            return err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot be locked");
        if (clock_left(deadline) == 0)
            return err_set(err, ERR_DEADLINE, place->path, "another agent holds its lock");
        clock_sleep(LOCK_POLL_MS, deadline);
    }
    return 0;
}
