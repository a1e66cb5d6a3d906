/* SPDX-License-Identifier: Apache-2.0 */
#include "host/install_hold.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "host/install_internal.h"

/* Who only looks holds the lock for an instant; PATIENCE_MS is long enough to tell it from a run.
 */
enum { RUN_MODE = 0600, PATIENCE_MS = 500, POLL_MS = 20 };

/* Takes the lock: 0, or -1 with errno. */
static int lock(int fd, int how)
{
    int result;

    do
        result = flock(fd, how | LOCK_NB);
    while (result < 0 && errno == EINTR);
    return result;
}

static int lock_with_patience(int fd)
{
    const int64_t end = clock_ms() + PATIENCE_MS;

    while (lock(fd, LOCK_EX) < 0) {
        if (errno != EWOULDBLOCK || clock_left(end) == 0)
            return -1;
        clock_sleep(POLL_MS, end);
    }
    return 0;
}

/*
 * Whoever may open the file may lock it: it is for the agent alone, whatever the umask. One that
 * has another name as well may be any file, whose mode is not ours to change.
 */
static int take(const struct place *place, int fd, struct err *err)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return err_set_errno(err, ERR_TARGET_INVALID, place->path, "cannot look at " RUN_FILE);
    if (!S_ISREG(status.st_mode) || status.st_nlink != 1)
        return err_set(err, ERR_TARGET_INVALID, place->path, RUN_FILE " is no file of its own");
    if (!place_trusts(place, status.st_uid))
        return err_set(err, ERR_TARGET_INVALID, place->path,
                       RUN_FILE " belongs to uid %lu, a stranger", (unsigned long)status.st_uid);
    if (status.st_uid == geteuid() && fchmod(fd, RUN_MODE) < 0)
        return err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot make " RUN_FILE);
    if (lock_with_patience(fd) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return err_set(err, ERR_ALREADY_RUNNING, place->path, "its " RUN_FILE " is locked");
    return err_set_errno(err, ERR_INSTALL_FAILED, place->path, RUN_FILE " cannot be locked");
}

int install_hold(const struct install_target *target, int *fd, struct err *err)
{
    struct place place;
    int result = -1;

    *fd = -1;
    if (place_open(&place, target, true, err) < 0)
        return -1;
    *fd = openat(place.fd, RUN_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                 RUN_MODE);
    if (*fd >= 0)
        result = take(&place, *fd, err);
    else if (errno == ELOOP || errno == EISDIR || errno == ENXIO)
        (void)err_set(err, ERR_TARGET_INVALID, place.path, RUN_FILE " is no regular file");
    else
        (void)err_set_errno(err, ERR_INSTALL_FAILED, place.path, "cannot open " RUN_FILE);
    if (result < 0 && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    place_close(&place);
    return result;
}

/* A shared lock, so that two who look do not take each other for a run. */
static enum install_held try(const struct place *place, int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || !place_trusts(place, status.st_uid))
        return INSTALL_HELD_UNKNOWN;
    if (lock(fd, LOCK_SH) == 0)
        return INSTALL_HELD_NO;
    return errno == EWOULDBLOCK ? INSTALL_HELD_YES : INSTALL_HELD_UNKNOWN;
}

enum install_held install_held(const struct install_target *target)
{
    enum install_held held = INSTALL_HELD_UNKNOWN;
    struct place place;
    struct err err;
    int fd;

    if (place_open(&place, target, false, &err) < 0)
        return err.code == ERR_NO_IDENTITY ? INSTALL_HELD_NO : INSTALL_HELD_UNKNOWN;
    fd = openat(place.fd, RUN_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
        held = try(&place, fd);
        close(fd);
    } else if (errno == ENOENT) {
        held = INSTALL_HELD_NO;
    }
    place_close(&place);
    return held;
}
