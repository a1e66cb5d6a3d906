/* SPDX-License-Identifier: Apache-2.0 */
#include "install/install_purge.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "install/install_internal.h"

/* One directory, and how it goes there. */
struct purge {
    struct place place;
    bool inner; /* a subdirectory: a set's own, or somebody else's */
    struct purged *purged;
    size_t removed, failed;
};

/* Names that nobody but the agent gives, whatever user it was. Locks are not among them: they go
 * last. */
static bool is_ours(const struct place *place, const char *name)
{
    char set[SET_NAME_SIZE];

    if (strcmp(name, MEMORY_FILE) == 0 || is_temporary(name) || fs_is_of(name, INSTALL_STATUS))
        return true;
    return strcmp(name, DATA_LINK) == 0 ? data_name(place, set) : link_is_ours(place, name);
}

static void log_failed(struct purge *purge, const char *name, const char *reason)
{
    purge->failed++;
    log_event(LOG_LEVEL_WARNING, "purge_failed", log_s("dir", purge->place.path),
              log_s("name", name), log_s("reason", reason));
}

static void note_removed(struct purge *purge, const char *name, bool removed)
{
    if (!removed) {
        log_failed(purge, name, strerror(errno));
        return;
    }
    purge->removed++;
    purge->purged->removed++;
}

static void log_left(const struct purge *purge, const char *name)
{
    purge->purged->left++;
    log_event(LOG_LEVEL_WARNING, "purge_left", log_s("dir", purge->place.path),
              log_s("name", name));
}

static int purge_place(struct purge *purge, struct err *err);

/* Goes with all that is in it, or else is told of as one. What is wrong there keeps nobody else. */
static void purge_inner(struct purge *outer, const char *name)
{
    struct purge inner = {.place = outer->place, .inner = true, .purged = outer->purged};
    struct err err;

    inner.place.lock = -1;
    inner.place.fd = openat(outer->place.fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner.place.fd < 0) {
        log_failed(outer, name, strerror(errno));
        return;
    }
    (void)snprintf(inner.place.path, sizeof inner.place.path, "%.700s/%.300s", outer->place.path,
                   name);
    if (lock_look(&inner.place, LOCK_RUN) == INSTALL_LOCK_HELD) { /* another agent lives there */
        place_close(&inner.place);
        log_left(outer, name);
        return;
    }
    if (purge_place(&inner, &err) < 0)
        log_failed(outer, name, err.reason);
    place_close(&inner.place);
    outer->failed += inner.failed;
    if (inner.removed == 0 || unlinkat(outer->place.fd, name, AT_REMOVEDIR) < 0)
        log_left(outer, name);
}

static void purge_entry(struct purge *purge, const char *name)
{
    const struct place *place = &purge->place;
    struct stat status;
    bool directory;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        fstatat(place->fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    directory = S_ISDIR(status.st_mode);
    if (S_ISREG(status.st_mode) && (strcmp(name, RUN_FILE) == 0 || strcmp(name, LOCK_FILE) == 0 ||
                                    strcmp(name, TELL_FILE) == 0))
        return;
    if (directory && set_name_valid(name))
        note_removed(purge, name, set_remove(place, name));
    else if (!directory && is_ours(place, name))
        note_removed(purge, name, unlinkat(place->fd, name, 0) == 0);
    else if (directory && !purge->inner)
        purge_inner(purge, name);
    else if (!purge->inner)
        log_left(purge, name);
}

static int purge_place(struct purge *purge, struct err *err)
{
    const struct dirent *entry;
    DIR *dir;

    if (place_lock(&purge->place, err) < 0)
        return -1;
    dir = directory_list(purge->place.fd);
    if (!dir)
        return err_set_errno(err, ERR_INSTALL_FAILED, purge->place.path, "cannot be listed");
    while ((entry = readdir(dir)))
        purge_entry(purge, entry->d_name);
    (void)closedir(dir);
    lock_remove(&purge->place, LOCK_TELL, -1);
    lock_remove(&purge->place, LOCK_INSTALL, purge->place.lock);
    if (sync_fd(purge->place.fd) < 0)
        return err_set_errno(err, ERR_INSTALL_FAILED, purge->place.path, "cannot be synced");
    return 0;
}

int install_purge(const struct install_target *target, struct purged *purged, struct err *err)
{
    struct purge purge = {.purged = purged};
    int result, held = -1;

    if (place_open(&purge.place, target, false, err) < 0)
        return err->code == ERR_NO_IDENTITY ? 0 : -1;
    result = lock_take(&purge.place, LOCK_RUN, clock_ms(), &held, err);
    if (result == 0)
        result = purge_place(&purge, err);
    if (result == 0)
        lock_remove(&purge.place, LOCK_RUN, held);
    if (result == 0 && purge.failed > 0)
        result = err_set(err, ERR_INSTALL_FAILED, purge.place.path, "%zu names are still there",
                         purge.failed);
    if (held >= 0)
        close(held);
    place_close(&purge.place);
    return result;
}
