/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "install/install_internal.h"

enum { SUFFIX = 7, ARN_PARTS = 6 }; /* "-AbCdEf", which Secrets Manager puts behind a name */

/* A secret as far as its name tells: arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME. */
struct secret_name {
    bool arn;
    struct bytes partition, account, name; /* empty: not told */
};

static struct secret_name name_of(struct bytes text)
{
    struct secret_name name = {.name = text};
    struct bytes part[ARN_PARTS] = {{0}};
    size_t i;

    for (i = 0; i < ARN_PARTS; i++)
        part[i] = bytes_cut(&text, ':');
    if (!bytes_equal_text(part[0], "arn") || !bytes_equal_text(part[2], "secretsmanager") ||
        !bytes_equal_text(part[5], "secret"))
        return name;
    return (struct secret_name){true, part[1], part[4], text};
}

static struct bytes without_suffix(const struct secret_name *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const struct bytes text = name->name;
    size_t i;

    if (!name->arn || text.len <= SUFFIX || text.data[text.len - SUFFIX] != '-')
        return text;
    for (i = text.len - SUFFIX + 1; i < text.len; i++)
        if (!text.data[i] || !strchr(letters, text.data[i]))
            return text;
    return bytes_of(text.data, text.len - SUFFIX);
}

/* A replica in another Region is the same secret, and so is one made anew by the same name. */
static bool is_same(struct bytes a, struct bytes b)
{
    const struct secret_name one = name_of(a), other = name_of(b);

    if (one.arn && other.arn &&
        !(bytes_equal(one.partition, other.partition) && bytes_equal(one.account, other.account)))
        return false;
    return bytes_equal(one.name, other.name) || bytes_equal(without_suffix(&one), other.name) ||
           bytes_equal(one.name, without_suffix(&other)) ||
           bytes_equal(without_suffix(&one), without_suffix(&other));
}

static bool is_among(struct bytes secret, const struct install_source *sources, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (is_same(secret, bytes_of_text(sources[i].secret)))
            return true;
    return false;
}

static enum install_origin compare(const struct manifest *manifest,
                                   const struct install_source *sources, size_t count,
                                   char other[INSTALL_OTHER_MAX])
{
    struct bytes rest = bytes_of(manifest->text.data, manifest->sources_len);
    struct line line;

    while (line_next(&rest, &line) == 0)
        if (line_is(&line, "source", 3) && !is_among(line.word[1], sources, count)) {
            (void)snprintf(other, INSTALL_OTHER_MAX, "%.*s", (int)line.word[1].len,
                           (const char *)line.word[1].data);
            return INSTALL_OF_OTHERS;
        }
    if (manifest->facts.version_count == count)
        return INSTALL_OF_THESE;
    (void)snprintf(other, INSTALL_OTHER_MAX, "%zu secrets, not %zu", manifest->facts.version_count,
                   count);
    return INSTALL_OF_OTHERS;
}

enum install_origin install_origin(const struct install_target *target, const char *set,
                                   const struct install_source *sources, size_t count,
                                   char other[INSTALL_OTHER_MAX])
{
    enum install_origin origin = INSTALL_OF_UNKNOWN;
    struct place place = {.fd = -1};
    struct manifest manifest = {0};
    char name[SET_NAME_SIZE];
    struct err ignored;
    bool starved = false;
    int fd = -1;

    other[0] = '\0';
    if (place_open(&place, target, false, &ignored) == 0 && (set || data_name(&place, name)) &&
        set_open(&place, set ? set : name, &fd, &ignored) == 0 && fd >= 0) {
        if (manifest_read(&manifest, fd) == 0)
            origin = compare(&manifest, sources, count, other);
        else
            starved = errno == ENOMEM;
        close(fd);
    }
    manifest_free(&manifest);
    place_close(&place);
    errno = starved ? ENOMEM : 0;
    return origin;
}
