/* SPDX-License-Identifier: Apache-2.0 */
#include "install/install.h"

#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "install/install_internal.h"

/* What stands in the target. */
struct current {
    char name[SET_NAME_SIZE]; /* "": no set */
    int fd;                   /* -1: none, or it is gone */
    struct manifest manifest; /* text.len 0: none that can be read */
    struct links links;
};

/* From that to the next set. */
struct change {
    const struct install_set *set;
    struct manifest manifest;
    bool adopts;                  /* plain files become the previous set */
    char previous[SET_NAME_SIZE]; /* kept for a while; "": none */
    char standing[SET_NAME_SIZE]; /* what "..data" goes back to on failure; "": nothing */
};

/* Opens the set that "..data" names. One that is gone is damage; so is one of a former owner. */
static int open_current(const struct place *place, struct current *current, struct err *err)
{
    if (!current->name[0])
        return 0;
    if (set_open(place, current->name, &current->fd, err) < 0)
        return -1;
    if (current->fd >= 0)
        (void)manifest_read(&current->manifest, current->fd);
    return 0;
}

static bool same_text(const struct manifest *old, size_t old_len, const struct manifest *new,
                      size_t new_len)
{
    return bytes_equal(bytes_of(old->text.data, old_len), bytes_of(new->text.data, new_len));
}

/* Plain files become a set first, so that readers go from whole to whole. */
static int adopt(const struct place *place, struct change *change, struct err *err)
{
    if (set_adopt(place, change->previous, change->set, err) < 0)
        return -1;
    if (sync_fd(place->fd) < 0)
        return err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot sync a set");
    if (data_swap(place, change->previous, err) < 0)
        return -1;
    memcpy(change->standing, change->previous, SET_NAME_SIZE);
    return 0;
}

/* Writing comes first, since it may fail; the swap last, since it shows all. The links' sync is
 * that of the set's name too. */
static int replace(const struct place *place, struct change *change, struct err *err)
{
    char name[SET_NAME_SIZE];

    set_name_new(name);
    if (change->previous[0] && manifest_add_previous(&change->manifest, change->previous) < 0)
        return err_set(err, ERR_MEMORY_FULL, place->path, "no room for a manifest");
    if (set_write(place, name, change->set, &change->manifest, err) < 0)
        return -1;
    if (change->adopts && adopt(place, change, err) < 0)
        return -1;
    if (links_place(place, change->set, err) < 0)
        return -1;
    return data_swap(place, name, err);
}

/* Back to the set that stood before. Where even that fails, nothing is removed. */
static void restore(const struct place *place, const struct change *change)
{
    char name[SET_NAME_SIZE];
    struct err ignored;

    if (data_read(place, name, &ignored) < 0)
        return;
    if (strcmp(name, change->standing) != 0) {
        if (change->standing[0] && data_swap(place, change->standing, &ignored) < 0)
            return;
        if (!change->standing[0] && unlinkat(place->fd, DATA_LINK, 0) < 0)
            return;
    }
    sweep(place);
}

/* What is of the same version, damaged or with other anchors, is no way back. The one before it is.
 */
static void choose_previous(const struct current *current, struct change *change)
{
    const struct manifest *old = &current->manifest, *new = &change->manifest;
    const bool same = old->text.len > 0 && same_text(old, old->sources_len, new, new->sources_len);

    change->adopts = current->links.plain && !current->name[0];
    if (change->adopts)
        set_name_new(change->previous);
    else
        memcpy(change->previous, same ? current->manifest.previous : current->name, SET_NAME_SIZE);
    memcpy(change->standing, current->name, SET_NAME_SIZE);
}

static enum install_outcome outcome_of(const struct current *current, const struct change *change)
{
    const struct manifest *old = &current->manifest, *new = &change->manifest;
    const bool there = current->name[0] || current->links.some;

    if (change->adopts)
        return INSTALL_ADOPTED;
    if (there && old->text.len == 0)
        return INSTALL_HEALED;
    if (!there || !same_text(old, old->sources_len, new, new->sources_len))
        return INSTALL_DONE;
    return new->facts.overlap_count < old->facts.overlap_count ? INSTALL_OVERLAP_ENDED
                                                               : INSTALL_HEALED;
}

/* Compares what stands with what should, and changes what differs. */
static int settle_set(const struct place *place, const struct current *current,
                      struct change *change, enum install_outcome *outcome, struct err *err)
{
    const struct manifest *old = &current->manifest, *new = &change->manifest;
    const bool same = same_text(old, old->own_len, new, new->own_len);
    const bool whole = same && set_is_whole(place, current->fd, change->set);
    int result = 0;

    *outcome = INSTALL_UNCHANGED;
    if (!whole || !current->links.right) {
        choose_previous(current, change);
        *outcome = outcome_of(current, change);
        result = whole ? links_place(place, change->set, err) : replace(place, change, err);
    }
    if (result < 0)
        restore(place, change);
    else
        sweep(place);
    return result;
}

int install_set(const struct install_target *target, const struct install_set *set,
                enum install_outcome *outcome, struct err *err)
{
    struct change change = {.set = set};
    struct place place = {.fd = -1, .lock = -1};
    struct current current = {.fd = -1};
    int result = -1;

    if (manifest_render(&change.manifest, set, err) == 0 &&
        place_open(&place, target, true, err) == 0 && place_lock(&place, err) == 0 &&
        data_read(&place, current.name, err) == 0 && open_current(&place, &current, err) == 0 &&
        links_check(&place, set, current.name[0] != '\0', &current.links, err) == 0)
        result = settle_set(&place, &current, &change, outcome, err);
    manifest_free(&current.manifest);
    if (current.fd >= 0)
        close(current.fd);
    place_close(&place);
    manifest_free(&change.manifest);
    return result;
}
