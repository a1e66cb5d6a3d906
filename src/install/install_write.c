/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/random.h"
#include "install/install_internal.h"

enum { SET_MODE_UNFINISHED = 0700, MODE_BITS = 07777, ACCESS_BITS = 0777 };

void set_name_new(char name[SET_NAME_SIZE])
{
    uint64_t id;

    random_bytes(&id, sizeof id);
    (void)snprintf(name, SET_NAME_SIZE, SET_PREFIX "%016llx", (unsigned long long)id);
}

bool set_name_valid(const char *name)
{
    const size_t prefix = sizeof SET_PREFIX - 1;

    return strlen(name) == SET_NAME_SIZE - 1 && strncmp(name, SET_PREFIX, prefix) == 0 &&
           strspn(name + prefix, "0123456789abcdef") == SET_NAME_SIZE - 1 - prefix;
}

int set_open(const struct place *place, const char *name, int *fd, struct err *err)
{
    struct stat status;
    int saved;

    *fd = openat(place->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    saved = errno;
    if (*fd >= 0 && fstat(*fd, &status) == 0 && place_trusts(place, status.st_uid))
        return 0;
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
        return 0;
    }
    if (saved == ENOENT || (fstatat(place->fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                            !place_trusts(place, status.st_uid)))
        return 0;
    errno = saved;
    return err_set_errno(err, ERR_TARGET_INVALID, place->path, "cannot open %s", name);
}

static struct attributes configured(const struct place *place, mode_t mode)
{
    const struct install_target *target = place->target;

    if (!target->owner_set)
        return (struct attributes){mode, (uid_t)-1, (gid_t)-1};
    return (struct attributes){mode, target->owner, target->group};
}

static mode_t mode_of(const struct place *place, const struct install_file *file)
{
    return file->secret ? place->target->key_mode : place->target->cert_mode;
}

/* The owner last: who gave a file away may need a capability to change it. Not to whom it belongs
 * already: a file system that knows one user only may refuse even that. */
int give(int fd, struct attributes attributes)
{
    struct stat status;

    if (fchmod(fd, attributes.mode) < 0 || fstat(fd, &status) < 0)
        return -1;
    if ((attributes.owner == (uid_t)-1 || attributes.owner == status.st_uid) &&
        (attributes.group == (gid_t)-1 || attributes.group == status.st_gid))
        return 0;
    return fchown(fd, attributes.owner, attributes.group);
}

/* Writes a new file; it is readable as configured before it holds a byte. 0, or -1 with errno. */
static int write_file(int set, const char *name, struct bytes content, struct attributes attributes)
{
    int fd =
        openat(set, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    int result = -1, saved;

    if (fd < 0)
        return -1;
    if (give(fd, attributes) == 0 && fs_write_all(fd, content) == 0 && sync_fd(fd) == 0)
        result = 0;
    saved = errno;
    if (close(fd) < 0 && errno != EINTR && result == 0)
        return -1;
    errno = saved;
    return result;
}

int file_write(int at, const char *name, struct bytes content, mode_t mode)
{
    return write_file(at, name, content, (struct attributes){mode, (uid_t)-1, (gid_t)-1});
}

/* A set's directory is ours alone until finish_set() shows it. */
static int create_set(const struct place *place, const char *name, struct err *err)
{
    int fd = -1;

    if (mkdirat(place->fd, name, SET_MODE_UNFINISHED) == 0)
        fd = openat(place->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot create %s", name);
    return fd;
}

/* Its name is not durable yet: that is up to who shows the set. */
static int finish_set(const struct place *place, int fd, struct err *err)
{
    if (give(fd, configured(place, SET_MODE)) == 0 && sync_fd(fd) == 0)
        return 0;
    return err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot finish a set");
}

/* A file system that gives all files to one user, as NFS may, refuses to give them to others. */
static int fail_to_write(const struct place *place, const char *name, struct err *err)
{
    const struct install_target *target = place->target;

    if (!target->owner_set || (errno != EPERM && errno != EINVAL))
        return err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot write %s", name);
    if (errno == EINVAL || !place->own_known || place->own_uid == geteuid())
        return err_set_errno(err, errno == EINVAL ? CAUSE_OWNER_UNMAPPED : CAUSE_OWNER_DENIED,
                             place->path, "%s cannot be given to %lu:%lu", name,
                             (unsigned long)target->owner, (unsigned long)target->group);
    return err_set(err, ERR_INSTALL_FAILED, place->path,
                   "%s cannot be given to %lu:%lu: this file system gives what the agent makes to "
                   "%lu:%lu; name that as owner, or none",
                   name, (unsigned long)target->owner, (unsigned long)target->group,
                   (unsigned long)place->own_uid, (unsigned long)place->own_gid);
}

static int write_files(const struct place *place, int fd, const struct install_set *set,
                       const struct manifest *manifest, struct err *err)
{
    const struct attributes public = configured(place, place->target->cert_mode);
    const struct install_file *file = set->files, *end = file + set->file_count;

    for (; file < end; file++)
        if (write_file(fd, file->name, file->content, configured(place, mode_of(place, file))) < 0)
            return fail_to_write(place, file->name, err);
    if (write_file(fd, MANIFEST_FILE, buf_bytes(&manifest->text), public) < 0)
        return err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot write the manifest");
    return 0;
}

int set_write(const struct place *place, const char *name, const struct install_set *set,
              const struct manifest *manifest, struct err *err)
{
    int fd = create_set(place, name, err);
    int result = -1;

    if (fd < 0)
        return -1;
    if (write_files(place, fd, set, manifest, err) == 0)
        result = finish_set(place, fd, err);
    close(fd);
    return result;
}

/* Opens what should be a file, without waiting for what is none. */
static int open_file(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* Copied, not linked: Landlock lets no link cross directories, and a writer may hold the file. */
static int copy_plain(const struct place *place, int set, const char *name)
{
    struct buf content = {.tag = ARENA_KEY, .max = INSTALL_FILE_MAX};
    int result = -1, fd = open_file(place->fd, name);
    struct stat status;

    if (fd < 0)
        return -1;
    if (fstat(fd, &status) == 0 && fs_read_fd(fd, &content) == 0)
        result = write_file(
            set, name, buf_bytes(&content),
            (struct attributes){status.st_mode & ACCESS_BITS, status.st_uid, status.st_gid});
    buf_free(&content);
    close(fd);
    return result;
}

static bool is_plain(const struct place *place, const char *name)
{
    struct stat status;

    return fstatat(place->fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode);
}

int set_adopt(const struct place *place, const char *name, const struct install_set *set,
              struct err *err)
{
    const struct install_file *file = set->files, *end = file + set->file_count;
    int fd = create_set(place, name, err);
    int result = -1;

    if (fd < 0)
        return -1;
    for (; file < end; file++)
        if (is_plain(place, file->name) && copy_plain(place, fd, file->name) < 0)
            break;
    if (file < end)
        (void)err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot take over %s",
                            file->name);
    else
        result = finish_set(place, fd, err);
    close(fd);
    return result;
}

static bool has_attributes(const struct place *place, const struct stat *status, mode_t mode)
{
    const struct install_target *target = place->target;

    if ((status->st_mode & MODE_BITS) != mode)
        return false;
    if (!target->owner_set)
        return status->st_uid == place->own_uid && status->st_gid == place->own_gid;
    return status->st_uid == target->owner && status->st_gid == target->group;
}

/* By digest: the manifest shows them, so that comparing them tells nothing. */
static bool has_content(int fd, const struct install_file *file)
{
    struct buf content = {.tag = file->secret ? ARENA_KEY : ARENA_DOCUMENT,
                          .max = file->content.len + 1};
    uint8_t want[HASH_SIZE], is[HASH_SIZE];
    bool same = false;

    if (fs_read_fd(fd, &content) == 0) {
        hash_sha256(want, file->content);
        hash_sha256(is, buf_bytes(&content));
        same = memcmp(want, is, HASH_SIZE) == 0;
    }
    buf_free(&content);
    return same;
}

/* Whether a file of a set is as we made it; content NULL: whatever it holds. */
static bool is_whole(const struct place *place, int set, const char *name, mode_t mode,
                     const struct install_file *content)
{
    int fd = open_file(set, name);
    struct stat status;
    bool whole = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                 has_attributes(place, &status, mode) && (!content || has_content(fd, content));

    if (fd >= 0)
        close(fd);
    return whole;
}

bool set_is_whole(const struct place *place, int fd, const struct install_set *set)
{
    const struct install_file *file = set->files, *end = file + set->file_count;
    struct stat status;

    if (fstat(fd, &status) < 0 || !has_attributes(place, &status, SET_MODE) ||
        !is_whole(place, fd, MANIFEST_FILE, place->target->cert_mode, NULL))
        return false;
    for (; file < end; file++)
        if (!is_whole(place, fd, file->name, mode_of(place, file), file))
            return false;
    return true;
}
