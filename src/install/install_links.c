/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "install/install_internal.h"

/* The text of a link: its length; -1 with errno where name is none, or its text does not fit. */
static ssize_t read_link(const struct place *place, const char *name, char *text, size_t size)
{
    ssize_t len = readlinkat(place->fd, name, text, size);

    if (len < 0)
        return -1;
    if ((size_t)len == size) {
        errno = ENAMETOOLONG;
        return -1;
    }
    text[len] = '\0';
    return len;
}

bool link_is_ours(const struct place *place, const char *name)
{
    const size_t prefix = sizeof DATA_LINK "/" - 1;
    char text[NAME_MAX + sizeof DATA_LINK "/"];

    return read_link(place, name, text, sizeof text) > 0 &&
           strncmp(text, DATA_LINK "/", prefix) == 0 && strcmp(text + prefix, name) == 0;
}

bool data_name(const struct place *place, char name[SET_NAME_SIZE])
{
    if (read_link(place, DATA_LINK, name, SET_NAME_SIZE) >= 0 && set_name_valid(name))
        return true;
    name[0] = '\0';
    return false;
}

int data_read(const struct place *place, char name[SET_NAME_SIZE], struct err *err)
{
    struct stat status;

    name[0] = '\0';
    if (fstatat(place->fd, DATA_LINK, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0
                               : err_set_errno(err, ERR_TARGET_INVALID, place->path,
                                               "cannot look at " DATA_LINK);
    if (!place_trusts(place, status.st_uid))
        return 0;
    if (!S_ISLNK(status.st_mode))
        return err_set(err, ERR_TARGET_INVALID, place->path, DATA_LINK " is no symbolic link");
    if (!data_name(place, name))
        return err_set(err, ERR_TARGET_INVALID, place->path,
                       DATA_LINK " names a set that this agent did not make");
    return 0;
}

int displace(const struct place *place, const char *name)
{
    char temporary[TEMPORARY_NAME_SIZE];
    struct stat status;

    if (fstatat(place->fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -1;
    if (place_trusts(place, status.st_uid)) {
        errno = EEXIST;
        return -1;
    }
    if (!S_ISDIR(status.st_mode))
        return unlinkat(place->fd, name, 0);
    temporary_name(temporary);
    return renameat(place->fd, name, place->fd, temporary);
}

/* Makes a link under a temporary name and moves it to its own, over what stands there. 0, or -1
 * with errno. */
static int place_link(const struct place *place, const char *name, const char *text)
{
    char temporary[TEMPORARY_NAME_SIZE];
    int saved;

    temporary_name(temporary);
    if (symlinkat(text, place->fd, temporary) < 0)
        return -1;
    if (renameat(place->fd, temporary, place->fd, name) == 0 ||
        (errno == EISDIR && displace(place, name) == 0 &&
         renameat(place->fd, temporary, place->fd, name) == 0))
        return 0;
    saved = errno;
    (void)unlinkat(place->fd, temporary, 0);
    errno = saved;
    return -1;
}

int data_swap(const struct place *place, const char *name, struct err *err)
{
    if (place_link(place, DATA_LINK, name) == 0 && sync_fd(place->fd) == 0)
        return 0;
    return err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot let " DATA_LINK " name %s",
                         name);
}

/* Looks at one name. A link to elsewhere is damage where a set is installed; before that it is
 * somebody's own. */
static int check_name(const struct place *place, const char *name, bool installed,
                      struct links *links, struct err *err)
{
    struct stat status;

    if (fstatat(place->fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            return err_set_errno(err, ERR_TARGET_INVALID, place->path, "cannot look at %s", name);
        links->right = false;
        return 0;
    }
    if (S_ISREG(status.st_mode)) {
        links->plain = true;
        links->right = false;
        return 0;
    }
    if (!place_trusts(place, status.st_uid)) { /* never read, and replaced */
        links->right = false;
        return 0;
    }
    if (!S_ISLNK(status.st_mode))
        return err_set(err, ERR_TARGET_INVALID, place->path, "%s is no regular file", name);
    if (link_is_ours(place, name))
        links->some = true;
    else if (installed)
        links->right = false;
    else
        return err_set(err, ERR_TARGET_INVALID, place->path,
                       "%s is a symbolic link to elsewhere; remove it first", name);
    return 0;
}

int links_check(const struct place *place, const struct install_set *set, bool installed,
                struct links *links, struct err *err)
{
    size_t i;

    *links = (struct links){.right = true};
    for (i = 0; i < set->file_count; i++)
        if (check_name(place, set->files[i].name, installed, links, err) < 0)
            return -1;
    return 0;
}

int links_place(const struct place *place, const struct install_set *set, struct err *err)
{
    char text[NAME_MAX + sizeof DATA_LINK "/"];
    size_t i;

    for (i = 0; i < set->file_count; i++) {
        const char *name = set->files[i].name;
        struct stat status;

        if (link_is_ours(place, name) &&
            fstatat(place->fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            place_trusts(place, status.st_uid))
            continue;
        (void)snprintf(text, sizeof text, DATA_LINK "/%s", name);
        if (place_link(place, name, text) < 0)
            return err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot place the link %s",
                                 name);
    }
    if (sync_fd(place->fd) < 0)
        return err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot sync the links");
    return 0;
}
