/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "install/install_internal.h"

static int open_directory(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

DIR *directory_list(int directory)
{
    int fd = open_directory(directory, ".");
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

/* Reads the manifest of a set by its name; false where it cannot be read. */
static bool read_manifest(const struct place *place, const char *name, struct manifest *manifest)
{
    int fd = open_directory(place->fd, name);
    bool known = fd >= 0 && manifest_read(manifest, fd) == 0;

    if (fd >= 0)
        close(fd);
    return known;
}

/* Whether the set that the current one replaced is still to be kept; "..data" is as old as the
 * swap. */
static bool lives(const struct place *place, const char *previous)
{
    struct manifest manifest = {0};
    struct stat status;
    int64_t age_ms;
    bool expired;

    if (fstatat(place->fd, DATA_LINK, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return true;
    age_ms = clock_wall() * 1000 - (int64_t)status.st_mtim.tv_sec * 1000 -
             status.st_mtim.tv_nsec / 1000000;
    expired = read_manifest(place, previous, &manifest) && manifest.facts.not_after <= clock_wall();
    manifest_free(&manifest);
    return !expired && (place->target->keep_newest || age_ms < place->target->keep_previous_ms) &&
           set_is_sound(place, previous);
}

static void find_previous(const struct place *place, const char *current,
                          char previous[SET_NAME_SIZE])
{
    struct manifest manifest = {0};

    previous[0] = '\0';
    if ((place->target->keep_previous_ms > 0 || place->target->keep_newest) &&
        read_manifest(place, current, &manifest) && manifest.previous[0] &&
        lives(place, manifest.previous))
        memcpy(previous, manifest.previous, SET_NAME_SIZE);
    manifest_free(&manifest);
}

/* All that can be removed, so that a key never stays for the sake of what lies beside it. */
static void remove_files(int set)
{
    DIR *dir = directory_list(set);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlinkat(set, entry->d_name, 0) < 0 && errno == EISDIR)
            (void)unlinkat(set, entry->d_name, AT_REMOVEDIR);
    if (dir)
        (void)closedir(dir);
}

bool set_remove(const struct place *place, const char *name)
{
    int set = open_directory(place->fd, name);
    bool removed = false;
    int saved;

    if (set >= 0) {
        remove_files(set);
        removed = unlinkat(place->fd, name, AT_REMOVEDIR) == 0;
    }
    saved = errno;
    if (set >= 0)
        close(set);
    errno = saved;
    return removed;
}

/* A link of ours whose file no set holds any more, or what never got its name. */
static void remove_if_stale(const struct place *place, const char *name)
{
    struct stat status;

    if (is_temporary(name) ||
        (link_is_ours(place, name) && fstatat(place->fd, name, &status, 0) < 0 && errno == ENOENT))
        (void)unlinkat(place->fd, name, 0);
}

void install_sweep(const struct install_target *target)
{
    struct install_target now = *target;
    struct place place;
    struct err ignored;

    now.deadline = clock_ms(); /* who holds the lock sweeps */
    if (place_open(&place, &now, false, &ignored) == 0 && place_lock(&place, &ignored) == 0)
        sweep(&place);
    place_close(&place);
}

void sweep(const struct place *place)
{
    char current[SET_NAME_SIZE], previous[SET_NAME_SIZE];
    const struct dirent *entry;
    struct stat status;
    struct err ignored;
    DIR *dir;

    if (data_read(place, current, &ignored) < 0 ||
        (!current[0] && fstatat(place->fd, DATA_LINK, &status, AT_SYMLINK_NOFOLLOW) == 0))
        return; /* what it names is not ours to tell */
    find_previous(place, current, previous);
    dir = directory_list(place->fd);
    while (dir && (entry = readdir(dir))) {
        if (!set_name_valid(entry->d_name))
            remove_if_stale(place, entry->d_name);
        else if (strcmp(entry->d_name, current) != 0 && strcmp(entry->d_name, previous) != 0 &&
                 !set_remove(place, entry->d_name))
            log_event(LOG_LEVEL_WARNING, "sweep_failed", log_s("dir", place->path),
                      log_s("set", entry->d_name), log_s("reason", strerror(errno)));
    }
    if (dir)
        (void)closedir(dir);
}
