/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TRUST_H
#define BASE_TRUST_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * Who could have written this? Root, the process's effective user, and one more user that the
 * caller may name are trusted. A stranger could have written it if he owns it, or a link or
 * directory on its path, or if a mode lets others write there. This one rule serves the
 * configuration, targets, locks, hook programs, PID files, CA bundles, shared AWS files and token
 * files.
 */
#define TRUST_NOBODY   ((uid_t) - 1)
#define TRUST_PATH_MAX 1024
#define TRUST_WHY_MAX  640

bool trust_owner(uid_t uid, uid_t also);

/*
 * The bits (S_IWGRP, S_IWOTH) by which others than the owner may change what fd is; in a directory,
 * by renaming and removing. 0 for a directory with the sticky bit, and on a read-only mount, which
 * counts as written by whoever mounted it.
 */
mode_t trust_writers(int fd, const struct stat *status);

/* A directory on the way. */
struct trust_step {
    int fd; /* of O_PATH */
    struct stat status;
    const char *path; /* as it was reached, with no link in it */
};

/* A walk along a path, name by name, through links whose texts are walked in the same way. */
struct trust_walk {
    const char *path; /* set by the caller; a relative one begins at the working directory */
    const char
        *root;    /* where it begins, opened as it is; NULL: "/". Below one no link is followed */
    uid_t also;   /* may own a link */
    bool file;    /* the last name is no directory */
    bool no_link; /* and no link */
    /* Looks at each directory, "/" first: 0, or -1 to end the walk. */
    int (*visit)(struct trust_walk *walk, const struct trust_step *step);
    /* Makes a directory that is missing and opens it: -1 to end the walk. NULL: none is made. */
    int (*make)(struct trust_walk *walk, const struct trust_step *parent, const char *name);
    void *context;
    char why[TRUST_WHY_MAX]; /* why it ended, a clause with the path; "": visit or make ended it */
    /* The walk's own. */
    struct trust_step at;
    char name[256], reached[TRUST_PATH_MAX], pending[TRUST_PATH_MAX], link[TRUST_PATH_MAX + 256];
    size_t behind_link; /* how much of pending is no link's text */
    unsigned links;
};

/*
 * Opens the directory at the end of the walk; for a file, the one that holds its last name,
 * walk->name. An O_PATH descriptor, or -1 with errno: ENOENT where a name is missing, EPERM where
 * somebody is not trusted.
 */
int trust_walk(struct trust_walk *walk);

/* Sets why and errno, and returns -1: for visit and make. */
int trust_end(struct trust_walk *walk, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Opens a file that no stranger could have written: neither it nor its way. flags as open(2)'s;
 * with O_NOFOLLOW its last name is no link. -1 with errno (EPERM: not trusted) and why.
 */
struct trust {
    uid_t also;
    bool one_stranger; /* one user more may own file and way; his uid is found in stranger */
    uid_t stranger;    /* TRUST_NOBODY: none */
    char why[TRUST_WHY_MAX];
};
int trust_open(const char *path, int flags, struct trust *trust);

/* Appends such a file, whole and regular. -1 with errno, of trust_open() or fs_read(), and why. */
struct buf;
int trust_read(const char *path, struct buf *out, struct trust *trust);

#endif
