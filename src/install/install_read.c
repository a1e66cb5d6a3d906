/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/trust.h"
#include "identity/bundle.h"
#include "install/ca_overlap.h"
#include "install/install_internal.h"

enum { TRIES = 16, DIRECTORY = O_PATH | O_DIRECTORY | O_CLOEXEC };

/*
 * The directory to read from: the set that "..data" names, with its name where this agent made it,
 * else the target itself. -1 with errno.
 */
static int open_files(const struct place *place, char name[SET_NAME_SIZE])
{
    int fd = openat(place->fd, data_name(place, name) ? name : DATA_LINK, DIRECTORY);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    name[0] = '\0';
    return openat(place->fd, ".", DIRECTORY);
}

struct buf *field_prepare(const struct place *place, enum bundle_field field, struct bundle *bundle)
{
    const bool secret = field == BUNDLE_CLIENT_KEY || field == BUNDLE_SERVER_KEY;
    struct buf *text = &bundle->field[field];

    text->tag = secret ? ARENA_KEY : ARENA_DOCUMENT;
    text->max = INSTALL_FILE_MAX;
    (void)snprintf(bundle->source[field], sizeof bundle->source[field], "%.*s",
                   (int)sizeof bundle->source[field] - 1, place->path);
    return text;
}

static int read_field(const struct place *place, int fd, enum bundle_field field,
                      struct bundle *bundle, struct err *err)
{
    const char *name = bundle_field_file(field);

    if (fs_read(fd, name, field_prepare(place, field, bundle)) == 0 || errno == ENOENT)
        return 0;
    if (errno == ENOMEM)
        return err_set(err, ERR_MEMORY_FULL, place->path, "no room for %s", name);
    if (errno == EINVAL || errno == EISDIR)
        return err_set(err, ERR_TARGET_INVALID, place->path, "%s is no regular file", name);
    return err_set_errno(err, ERR_TARGET_INVALID, place->path, "cannot read %s", name);
}

/* which: a bit for each field. */
enum { ALL_FIELDS = (1 << BUNDLE_FIELDS) - 1 };

static int read_fields(const struct place *place, int fd, unsigned which, struct bundle *bundle,
                       struct err *err)
{
    size_t found = 0;
    int field;

    for (field = 0; field < BUNDLE_FIELDS; field++) {
        if (!(which & 1U << field))
            continue;
        if (read_field(place, fd, (enum bundle_field)field, bundle, err) < 0)
            return -1;
        found += bundle->field[field].len > 0;
    }
    return found ? 0 : err_set(err, ERR_NO_IDENTITY, place->path, "holds no set");
}

/* A set without a manifest that can be read has none: 0; -1 where memory is full. */
static int read_facts(const struct place *place, int fd, const char *name, struct installed *facts)
{
    struct manifest manifest = {0};
    struct stat status;
    int result = 0;

    if (manifest_read(&manifest, fd) == 0)
        *facts = manifest.facts;
    else
        result = errno == ENOMEM ? -1 : 0;
    facts->way_back = manifest.previous[0] &&
                      fstatat(place->fd, manifest.previous, &status, AT_SYMLINK_NOFOLLOW) == 0;
    memcpy(facts->set, name, sizeof facts->set);
    manifest_free(&manifest);
    return result;
}

/* Whether a set is still the installed one; while it is, nobody unlinks its files. */
static bool is_current(const struct place *place, int fd)
{
    char name[SET_NAME_SIZE];
    struct stat ours, now;
    int again = open_files(place, name);
    bool same = again >= 0 && fstat(fd, &ours) == 0 && fstat(again, &now) == 0 &&
                ours.st_dev == now.st_dev && ours.st_ino == now.st_ino;

    if (again >= 0)
        close(again);
    return same;
}

/* A set that a stranger's link names is nobody's identity. */
static int check_link(const struct place *place, struct err *err)
{
    struct stat status;

    if (fstatat(place->fd, DATA_LINK, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
        place_trusts(place, status.st_uid))
        return 0;
    return err_set(err, ERR_TARGET_INVALID, place->path,
                   DATA_LINK " belongs to uid %lu, a stranger", (unsigned long)status.st_uid);
}

/* Reads one set: 0, -1; 1 where another was installed meanwhile. */
static int read_once(const struct place *place, unsigned which, struct bundle *bundle,
                     struct installed *facts, struct err *err)
{
    char name[SET_NAME_SIZE];
    struct stat status;
    int fd, result, field;

    if (check_link(place, err) < 0)
        return -1;
    fd = open_files(place, name);
    if (fd < 0)
        return err_set_errno(err, ERR_TARGET_INVALID, place->path, "cannot open " DATA_LINK);
    result = read_fields(place, fd, which, bundle, err);
    if (result == 0 && read_facts(place, fd, name, facts) < 0)
        result = err_set(err, ERR_MEMORY_FULL, place->path, "no room for its manifest");
    for (field = 0; field < BUNDLE_FIELDS; field++)
        if (fstatat(fd, bundle_field_file((enum bundle_field)field), &status, 0) == 0)
            facts->modes[field] = status.st_mode & 07777;
    if (!is_current(place, fd))
        result = 1;
    close(fd);
    return result;
}

static int read_set(const struct install_target *target, unsigned which, struct bundle *bundle,
                    struct installed *facts, struct err *err)
{
    struct installed unwanted;
    struct place place;
    int tries, result = 1;

    if (!facts)
        facts = &unwanted;
    *facts = (struct installed){0};
    if (place_open(&place, target, false, err) < 0)
        return -1;
    for (tries = 0; result > 0 && tries < TRIES; tries++) {
        bundle_free(bundle);
        *facts = (struct installed){0};
        result = read_once(&place, which, bundle, facts, err);
    }
    if (result > 0)
        result = err_set(err, ERR_TARGET_INVALID, place.path, "the set changes all the time");
    place_close(&place);
    return result;
}

int install_read(const struct install_target *target, struct bundle *bundle,
                 struct installed *facts, struct err *err)
{
    return read_set(target, ALL_FIELDS, bundle, facts, err);
}

int install_read_ca(const struct install_target *target, struct bundle *bundle,
                    struct installed *facts, struct err *err)
{
    return read_set(target, 1U << BUNDLE_CA_CERT, bundle, facts, err);
}

bool install_facts(const struct install_target *target, struct installed *facts)
{
    struct place place = {.fd = -1, .lock = -1};
    char name[SET_NAME_SIZE];
    struct err ignored;
    int fd = -1;

    *facts = (struct installed){0};
    if (place_open(&place, target, false, &ignored) == 0 && check_link(&place, &ignored) == 0)
        fd = open_files(&place, name);
    if (fd >= 0) {
        (void)read_facts(&place, fd, name, facts);
        close(fd);
    }
    place_close(&place);
    return facts->version_count > 0;
}

/* The set, where no stranger could have written it; -1. */
static int open_own(const struct place *place)
{
    char name[SET_NAME_SIZE];
    struct err ignored;
    struct stat status;
    int fd = -1;

    if (data_read(place, name, &ignored) < 0 || !name[0] ||
        set_open(place, name, &fd, &ignored) < 0 || fd < 0)
        return -1;
    if (fstat(fd, &status) == 0 && trust_writers(fd, &status) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Whether the fields read are a set's, all of them and as they were installed. */
static bool is_as_installed(const struct manifest *manifest, const struct bundle *bundle)
{
    int field;

    for (field = 0; field < BUNDLE_FIELDS; field++)
        if (!manifest_agrees(manifest, bundle_field_file((enum bundle_field)field),
                             buf_bytes(&bundle->field[field])))
            return false;
    return true;
}

bool install_recall(const struct install_target *target, const struct install_source *sources,
                    size_t source_count, struct bundle *bundle)
{
    struct place place = {.fd = -1, .lock = -1};
    struct manifest manifest = {0};
    struct err ignored;
    bool good = false;
    int fd = -1;

    if (place_open(&place, target, false, &ignored) == 0)
        fd = open_own(&place);
    if (fd >= 0) {
        good = manifest_read(&manifest, fd) == 0 &&
               manifest_is_of(&manifest, sources, source_count) &&
               read_fields(&place, fd, ALL_FIELDS, bundle, &ignored) == 0 &&
               is_as_installed(&manifest, bundle) &&
               ca_overlap_strip(&manifest.facts, &bundle->field[BUNDLE_CA_CERT]) == 0;
        close(fd);
    }
    if (!good)
        bundle_free(bundle);
    manifest_free(&manifest);
    place_close(&place);
    return good;
}
