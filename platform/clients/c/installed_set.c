// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "installed_set.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What ..data names now. Where files were put by other means there is no such link, and nothing to
 * follow. */
static int read_name(int directory, char name[INSTALLED_NAME_MAX])
{
    ssize_t length = readlinkat(directory, "..data", name, INSTALLED_NAME_MAX);
    if (length == INSTALLED_NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (length < 0 && errno != ENOENT)
        return -1;
    if (length < 0) {
        name[0] = '.';
        length = 1;
    }
    name[length] = 0;
    return 0;
}

static int read_file(int directory, const char *name, struct installed_file *file)
{
    int opened = openat(directory, name, O_RDONLY | O_CLOEXEC);
    if (opened < 0)
        return -1;
    ssize_t count = 1;
    file->size = 0;
    while (count > 0 && file->size < INSTALLED_FILE_MAX) {
        count = read(opened, file->bytes + file->size, INSTALLED_FILE_MAX - file->size);
        if (count < 0 && errno == EINTR)
            count = 1;
        else if (count > 0)
            file->size += (size_t)count;
    }
    int error = count < 0 ? errno : EFBIG;
    close(opened);
    errno = error;
    return count == 0 ? 0 : -1;
}

/* All files through one descriptor of the set's directory, which stays that set whatever ..data
 * becomes. */
static int read_set(int directory, struct installed_set *set)
{
    int opened = openat(directory, set->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0)
        return -1;
    int failed = read_file(opened, "client.crt", &set->cert) ||
                 read_file(opened, "client.key", &set->key) ||
                 read_file(opened, "ca.crt", &set->ca);
    int error = errno;
    close(opened);
    errno = error;
    return failed ? -1 : 0;
}

/* A set that was replaced may be gone before all of it was read: then again, with the new one. */
static int read_anew(int directory, struct installed_set *set, const char *known)
{
    char tried[INSTALLED_NAME_MAX] = "";
    for (;;) {
        if (read_name(directory, set->name) < 0)
            return -1;
        if (strcmp(set->name, known) == 0)
            return 0;
        if (strcmp(set->name, tried) == 0) {
            errno = ENOENT;
            return -1;
        }
        if (read_set(directory, set) == 0)
            return 1;
        if (errno != ENOENT)
            return -1;
        memcpy(tried, set->name, sizeof tried);
    }
}

int installed_set_follow(struct installed_set *set, const char *directory)
{
    char now[INSTALLED_NAME_MAX];
    int opened = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0)
        return -1;
    int found = read_name(opened, now);
    if (found == 0 && strcmp(now, set->name) != 0) {
        struct installed_set *other = calloc(1, sizeof *other);
        found = other ? read_anew(opened, other, set->name) : -1;
        if (found == 1)
            *set = *other;
        if (other)
            explicit_bzero(other, sizeof *other);
        free(other);
    }
    int error = errno;
    close(opened);
    errno = error;
    return found;
}
