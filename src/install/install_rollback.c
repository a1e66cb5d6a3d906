/* SPDX-License-Identifier: Apache-2.0 */
#include "install/install_rollback.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "install/install_internal.h"

enum { MODE_BITS = 07777 };

/* A set that must be as it was installed: the one before, mostly. */
struct sound {
    enum err_code code; /* where it is not */
    const struct place *place;
    char current[SET_NAME_SIZE], name[SET_NAME_SIZE];
    int fd;
    struct manifest manifest;
    struct install_file files[INSTALL_FILES_MAX]; /* their names alone */
    size_t file_count;
};

static int none(const struct sound *previous, const char *name, const char *why, struct err *err)
{
    return err_set(err, previous->code, previous->place->path, "%s %s", name, why);
}

/* From "..data" by the manifest of the installed set to the name of the one before. */
static int find_previous(struct sound *previous, struct err *err)
{
    const struct place *place = previous->place;
    struct manifest manifest = {0};
    bool known;
    int fd;

    if (data_read(place, previous->current, err) < 0)
        return -1;
    if (!previous->current[0])
        return err_set(err, ERR_NO_IDENTITY, place->path, "holds no set");
    if (set_open(place, previous->current, &fd, err) < 0)
        return -1;
    known = fd >= 0 && manifest_read(&manifest, fd) == 0;
    memcpy(previous->name, manifest.previous, sizeof previous->name);
    manifest_free(&manifest);
    if (fd >= 0)
        close(fd);
    if (!known)
        return none(previous, previous->current, "has no readable manifest", err);
    return previous->name[0] ? 0 : none(previous, previous->current, "replaced no other", err);
}

/* Whether what is open is of a kind, of a trusted owner, and no looser than a mode. */
static bool is_sound(const struct place *place, int fd, mode_t kind, mode_t mode)
{
    struct stat status;

    return fstat(fd, &status) == 0 && (status.st_mode & S_IFMT) == kind &&
           place_trusts(place, status.st_uid) && (status.st_mode & MODE_BITS & ~mode) == 0;
}

static int open_previous(struct sound *previous, struct err *err)
{
    char not_after[CLOCK_TEXT_MAX];

    if (find_previous(previous, err) < 0 ||
        set_open(previous->place, previous->name, &previous->fd, err) < 0)
        return -1;
    if (previous->fd < 0)
        return none(previous, previous->name, "was removed, or belongs to a stranger", err);
    if (!is_sound(previous->place, previous->fd, S_IFDIR, SET_MODE))
        return none(previous, previous->name, "is open to others", err);
    if (manifest_read(&previous->manifest, previous->fd) < 0)
        return none(previous, previous->name, "has no readable manifest", err);
    if (previous->manifest.facts.not_after > clock_wall())
        return 0;
    clock_format(not_after, previous->manifest.facts.not_after);
    return err_set(err, ERR_NO_PREVIOUS, previous->place->path, "%s expired at %s", previous->name,
                   not_after);
}

static void close_previous(struct sound *previous)
{
    manifest_free(&previous->manifest);
    if (previous->fd >= 0)
        close(previous->fd);
}

/* Reads a file, where the set has it; its key must not have been open to others since. */
static int read_file(struct sound *previous, const char *name, struct buf *content, struct err *err)
{
    const struct install_target *target = previous->place->target;
    const bool secret = content->tag == ARENA_KEY;
    const mode_t mode = secret ? target->key_mode : target->cert_mode;
    int fd = openat(previous->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool right = fd < 0 && errno == ENOENT, full = false;

    if (fd >= 0 && is_sound(previous->place, fd, S_IFREG, mode)) {
        right = fs_read_fd(fd, content) == 0;
        full = !right && errno == ENOMEM;
    }
    if (fd >= 0)
        close(fd);
    if (full)
        return err_set(err, ERR_MEMORY_FULL, previous->place->path, "no room for %s", name);
    if (!right || !manifest_agrees(&previous->manifest, name, buf_bytes(content)))
        return err_set(err, previous->code, previous->place->path,
                       "%s in %s is not as it was installed", name, previous->name);
    if (content->len > 0)
        previous->files[previous->file_count++] = (struct install_file){.name = name};
    return 0;
}

/* Reads all; a manifest that lists more than the files known here is of no set to go back to. */
static int read_files(struct sound *previous, struct bundle *bundle, struct err *err)
{
    struct buf combined = {.tag = ARENA_KEY, .max = INSTALL_FILE_MAX};
    int field, result = 0;

    for (field = 0; field < BUNDLE_FIELDS && result == 0; field++)
        result = read_file(previous, bundle_field_file((enum bundle_field)field),
                           field_prepare(previous->place, (enum bundle_field)field, bundle), err);
    if (result == 0)
        result = read_file(previous, INSTALL_COMBINED, &combined, err);
    buf_free(&combined);
    if (result == 0 &&
        (previous->file_count == 0 || previous->file_count != previous->manifest.file_count))
        result = none(previous, previous->name, "lists files that are not this agent's", err);
    return result;
}

int install_read_previous(const struct install_target *target, struct bundle *bundle,
                          struct installed *facts, struct err *err)
{
    struct place place;
    struct sound previous = {.code = ERR_NO_PREVIOUS, .place = &place, .fd = -1};
    int result = -1;

    if (facts)
        *facts = (struct installed){0};
    if (place_open(&place, target, false, err) < 0)
        return -1;
    if (open_previous(&previous, err) == 0)
        result = read_files(&previous, bundle, err);
    if (result < 0) {
        bundle_free(bundle);
    } else if (facts) {
        *facts = previous.manifest.facts;
        memcpy(facts->set, previous.name, sizeof facts->set);
    }
    close_previous(&previous);
    place_close(&place);
    return result;
}

/* A swap that could not be made durable may be seen already. Nothing is swept: what could not be
 * gone back to now may be later. */
static void stay(const struct sound *previous)
{
    char name[SET_NAME_SIZE];
    struct err ignored;

    if (data_read(previous->place, name, &ignored) == 0 && strcmp(name, previous->current) != 0)
        (void)data_swap(previous->place, previous->current, &ignored);
}

static int go_back(const struct sound *previous, struct err *err)
{
    const struct place *place = previous->place;
    const struct install_set set = {.files = previous->files, .file_count = previous->file_count};
    struct links links;

    if (links_check(place, &set, true, &links, err) < 0)
        return -1;
    if (links_place(place, &set, err) < 0 || data_swap(place, previous->name, err) < 0) {
        stay(previous);
        return -1;
    }
    sweep(place);
    return 0;
}

static int rollback_locked(struct sound *previous, const char *set, struct err *err)
{
    struct bundle bundle = {0};
    int result;

    if (open_previous(previous, err) < 0)
        return -1;
    if (set && strcmp(set, previous->name) != 0)
        return none(previous, set, "is no longer the previous one; another was installed", err);
    result = read_files(previous, &bundle, err);
    bundle_free(&bundle);
    return result < 0 ? -1 : go_back(previous, err);
}

int install_rollback(const struct install_target *target, const char *set, struct err *err)
{
    struct place place;
    struct sound previous = {.code = ERR_NO_PREVIOUS, .place = &place, .fd = -1};
    int result = -1;

    if (place_open(&place, target, false, err) == 0 && place_lock(&place, err) == 0)
        result = rollback_locked(&previous, set, err);
    close_previous(&previous);
    place_close(&place);
    return result;
}

/* Each name of the set is the link that readers open. */
static int check_links(const struct sound *set, struct err *err)
{
    const struct install_set names = {.files = set->files, .file_count = set->file_count};
    struct links links;

    if (links_check(set->place, &names, true, &links, err) < 0)
        return -1;
    return links.right ? 0 : none(set, set->name, "lacks a link to one of its files", err);
}

/* As it was installed, or without a manifest that tells. */
static int check_set(struct sound *set, struct err *err)
{
    struct bundle bundle = {0};
    int result;

    if (set_open(set->place, set->name, &set->fd, err) < 0)
        return -1;
    if (set->fd < 0)
        return none(set, set->name, "was removed", err);
    if (!is_sound(set->place, set->fd, S_IFDIR, SET_MODE))
        return none(set, set->name, "is open to others", err);
    if (manifest_read(&set->manifest, set->fd) < 0)
        return 0;
    result = read_files(set, &bundle, err);
    bundle_free(&bundle);
    return result;
}

static int check(struct sound *set, struct err *err)
{
    if (!data_name(set->place, set->name))
        return 0; /* plain files, or not of this agent's making: nothing is known of them */
    if (check_set(set, err) < 0)
        return -1;
    return set->file_count ? check_links(set, err) : 0;
}

bool set_is_sound(const struct place *place, const char *name)
{
    struct sound set = {.code = ERR_NO_PREVIOUS, .place = place, .fd = -1};
    struct err err;
    bool sound;

    memcpy(set.name, name, sizeof set.name);
    sound = check_set(&set, &err) == 0 || err.code == ERR_MEMORY_FULL;
    close_previous(&set);
    return sound;
}

int install_check(const struct install_target *target, struct err *err)
{
    struct place place;
    struct sound set = {.code = ERR_TARGET_INVALID, .place = &place, .fd = -1};
    int result = -1;

    if (place_open(&place, target, false, err) == 0)
        result = check(&set, err);
    close_previous(&set);
    place_close(&place);
    return result;
}
