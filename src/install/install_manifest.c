/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/hash.h"
#include "install/install_internal.h"

#define MAGIC   "mtls-agent-set"
#define VERSION "1"

enum { VERSIONS_MAX = 16 };

static void digest_head(char out[HASH_HEX_SIZE], struct bytes head)
{
    uint8_t hash[HASH_SIZE];

    hash_sha256(hash, head);
    hash_hex(out, hash);
}

/* Reads the lines of sources, and the first line behind them. */
static int parse_sources(struct manifest *manifest, struct bytes *rest, struct line *line)
{
    struct installed *facts = &manifest->facts;

    while (line_next(rest, line) == 0) {
        if (!line_is(line, "source", 3)) {
            manifest->sources_len = (size_t)(line->word[0].data - manifest->text.data);
            digest_head(facts->version, bytes_of(manifest->text.data, manifest->sources_len));
            return facts->version_count > 0 ? 0 : -1;
        }
        if (facts->version_count == VERSIONS_MAX ||
            !line_copy(facts->version_ids[facts->version_count++], sizeof facts->version_ids[0],
                       line->word[2]))
            return -1;
    }
    return -1;
}

static int parse_files(struct manifest *manifest, struct bytes *rest, struct line *line)
{
    char digest[HASH_HEX_SIZE];

    for (; line_is(line, "file", 3); manifest->file_count++)
        if (!line_copy_digest(digest, line->word[2]) || line_next(rest, line) < 0)
            return -1;
    return 0;
}

/* Reads the lines of overlap; *line is the first one behind them, without words at the end. */
static int parse_overlap(struct installed *facts, struct bytes *rest, struct line *line)
{
    struct install_overlap *overlap;

    for (;;) {
        line->words = 0;
        if (rest->len == 0)
            return 0;
        if (line_next(rest, line) < 0)
            return -1;
        if (!line_is(line, "overlap", 3))
            return 0;
        if (facts->overlap_count == INSTALL_OVERLAP_MAX)
            return -1;
        overlap = &facts->overlap[facts->overlap_count++];
        if (!line_copy_digest(overlap->digest, line->word[1]) ||
            !line_read_number(&overlap->until, line->word[2]))
            return -1;
    }
}

static int parse(struct manifest *manifest)
{
    struct bytes rest = buf_bytes(&manifest->text);
    struct line line;

    if (line_next(&rest, &line) < 0 || !line_is(&line, MAGIC, 2) ||
        !bytes_equal_text(line.word[1], VERSION) || parse_sources(manifest, &rest, &line) < 0 ||
        parse_files(manifest, &rest, &line) < 0)
        return -1;
    if (!line_is(&line, "fingerprint", 2) ||
        !line_copy_digest(manifest->facts.fingerprint, line.word[1]) || line_next(&rest, &line) < 0)
        return -1;
    if (!line_is(&line, "not-after", 2) ||
        !line_read_number(&manifest->facts.not_after, line.word[1]))
        return -1;
    if (parse_overlap(&manifest->facts, &rest, &line) < 0)
        return -1;
    manifest->own_len =
        line.words ? (size_t)(line.word[0].data - manifest->text.data) : manifest->text.len;
    if (line.words == 0)
        return 0;
    if (!line_is(&line, "previous", 2) ||
        !line_copy(manifest->previous, sizeof manifest->previous, line.word[1]) ||
        !set_name_valid(manifest->previous))
        return -1;
    return rest.len == 0 ? 0 : -1;
}

/* The head, which tells one version from another. */
static int add_sources(struct buf *text, const struct install_source *sources, size_t count)
{
    size_t i;

    if (line_add(text, MAGIC, VERSION, NULL) < 0)
        return -1;
    for (i = 0; i < count; i++)
        if (line_add(text, "source", sources[i].secret, sources[i].version_id) < 0)
            return -1;
    return 0;
}

static int add_file(struct buf *text, const char *name, struct bytes content)
{
    uint8_t hash[HASH_SIZE];
    char hex[HASH_HEX_SIZE];

    hash_sha256(hash, content);
    hash_hex(hex, hash);
    return line_add(text, "file", name, hex);
}

static int render(struct buf *text, const struct install_set *set)
{
    size_t i;

    if (add_sources(text, set->sources, set->source_count) < 0)
        return -1;
    for (i = 0; i < set->file_count; i++)
        if (add_file(text, set->files[i].name, set->files[i].content) < 0)
            return -1;
    if (line_add(text, "fingerprint", set->fingerprint, NULL) < 0 ||
        line_add_number(text, "not-after", NULL, set->not_after) < 0)
        return -1;
    for (i = 0; i < set->overlap_count; i++)
        if (line_add_number(text, "overlap", set->overlap[i].digest, set->overlap[i].until) < 0)
            return -1;
    return 0;
}

int manifest_render(struct manifest *manifest, const struct install_set *set, struct err *err)
{
    *manifest = (struct manifest){.text = {.tag = ARENA_WORK, .max = INSTALL_FILE_MAX}};
    if (render(&manifest->text, set) < 0)
        return err_set(err, ERR_MEMORY_FULL, NULL, "no room for a manifest");
    if (parse(manifest) < 0) /* what we write we must be able to read */
        return err_set(err, ERR_INSTALL_FAILED, set->source_count ? set->sources[0].secret : NULL,
                       "name, version id or fingerprint do not fit into a manifest");
    return 0;
}

int install_version(char out[HASH_HEX_SIZE], const struct install_source *sources, size_t count)
{
    struct buf head = {.tag = ARENA_WORK, .max = INSTALL_FILE_MAX};
    int result = add_sources(&head, sources, count);

    out[0] = '\0';
    if (result == 0)
        digest_head(out, buf_bytes(&head));
    buf_free(&head);
    return result;
}

bool manifest_is_of(const struct manifest *manifest, const struct install_source *sources,
                    size_t count)
{
    struct buf head = {.tag = ARENA_WORK, .max = INSTALL_FILE_MAX};
    bool same = add_sources(&head, sources, count) == 0 &&
                bytes_equal(buf_bytes(&head), bytes_of(manifest->text.data, manifest->sources_len));

    buf_free(&head);
    return same;
}

bool manifest_agrees(const struct manifest *manifest, const char *name, struct bytes content)
{
    struct buf line = {.tag = ARENA_WORK, .max = INSTALL_FILE_MAX};
    const uint8_t *at = NULL;
    bool made = add_file(&line, name, content) == 0;

    if (made) /* a line's name alone, with the space behind it, where there is no file */
        at = memmem(manifest->text.data, manifest->text.len, line.data,
                    content.len ? line.len : strlen("file ") + strlen(name) + 1);
    buf_free(&line);
    return made && (content.len > 0) == (at && at[-1] == '\n');
}

int manifest_add_previous(struct manifest *manifest, const char *name)
{
    return line_add(&manifest->text, "previous", name, NULL);
}

int manifest_read(struct manifest *manifest, int set)
{
    int why;

    *manifest = (struct manifest){.text = {.tag = ARENA_WORK, .max = INSTALL_FILE_MAX}};
    if (fs_read(set, MANIFEST_FILE, &manifest->text) < 0)
        why = errno;
    else if (parse(manifest) < 0)
        why = EINVAL;
    else
        return 0;
    manifest_free(manifest);
    errno = why;
    return -1;
}

void manifest_free(struct manifest *manifest)
{
    buf_free(&manifest->text);
    *manifest = (struct manifest){0};
}
