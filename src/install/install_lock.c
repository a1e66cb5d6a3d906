/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/trust.h"
#include "install/install_internal.h"

enum { FILE_MODE = 0600, DIRECTORY_MODE = 0755, POLL_MS = 20, COURTESY_MS = 2000, TRIES = 8 };

static const char *const in_target[] = {
    [LOCK_INSTALL] = LOCK_FILE, [LOCK_RUN] = RUN_FILE, [LOCK_TELL] = TELL_FILE};
static const char *const suffix[] = {
    [LOCK_INSTALL] = "lock", [LOCK_RUN] = "run", [LOCK_TELL] = "tell"};

/* Where a lock's file lies. */
struct spot {
    enum lock_kind kind;
    int at; /* -1: nowhere */
    bool in_target;
    char name[48];
};

/*
 * File systems of this machine alone. On others, NFS above all, a lock in /run would bind this host
 * only, and device numbers differ from host to host.
 */
static bool is_local(int fd)
{
    static const unsigned long kinds[] = {
        0xEF53,     /* ext4 */
        0x58465342, /* XFS */
        0x9123683E, /* Btrfs */
        0x01021994, /* tmpfs */
        0x858458F6, /* ramfs */
        0x794C7630, /* overlayfs */
        0xF2F52010, /* F2FS */
        0x2FC12FC1, /* ZFS */
        0xCA451A4E, /* bcachefs */
    };
    struct statfs status;
    size_t i;

    for (i = 0; fstatfs(fd, &status) == 0 && i < sizeof kinds / sizeof *kinds; i++)
        if ((unsigned long)status.f_type == kinds[i])
            return true;
    return false;
}

/* ---- the directory ---- */

/* Whoever may make a name there could make ours first: the sticky bit does not help. */
static int judge_directory(struct trust_walk *walk, const struct trust_step *step)
{
    const bool last = walk->pending[strspn(walk->pending, "/")] == '\0';
    const mode_t others = step->status.st_mode & (S_IWGRP | S_IWOTH);

    if (trust_owner(step->status.st_uid, TRUST_NOBODY) &&
        (last ? others : trust_writers(step->fd, &step->status)) == 0)
        return 0;
    return trust_end(walk, EPERM,
                     "%s could be changed by others than root and the agent (uid %lu, mode %04o)",
                     step->path, (unsigned long)step->status.st_uid, step->status.st_mode & 07777);
}

static int make_directory(struct trust_walk *walk, const struct trust_step *parent,
                          const char *name)
{
    if (walk->pending[strspn(walk->pending, "/")] == '\0' &&
        (mkdirat(parent->fd, name, DIRECTORY_MODE) == 0 || errno == EEXIST)) {
        int fd = openat(parent->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd >= 0 && fchmod(fd, DIRECTORY_MODE) == 0)
            return fd;
        if (fd >= 0)
            close(fd);
    }
    return trust_end(walk, errno, "%s/%s cannot be made: %s", walk->reached, name, strerror(errno));
}

/* Opens the directory of locks; with change, makes and judges it. -1 with why. */
static int open_directory(const char *path, bool change, char why[TRUST_WHY_MAX])
{
    struct trust_walk walk = {
        .path = path,
        .also = TRUST_NOBODY,
        .visit = change ? judge_directory : NULL,
        .make = change ? make_directory : NULL,
    };
    const int fd = trust_walk(&walk);

    if (fd < 0)
        memcpy(why, walk.why, TRUST_WHY_MAX);
    return fd;
}

bool install_lock_directory(const struct install_target *target, bool change,
                            const char **directory)
{
    char why[TRUST_WHY_MAX];
    int fd;

    *directory = target->lock_dir ? target->lock_dir : INSTALL_LOCK_DIR;
    fd = open_directory(*directory, change, why);
    if (fd < 0)
        return false;
    close(fd);
    return access(*directory, change ? W_OK : F_OK) == 0;
}

static bool is_same(int a, int b)
{
    struct stat one, other;

    return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* By device and inode, whatever its path; hosts that share it have the inode alone in common. */
static void name_file(const struct place *place, struct spot *spot)
{
    struct stat status = {0};

    (void)fstat(place->fd, &status); /* which is open */
    if (is_local(place->fd))
        (void)snprintf(spot->name, sizeof spot->name, "%llx-%llx.%s",
                       (unsigned long long)status.st_dev, (unsigned long long)status.st_ino,
                       suffix[spot->kind]);
    else
        (void)snprintf(spot->name, sizeof spot->name, "shared-%llx.%s",
                       (unsigned long long)status.st_ino, suffix[spot->kind]);
}

static void in_the_target(const struct place *place, struct spot *spot)
{
    *spot = (struct spot){.kind = spot->kind, .at = place->fd, .in_target = true};
    (void)snprintf(spot->name, sizeof spot->name, "%s", in_target[spot->kind]);
}

static void leave_spot(const struct spot *spot)
{
    if (spot->at >= 0 && !spot->in_target)
        close(spot->at);
}

/* Where a lock of the spot's kind lies: beside the target where that is possible: 0; -1 where an
 * operator's own lock-dir is no good. */
static int find_spot(const struct place *place, bool change, struct spot *spot, struct err *err)
{
    const char *directory = place->target->lock_dir;
    char why[TRUST_WHY_MAX] = "";

    *spot = (struct spot){.kind = spot->kind, .at = -1};
    if (directory || is_local(place->fd))
        spot->at = open_directory(directory ? directory : INSTALL_LOCK_DIR, change, why);
    if (spot->at < 0 && directory && change)
        return err_set(err, err_of_errno(errno, ERR_TARGET_INVALID), directory,
                       "the lock-dir is no good: %s", why);
    if (spot->at >= 0 && is_same(spot->at, place->fd)) {
        close(spot->at);
        in_the_target(place, spot);
    } else if (spot->at >= 0) {
        name_file(place, spot);
    } else if (!directory) {
        in_the_target(place, spot);
    }
    return 0;
}

/* ---- the file ---- */

/* Removes a name that is somebody else's, or leads to another file; the next try makes it. */
static int make_way(const struct place *place, const struct spot *spot, struct err *err)
{
    struct stat status;

    if (fstatat(spot->at, spot->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0
                               : err_set_errno(err, ERR_INSTALL_FAILED, place->path,
                                               "cannot look at %s", spot->name);
    if (spot->in_target && !place_trusts(place, status.st_uid))
        return displace(place, spot->name) < 0 ? err_set_errno(err, ERR_INSTALL_FAILED, place->path,
                                                               "cannot replace %s", spot->name)
                                               : 0;
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_TARGET_INVALID, place->path, "%s is no regular file", spot->name);
    if (status.st_nlink > 1 || status.st_uid != geteuid())
        return unlinkat(spot->at, spot->name, 0) < 0
                   ? err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot replace %s",
                                   spot->name)
                   : 0;
    return err_set(err, ERR_INSTALL_FAILED, place->path, "%s cannot be opened", spot->name);
}

/* A file for the agent alone, whatever the umask: whoever may open it may lock it. */
static bool is_sound(const struct place *place, const struct spot *spot, int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 &&
           (spot->in_target ? place_trusts(place, status.st_uid)
                            : trust_owner(status.st_uid, TRUST_NOBODY)) &&
           (status.st_uid != geteuid() || (status.st_mode & 07777) == FILE_MODE ||
            fchmod(fd, FILE_MODE) == 0);
}

/* Whoever cannot make a file there cannot make a set either, and need not be kept from looking. */
static bool is_no_place(int error)
{
    return error == EROFS || error == EACCES || error == EPERM || error == ENOSPC ||
           error == EDQUOT;
}

/* What stands at the name is no file, or a link. */
static bool is_in_the_way(int error)
{
    return error == ELOOP || error == EISDIR || error == ENXIO || error == EINTR;
}

/* A file that we may not open: another user's, from before we were who we are. */
static bool is_there_for_others(const struct spot *spot)
{
    const int saved = errno;
    struct stat status;
    const bool there =
        saved == EACCES && fstatat(spot->at, spot->name, &status, AT_SYMLINK_NOFOLLOW) == 0;

    errno = saved;
    return there;
}

/* Opens the file: 1; 0 with *fd -1 where none can be made, and errno; -1. */
static int open_file(const struct place *place, const struct spot *spot, int *fd, struct err *err)
{
    int tries;

    for (tries = 0; tries < TRIES; tries++) {
        *fd = openat(spot->at, spot->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                     FILE_MODE);
        if (*fd >= 0 && is_sound(place, spot, *fd))
            return 1;
        if (*fd < 0 && !is_in_the_way(errno) && !is_there_for_others(spot))
            return spot->in_target && !is_no_place(errno)
                       ? err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot open %s",
                                       spot->name)
                       : 0;
        if (*fd >= 0)
            close(*fd);
        *fd = -1;
        if (make_way(place, spot, err) < 0)
            return spot->in_target || place->target->lock_dir ? -1 : 0;
    }
    return err_set(err, ERR_INSTALL_FAILED, place->path, "%s is replaced all the time", spot->name);
}

/* Another process's lock on what is open, or ours: F_UNLCK, F_WRLCK; -1 with errno. */
static int lock_call(int fd, int command)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int result;

    do
        result = fcntl(fd, command, &lock);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -1 : lock.l_type;
}

/* Whether the name still leads to what is locked: somebody may have removed the directory. */
static bool is_named(const struct spot *spot, int fd)
{
    struct stat open, named;

    return fd >= 0 && fstat(fd, &open) == 0 &&
           fstatat(spot->at, spot->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

static int fail_busy(const struct place *place, const struct spot *spot, struct err *err)
{
    if (spot->kind == LOCK_RUN)
        return err_set(err, ERR_ALREADY_RUNNING, place->path, "its %s is locked", spot->name);
    return err_set(err, ERR_DEADLINE, place->path, "another agent holds its lock, %s", spot->name);
}

/* Opens and locks, anew where the file was removed meanwhile. As open_file(). */
static int take_spot(const struct place *place, const struct spot *spot, int64_t deadline, int *fd,
                     struct err *err)
{
    for (;;) {
        int result = open_file(place, spot, fd, err);

        if (result <= 0)
            return result;
        if (lock_call(*fd, F_OFD_SETLK) >= 0) {
            if (is_named(spot, *fd))
                return 1;
        } else if (errno != EAGAIN && errno != EACCES) {
            result =
                err_set_errno(err, ERR_INSTALL_FAILED, place->path,
                              "%s cannot be locked (lock-dir names another place)", spot->name);
        } else if (clock_left(deadline) == 0) {
            result = fail_busy(place, spot, err);
        } else {
            clock_sleep(POLL_MS, deadline);
        }
        close(*fd);
        *fd = -1;
        if (result < 0)
            return -1;
    }
}

int lock_take(const struct place *place, enum lock_kind kind, int64_t deadline, int *fd,
              struct err *err)
{
    struct spot spot = {.kind = kind};
    int result;

    *fd = -1;
    if (find_spot(place, true, &spot, err) < 0)
        return -1;
    result = take_spot(place, &spot, deadline, fd, err);
    if (result == 0 && !spot.in_target && !place->target->lock_dir) {
        leave_spot(&spot);
        in_the_target(place, &spot);
        result = take_spot(place, &spot, deadline, fd, err);
    }
    if (result == 0 && (kind == LOCK_RUN || !spot.in_target))
        result = err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot open %s", spot.name);
    leave_spot(&spot);
    return result < 0 ? -1 : 0;
}

/*
 * An agent of an older version, or one in a container whose /run is another, locks the directory.
 * It has its turn, but so could have anybody who may open it: he delays us, and that is all.
 */
static void give_way(const struct place *place)
{
    const int64_t left = clock_left(place->target->deadline) / 4;
    const int64_t end = clock_ms() + (left < COURTESY_MS ? left : COURTESY_MS);

    while (flock(place->fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EINTR && errno != EWOULDBLOCK)
            return;
        if (clock_left(end) == 0) {
            log_event(LOG_LEVEL_WARNING, "lock_ignored", log_s("dir", place->path));
            return;
        }
        clock_sleep(POLL_MS, end);
    }
}

int place_lock(struct place *place, struct err *err)
{
    if (lock_take(place, LOCK_INSTALL, place->target->deadline, &place->lock, err) < 0)
        return -1;
    give_way(place);
    return 0;
}

/* ---- who looks ---- */

static enum install_lock_holder look_at(const struct place *place, const struct spot *spot)
{
    const int fd = openat(spot->at, spot->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    enum install_lock_holder held = INSTALL_LOCK_UNKNOWN;
    struct stat status;
    int type;

    if (fd < 0)
        return errno == ENOENT ? INSTALL_LOCK_FREE : INSTALL_LOCK_UNKNOWN;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        (!spot->in_target || place_trusts(place, status.st_uid))) {
        type = lock_call(fd, F_OFD_GETLK);
        if (type >= 0)
            held = type == F_UNLCK ? INSTALL_LOCK_FREE : INSTALL_LOCK_HELD;
    }
    close(fd);
    return held;
}

enum install_lock_holder lock_look(const struct place *place, enum lock_kind kind)
{
    enum install_lock_holder held = INSTALL_LOCK_UNKNOWN, also = INSTALL_LOCK_FREE;
    struct spot spot = {.kind = kind};
    struct err ignored;

    (void)find_spot(place, false, &spot, &ignored);
    if (spot.at < 0)
        return INSTALL_LOCK_FREE;
    held = look_at(place, &spot);
    leave_spot(&spot);
    if (spot.in_target || place->target->lock_dir || held == INSTALL_LOCK_HELD)
        return held;
    in_the_target(place, &spot); /* where it is if a run could not use the other place */
    also = look_at(place, &spot);
    return also == INSTALL_LOCK_FREE ? held : also;
}

void lock_remove(const struct place *place, enum lock_kind kind, int own)
{
    const char *name = in_target[kind];
    const int fd = openat(place->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status;

    if (fd < 0)
        return;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        ((own >= 0 && is_same(own, fd)) || lock_call(fd, F_OFD_GETLK) == F_UNLCK))
        (void)unlinkat(place->fd, name, 0);
    close(fd);
}
