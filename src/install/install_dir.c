/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/random.h"
#include "base/trust.h"
#include "install/install_internal.h"

enum { MODE_BITS = 07777 };

/* A target on its way to be open. */
struct opening {
    struct place *place;
    bool make, judge;
    uid_t strange; /* the stranger who owns a directory on the way; TRUST_NOBODY: none */
    struct stat status;
    char path[TRUST_PATH_MAX]; /* of that directory */
    struct err *err;
};

int sync_fd(int fd)
{
    int result;

    do
        result = fsync(fd);
    while (result < 0 && errno == EINTR);
    return result;
}

void temporary_name(char name[TEMPORARY_NAME_SIZE])
{
    uint64_t id;

    random_bytes(&id, sizeof id);
    (void)snprintf(name, TEMPORARY_NAME_SIZE, TEMPORARY_PREFIX "%016llx", (unsigned long long)id);
}

bool is_temporary(const char *name)
{
    const size_t prefix = sizeof TEMPORARY_PREFIX - 1;

    return (strlen(name) == TEMPORARY_NAME_SIZE - 1 &&
            strncmp(name, TEMPORARY_PREFIX, prefix) == 0 &&
            strspn(name + prefix, "0123456789abcdef") == TEMPORARY_NAME_SIZE - 1 - prefix) ||
           strcmp(name, "..data.tmp") == 0 || strcmp(name, "..agent.tmp") == 0;
}

bool place_trusts(const struct place *place, uid_t uid)
{
    const struct install_target *target = place->target;

    return trust_owner(uid, target->owner_set ? target->owner : TRUST_NOBODY) ||
           (place->own_known && uid == place->own_uid);
}

/*
 * Whose a file is that the agent makes there. On NFS root may be made another user, and on an EFS
 * access point everybody. A file without a name leaves no trace; not every file system knows it.
 */
static void learn_own(struct place *place, int directory)
{
    int fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
    const bool named = fd < 0 && !place->target->looks_only &&
                       (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT);
    char name[TEMPORARY_NAME_SIZE];
    struct stat status;

    if (named) {
        temporary_name(name);
        fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    S_IRUSR | S_IWUSR);
    }
    if (fd < 0)
        return;
    if (fstat(fd, &status) == 0) {
        place->own_uid = status.st_uid;
        place->own_gid = status.st_gid;
        place->own_known = true;
    }
    close(fd);
    if (named)
        (void)unlinkat(directory, name, 0);
}

/* Who can rename on the way can replace whole sets; the operator may know and accept that. */
static int refuse_others(const struct opening *opening, const char *path, const struct stat *status,
                         bool strange)
{
    const struct place *place = opening->place;
    const unsigned long uid = status->st_uid;

    if (place->target->others_accepted) {
        log_event(LOG_LEVEL_WARNING, "target_writable_by_others", log_s("dir", path),
                  log_n("owner", (int64_t)uid));
        return 0;
    }
    if (strange)
        return err_set(opening->err, ERR_TARGET_INVALID, place->path,
                       "%s belongs to uid %lu, who may rename and remove what is in it; run: chown "
                       "%lu %s, or name that user as owner, or accept it by writable-dir=warn",
                       path, uid, (unsigned long)geteuid(), path);
    return err_set(opening->err, ERR_TARGET_INVALID, place->path,
                   "%s has mode %04o, so that others may rename and remove what is in it; run: "
                   "chmod go-w %s, or accept it by writable-dir=warn",
                   path, status->st_mode & MODE_BITS, path);
}

/* Whether a stranger's directory is one where all that we make is that stranger's as well. */
static int settle_strange(struct opening *opening, int directory)
{
    struct place *place = opening->place;
    struct stat status;

    if (opening->strange == TRUST_NOBODY)
        return 0;
    if (!place->own_known)
        learn_own(place, directory);
    if (place->own_known && place->own_uid == opening->strange && fstat(directory, &status) == 0 &&
        status.st_dev == opening->status.st_dev)
        return 0;
    return refuse_others(opening, opening->path, &opening->status, true);
}

static int visit(struct trust_walk *walk, const struct trust_step *step)
{
    struct opening *opening = walk->context;
    const struct install_target *target = opening->place->target;
    const uid_t uid = step->status.st_uid;

    if (!opening->judge)
        return 0;
    if (trust_writers(step->fd, &step->status) & ~(target->dir_mode & S_IWGRP))
        return refuse_others(opening, step->path, &step->status, false);
    if (place_trusts(opening->place, uid) || opening->strange == uid)
        return 0;
    if (opening->strange != TRUST_NOBODY)
        return refuse_others(opening, step->path, &step->status, true);
    opening->strange = uid;
    opening->status = step->status;
    (void)snprintf(opening->path, sizeof opening->path, "%s", step->path);
    return 0;
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
static int make_directory(struct trust_walk *walk, const struct trust_step *parent,
                          const char *name)
{
    struct opening *opening = walk->context;
    const struct install_target *target = opening->place->target;
    const gid_t group = target->owner_set ? target->group : (gid_t)-1;
    int fd;

    if (settle_strange(opening, parent->fd) < 0)
        return -1;
    if (mkdirat(parent->fd, name, target->dir_mode) == 0 || errno == EEXIST) {
        fd = openat(parent->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && give(fd, (struct attributes){target->dir_mode, (uid_t)-1, group}) == 0 &&
            sync_parent(parent->fd) == 0)
            return fd;
    } else {
        fd = -1;
    }
    (void)err_set_errno(opening->err, ERR_INSTALL_FAILED, opening->place->path,
                        "%s/%s cannot be created", walk->reached, name);
    if (fd >= 0)
        close(fd);
    return -1;
}

size_t install_where(const struct install_target *target, char out[INSTALL_WHERE_MAX])
{
    return (size_t)snprintf(out, INSTALL_WHERE_MAX, "%s%s%s%s", target->root, target->dir,
                            target->sub[0] ? "/" : "", target->sub);
}

static int join_path(struct place *place, struct err *err)
{
    const struct install_target *target = place->target;
    const size_t len = install_where(target, place->path);

    if (target->dir[0] != '/')
        return err_set(err, ERR_TARGET_INVALID, target->dir, "the path is not absolute");
    if (strchr(target->sub, '/') || strncmp(target->sub, "..", 2) == 0)
        return err_set(err, ERR_TARGET_INVALID, target->sub, "is no name for a subdirectory");
    if (len >= sizeof place->path)
        return err_set(err, ERR_TARGET_INVALID, place->path, "the path is too long");
    return 0;
}

/* Walks to the target: an O_PATH descriptor, or -1. */
static int walk_to(struct opening *opening)
{
    struct place *place = opening->place;
    const struct install_target *target = place->target;
    struct trust_walk walk = {
        .path = place->path + strlen(target->root),
        .root = target->root[0] ? target->root : NULL,
        .also = target->owner_set ? target->owner : TRUST_NOBODY,
        .visit = visit,
        .make = opening->make ? make_directory : NULL,
        .context = opening,
    };
    const int at = trust_walk(&walk);

    if (at < 0 && walk.why[0])
        (void)err_set(opening->err,
                      errno == ENOENT ? ERR_NO_IDENTITY : err_of_errno(errno, ERR_TARGET_INVALID),
                      place->path, "%s", walk.why);
    return at;
}

/* Who only looks takes the directory's owner for one of us: he can replace all that is in it. */
static int know_own(struct opening *opening)
{
    struct place *place = opening->place;
    struct stat status;

    if (fstat(place->fd, &status) < 0)
        return err_set_errno(opening->err, ERR_TARGET_INVALID, place->path, "cannot be looked at");
    /* As a kernel would have it, where no file can be made. */
    place->own_uid = geteuid();
    place->own_gid = status.st_mode & S_ISGID ? status.st_gid : getegid();
    if (place->target->looks_only) {
        place->own_uid = status.st_uid;
        place->own_known = true;
        return 0;
    }
    learn_own(place, place->fd);
    if (opening->make && place->own_known && place->own_uid != geteuid())
        log_event(LOG_LEVEL_WARNING, "owner_mapped", log_s("dir", place->path),
                  log_n("uid", (int64_t)place->own_uid), log_n("gid", (int64_t)place->own_gid));
    return settle_strange(opening, place->fd);
}

int place_open(struct place *place, const struct install_target *target, bool make, struct err *err)
{
    struct opening opening = {
        .place = place, .make = make, .judge = make, .strange = TRUST_NOBODY, .err = err};
    int at;

    *place = (struct place){.target = target, .fd = -1, .lock = -1};
    if (join_path(place, err) < 0)
        return -1;
    at = walk_to(&opening);
    if (at < 0)
        return -1;
    place->fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place->fd < 0)
        (void)err_set_errno(err, ERR_TARGET_INVALID, place->path, "cannot be read");
    close(at);
    if (place->fd >= 0 && know_own(&opening) == 0)
        return 0;
    place_close(place);
    return -1;
}

void place_close(struct place *place)
{
    if (place->lock >= 0)
        close(place->lock);
    if (place->fd >= 0)
        close(place->fd);
    place->fd = place->lock = -1;
}

/* A file without a name leaves no trace; a file system that knows none tells nothing. */
static int try_file(const struct install_target *target, int directory, const char *path,
                    struct err *err)
{
    enum { SET_BYTES = 64 * 1024 };
    int fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
    int result = 0;

    if (fd < 0)
        return errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT
                   ? 0
                   : err_set_errno(err, ERR_INSTALL_FAILED, path, "a file cannot be made there");
    if (fallocate(fd, 0, 0, SET_BYTES) < 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        result = err_set_errno(err, ERR_INSTALL_FAILED, path, "64 KiB cannot be written there");
    else if (target->owner_set && fchown(fd, target->owner, target->group) < 0)
        result =
            err_set_errno(err, errno == EINVAL ? CAUSE_OWNER_UNMAPPED : CAUSE_OWNER_DENIED, path,
                          "a file cannot be given to uid %lu", (unsigned long)target->owner);
    close(fd);
    return result;
}

int install_could(const struct install_target *target, struct err *err)
{
    struct place place = {.target = target, .fd = -1, .lock = -1};
    struct opening opening = {.place = &place, .judge = true, .strange = TRUST_NOBODY, .err = err};
    char *slash;
    int at, fd, result = 0;

    if (join_path(&place, err) < 0)
        return -1;
    at = walk_to(&opening);
    if (at >= 0)
        close(at);
    else if (err->code != ERR_NO_IDENTITY)
        return -1;
    do {
        fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        slash = strrchr(place.path, '/');
        if (fd < 0 && slash)
            slash[slash == place.path] = '\0';
    } while (fd < 0 && errno == ENOENT && place.path[1]);
    if (fd < 0)
        return err_set_errno(err, ERR_TARGET_INVALID, place.path, "cannot be read");
    result = try_file(target, fd, place.path, err);
    if (result == 0 && at >= 0 && opening.strange != TRUST_NOBODY) {
        learn_own(&place, fd);
        if (place.own_known)
            result = settle_strange(&opening, fd);
    }
    close(fd);
    return result;
}
