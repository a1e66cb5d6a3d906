/* SPDX-License-Identifier: Apache-2.0 */
#include "install/install_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "install/install_internal.h"

#define MAGIC       "mtls-agent-state"
#define VERSION     "1"
#define TOLD        "told"
#define ROLLED_BACK "rolled-back"
#define HELD        "held"
#define SEEN        "seen"

/* For all to read: after a roll-back by root an agent of another user has to know of it. */
enum { MEMORY_MODE = 0644, MEMORY_MAX = 1024 };

/* A line that stands there once at most. */
static bool read_digest(char out[HASH_HEX_SIZE], struct bytes word)
{
    return !out[0] && line_copy_digest(out, word);
}

static bool read_line(struct install_state *state, const struct line *line)
{
    if (line_is(line, TOLD, 2))
        return !state->told[0] && line_copy(state->told, sizeof state->told, line->word[1]) &&
               set_name_valid(state->told);
    if (line_is(line, ROLLED_BACK, 2) || line_is(line, ROLLED_BACK, 3))
        return read_digest(state->rolled_back, line->word[1]) &&
               (line->words == 2 || line_read_number(&state->tried, line->word[2]));
    if (line_is(line, SEEN, 3))
        return read_digest(state->seen, line->word[1]) &&
               line_read_number(&state->seen_at, line->word[2]);
    return line_is(line, HELD, 2) && read_digest(state->held_back, line->word[1]);
}

static bool parse(struct install_state *state, struct bytes text)
{
    struct line line;

    *state = (struct install_state){0};
    if (line_next(&text, &line) < 0 || !line_is(&line, MAGIC, 2) ||
        !bytes_equal_text(line.word[1], VERSION))
        return false;
    while (text.len > 0)
        if (line_next(&text, &line) < 0 || !read_line(state, &line))
            return false;
    return true;
}

static int render(struct buf *text, const struct install_state *state)
{
    if (line_add(text, MAGIC, VERSION, NULL) < 0 ||
        (state->told[0] && line_add(text, TOLD, state->told, NULL) < 0) ||
        (state->rolled_back[0] &&
         line_add_number(text, ROLLED_BACK, state->rolled_back, state->tried) < 0) ||
        (state->held_back[0] && line_add(text, HELD, state->held_back, NULL) < 0) ||
        (state->seen[0] && line_add_number(text, SEEN, state->seen, state->seen_at) < 0))
        return -1;
    return 0;
}

/* Why a file that cannot be opened counts as none: it is no file of ours. */
static const char *reason_not_ours(int error)
{
    switch (error) {
    case ELOOP: return "it is a symbolic link";
    case ENXIO: return "it is no regular file";
    case EACCES: return "this agent may not read it";
    default: return NULL;
    }
}

/* Reads what is open: 0, with a reason where it is to be ignored. */
static int read_open(const struct place *place, int fd, struct install_state *state,
                     const char **reason, struct err *err)
{
    struct buf text = {.public = true, .max = MEMORY_MAX};
    struct stat status;
    int result = fstat(fd, &status);

    if (result == 0)
        *reason = !S_ISREG(status.st_mode)              ? "it is no regular file"
                  : !place_trusts(place, status.st_uid) ? "it belongs to a stranger"
                                                        : NULL;
    if (result == 0 && !*reason)
        result = fs_read_fd(fd, &text);
    if (result < 0 && errno == ENOMEM)
        (void)err_set(err, ERR_MEMORY_FULL, place->path, "no room for " MEMORY_FILE);
    else if (result < 0 && errno != EFBIG) /* too long a file is not as we write it */
        (void)err_set_errno(err, ERR_TARGET_INVALID, place->path, "cannot read " MEMORY_FILE);
    else
        result = 0;
    if (result == 0 && !*reason && !parse(state, buf_bytes(&text)))
        *reason = "it is not as this agent writes it";
    buf_free(&text);
    return result;
}

static int read_state(const struct place *place, struct install_state *state, struct err *err)
{
    int fd = openat(place->fd, MEMORY_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    const char *reason = NULL;
    int result = 0;

    *state = (struct install_state){0};
    if (fd >= 0) {
        result = read_open(place, fd, state, &reason, err);
        close(fd);
    } else if (errno != ENOENT) {
        reason = reason_not_ours(errno);
        if (!reason)
            result =
                err_set_errno(err, ERR_TARGET_INVALID, place->path, "cannot open " MEMORY_FILE);
    }
    if (result == 0 && !reason)
        return 0;
    *state = (struct install_state){0};
    if (reason)
        log_event(LOG_LEVEL_WARNING, "state_ignored", log_s("dir", place->path),
                  log_s("reason", reason));
    return result;
}

int install_state_read(const struct install_target *target, struct install_state *state,
                       struct err *err)
{
    struct place place;
    int result;

    *state = (struct install_state){0};
    if (place_open(&place, target, false, err) < 0)
        return err->code == ERR_NO_IDENTITY ? 0 : -1;
    result = read_state(&place, state, err);
    place_close(&place);
    return result;
}

/* Under a temporary name first, so that a reader finds the old or the new one. 0, or -1 with errno.
 */
static int replace_file(const struct place *place, struct bytes text)
{
    char temporary[TEMPORARY_NAME_SIZE];
    int saved;

    temporary_name(temporary);
    if (file_write(place->fd, temporary, text, MEMORY_MODE) == 0 &&
        (renameat(place->fd, temporary, place->fd, MEMORY_FILE) == 0 ||
         (errno == EISDIR && displace(place, MEMORY_FILE) == 0 &&
          renameat(place->fd, temporary, place->fd, MEMORY_FILE) == 0)))
        return sync_fd(place->fd);
    saved = errno;
    (void)unlinkat(place->fd, temporary, 0);
    errno = saved;
    return -1;
}

static int write_state(const struct place *place, const struct install_state *state,
                       struct err *err)
{
    struct buf text = {.public = true, .max = MEMORY_MAX};
    struct install_state again;
    int result = -1;

    if (render(&text, state) < 0)
        (void)err_set(err, ERR_MEMORY_FULL, place->path, "no room for " MEMORY_FILE);
    else if (!parse(&again, buf_bytes(&text))) /* what we write we must be able to read */
        (void)err_set(err, ERR_INSTALL_FAILED, place->path, "no set or version to remember");
    else if (replace_file(place, buf_bytes(&text)) < 0)
        (void)err_set_errno(err, ERR_INSTALL_FAILED, place->path, "cannot write " MEMORY_FILE);
    else
        result = 0;
    buf_free(&text);
    return result;
}

/* Changes one entry; false where it does not fit. */
static bool change_entry(char *out, size_t size, const char *value)
{
    return !value || line_copy(out, size, bytes_of_text(value));
}

static bool change_state(struct install_state *state, const struct install_state_change *change)
{
    if (change->rolled_back)
        state->tried = change->tried > 0 ? change->tried : 0;
    if (change->seen)
        state->seen_at = change->seen_at > 0 ? change->seen_at : 0;
    return change_entry(state->told, sizeof state->told, change->told) &&
           change_entry(state->rolled_back, sizeof state->rolled_back, change->rolled_back) &&
           change_entry(state->held_back, sizeof state->held_back, change->held_back) &&
           change_entry(state->seen, sizeof state->seen, change->seen);
}

static bool same(const struct install_state *a, const struct install_state *b)
{
    return strcmp(a->told, b->told) == 0 && strcmp(a->rolled_back, b->rolled_back) == 0 &&
           strcmp(a->held_back, b->held_back) == 0 && a->tried == b->tried &&
           strcmp(a->seen, b->seen) == 0 && a->seen_at == b->seen_at;
}

int install_state_update(const struct install_target *target,
                         const struct install_state_change *change, struct err *err)
{
    struct install_state old, new;
    struct place place;
    int result = -1;

    if (place_open(&place, target, false, err) == 0 && place_lock(&place, err) == 0 &&
        read_state(&place, &old, err) == 0) {
        new = old;
        if (!change_state(&new, change))
            (void)err_set(err, ERR_INSTALL_FAILED, place.path, "no set or version to remember");
        else
            result = same(&old, &new) ? 0 : write_state(&place, &new, err);
    }
    place_close(&place);
    return result;
}
