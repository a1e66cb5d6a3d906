/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FS_H
#define BASE_FS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"

/*
 * Appends a whole regular file, read by read(2) straight into the arena, through no other buffer,
 * but where its file system cannot reach the arena's pages.
 * at is a directory's descriptor or AT_FDCWD; links are followed. 0; -1 with errno: of open, fstat,
 * read, or EFBIG (over out->max), EISDIR, EINVAL (not a regular file either), ENOMEM.
 */
int fs_read(int at, const char *path, struct buf *out);

/* openat(2) for reading; EISDIR for a directory, which a sandbox calls EACCES. */
int fs_open(int at, const char *path, int flags);

/* The same from a descriptor, for who must not follow links. */
int fs_read_fd(int fd, struct buf *out);

/* The same from whatever can be read: a pipe, a terminal. */
int fs_read_stream(int fd, struct buf *out);

/* Writes all of it: 0, or -1 with errno. */
int fs_write_all(int fd, struct bytes data);

/*
 * Replaces what a path names by a new file, atomically: a reader sees the old or the new one. For
 * what is worth nothing after a crash, so nothing is synced. The temporary name, "PATH.<16
 * hex>.tmp", is random, so that nobody can stand there first. 0; -1 with errno, and the old file is
 * as it was.
 */
int fs_replace(const char *path, struct bytes text, mode_t mode);

/* Removes what a crash left of that under temporary names, or the file too. What is not there is
 * good. 0; -1 with errno. */
int fs_sweep(const char *path);
int fs_remove(const char *path);

/* Whether a name is a file's, without its directory, or one of its temporary ones. */
bool fs_is_of(const char *name, const char *file);

#endif
