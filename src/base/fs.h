/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FS_H
#define BASE_FS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"

/*
 * Appends a whole regular file. read(2) fills the arena directly, through no other buffer, except
 * where the file system cannot reach the arena's pages. at is a directory's descriptor or AT_FDCWD;
 * links are followed. 0; -1 with errno: of open, fstat, read, or EFBIG (over out->max), EISDIR,
 * EINVAL (no regular file), ENOMEM.
 */
int fs_read(int at, const char *path, struct buf *out);

/* openat(2) for reading; EISDIR for a directory, which a sandbox calls EACCES. */
int fs_open(int at, const char *path, int flags);

/* The same from a descriptor, for callers that must not follow links. */
int fs_read_fd(int fd, struct buf *out);

/* The same from anything that can be read: a pipe, a terminal. */
int fs_read_stream(int fd, struct buf *out);

/* Writes all of it: 0, or -1 with errno. */
int fs_write_all(int fd, struct bytes data);

/*
 * Replaces the file at path atomically: a reader sees the old or the new one. It syncs nothing: use
 * it for files that are worth nothing after a crash. The temporary name, "PATH.<16 hex>.tmp", is
 * random, so that nobody can create it first. 0; -1 with errno, and the old file is as it was.
 */
int fs_replace(const char *path, struct bytes text, mode_t mode);

/*
 * fs_sweep() removes the temporary files that a crash left; fs_remove() removes the file too. A
 * missing file is a success. 0; -1 with errno.
 */
int fs_sweep(const char *path);
int fs_remove(const char *path);

/* Whether name, without a directory, is that of file, or one of its temporary names. */
bool fs_is_of(const char *name, const char *file);

#endif
