/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/sandbox.h"

#define MOUNT_ROOT 0x2000 /* STATX_ATTR_MOUNT_ROOT, since Linux 5.8 */

void sandbox_paths_free(struct sandbox_paths *paths)
{
    free(paths->items);
    *paths = (struct sandbox_paths){0};
}

static void add_path(struct sandbox_paths *paths, const char *wanted, const char *path,
                     unsigned rights)
{
    struct sandbox_path *more = realloc(paths->items, (paths->count + 1) * sizeof *more);
    struct sandbox_path *item;

    if (!more) {
        paths->lost = true;
        return;
    }
    paths->items = more;
    item = &more[paths->count];
    if (snprintf(item->wanted, sizeof item->wanted, "%s", wanted) >= (int)sizeof item->wanted ||
        snprintf(item->path, sizeof item->path, "%s", path) >= (int)sizeof item->path)
        return;
    item->rights = rights;
    paths->count++;
}

/* Cuts a path's last name off: "/a/b" is "/a", "/a" is "/", "a" is ".". */
static void cut(char *path)
{
    char *slash;

    while ((slash = strrchr(path, '/')) && slash > path && slash[1] == '\0')
        *slash = '\0';
    if (!slash)
        (void)snprintf(path, 2, ".");
    else
        slash[slash == path] = '\0';
}

/* The nearest that is there, resolved; false: nothing is. Inside of the sandbox nobody tells where
 * the working directory is: what is below it stays as it was named. */
static bool resolve(const char *path, char out[PATH_MAX])
{
    char at[SANDBOX_PATH_MAX];

    if (snprintf(at, sizeof at, "%s", path) >= (int)sizeof at)
        return false;
    while (!realpath(at, out)) {
        if (*at != '/' && access(at, F_OK) == 0)
            return snprintf(out, PATH_MAX, "%s", at) > 0;
        if (strcmp(at, "/") == 0 || strcmp(at, ".") == 0)
            return false;
        cut(at);
    }
    return true;
}

void sandbox_allow_directory(struct sandbox_paths *paths, const char *directory, unsigned rights)
{
    char real[PATH_MAX];

    if (resolve(directory, real))
        add_path(paths, directory, real, rights);
}

void sandbox_allow_below(struct sandbox_paths *paths, const char *directory, const char *file)
{
    char real[PATH_MAX];

    if (resolve(directory, real))
        add_path(paths, file, real, SANDBOX_READ);
}

/* The directory that a path's last name stands in. What is only read is not worth all of "/". */
static void allow_parent(struct sandbox_paths *paths, const char *wanted, const char *path,
                         unsigned rights)
{
    char at[SANDBOX_PATH_MAX], real[PATH_MAX];

    if (snprintf(at, sizeof at, "%s", path) >= (int)sizeof at)
        return;
    cut(at);
    if (!resolve(at, real))
        return;
    if (strcmp(real, "/") != 0 || !(rights & SANDBOX_READ))
        add_path(paths, wanted, real, rights);
    else if (access(path, F_OK) == 0)
        add_path(paths, wanted, path, rights);
}

/* A container's resolv.conf and the like: nobody can rename over it. */
static bool is_mount_point(const char *file)
{
    struct statx status;

    return statx(AT_FDCWD, file, AT_SYMLINK_NOFOLLOW, 0, &status) == 0 &&
           (status.stx_attributes_mask & MOUNT_ROOT) && (status.stx_attributes & MOUNT_ROOT);
}

/* What a link leads to: the end, or where that is not there yet, the next one. */
static bool follow(const char *file, char out[PATH_MAX])
{
    char text[SANDBOX_PATH_MAX], at[SANDBOX_PATH_MAX];
    ssize_t len;

    if (realpath(file, out))
        return strcmp(file, out) != 0;
    len = readlink(file, text, sizeof text - 1);
    if (len <= 0 || snprintf(at, sizeof at, "%s", file) >= (int)sizeof at)
        return false;
    text[len] = '\0';
    cut(at);
    return snprintf(out, PATH_MAX, "%s%s%s", *text == '/' ? "" : at, *text == '/' ? "" : "/",
                    text) < PATH_MAX;
}

void sandbox_allow_file(struct sandbox_paths *paths, const char *file, unsigned rights)
{
    char real[PATH_MAX];

    if (is_mount_point(file)) {
        add_path(paths, file, file, rights);
        return;
    }
    allow_parent(paths, file, file, rights);
    if (follow(file, real))
        allow_parent(paths, file, real, rights);
}

void sandbox_allow_neighbour(struct sandbox_paths *paths, const char *file, bool alone)
{
    struct stat status;
    char real[PATH_MAX];

    if (lstat(file, &status) == 0 && S_ISLNK(status.st_mode)) {
        if (follow(file, real))
            allow_parent(paths, file, real, SANDBOX_READ);
    } else if (alone || is_mount_point(file)) {
        if (access(file, F_OK) == 0)
            add_path(paths, file, file, SANDBOX_READ);
    } else {
        allow_parent(paths, file, file, SANDBOX_READ);
    }
}

static bool is_below(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    if (strcmp(directory, "/") == 0)
        return true;
    return strncmp(path, directory, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static bool covers(const struct sandbox_path *rule, const struct sandbox_path *asked)
{
    return (asked->rights & ~rule->rights) == 0 &&
           (strcmp(rule->wanted, asked->wanted) == 0 || is_below(asked->path, rule->path));
}

const struct sandbox_path *sandbox_beyond(const struct sandbox_paths *in_force,
                                          const struct sandbox_paths *asked)
{
    size_t i, k;

    for (i = 0; i < asked->count; i++) {
        for (k = 0; k < in_force->count; k++)
            if (covers(&in_force->items[k], &asked->items[i]))
                break;
        if (k == in_force->count)
            return &asked->items[i];
    }
    return NULL;
}
