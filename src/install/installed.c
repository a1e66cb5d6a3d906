/* SPDX-License-Identifier: Apache-2.0 */
#include "install/installed.h"

#include "base/clock.h"
#include "base/err.h"
#include "identity/bundle.h"
#include "identity/identity.h"

struct identity *installed_identity(const struct install_target *target, struct err *err)
{
    struct identity_policy policy = {.now = clock_wall()};
    struct identity *identity = NULL;
    struct bundle bundle = {0};
    char where[INSTALL_WHERE_MAX];

    (void)install_where(target, where);
    if (install_read(target, &bundle, NULL, err) == 0)
        identity = identity_new(&bundle, &policy, where, err);
    bundle_free(&bundle);
    return identity;
}

/* Key, leaf and chain, one behind the other. */
static int combine(const struct identity *identity, struct buf *pem, struct err *err)
{
    const struct buf *key = &identity->file[BUNDLE_CLIENT_KEY];
    const struct buf *cert = &identity->file[BUNDLE_CLIENT_CERT];

    if (buf_append(pem, key->data, key->len) == 0 && buf_append(pem, cert->data, cert->len) == 0)
        return 0;
    return err_set(err, ERR_MEMORY_FULL, INSTALL_COMBINED, "no room");
}

static size_t list_files(const struct identity *identity, const struct buf *combined,
                         struct install_file files[INSTALL_FILES_MAX])
{
    size_t count = 0;
    int field;

    for (field = 0; field < BUNDLE_FIELDS; field++)
        if (identity->file[field].len > 0)
            files[count++] = (struct install_file){
                .name = bundle_field_file((enum bundle_field)field),
                .content = buf_bytes(&identity->file[field]),
                .secret = field == BUNDLE_CLIENT_KEY || field == BUNDLE_SERVER_KEY,
            };
    if (combined->len > 0)
        files[count++] = (struct install_file){INSTALL_COMBINED, buf_bytes(combined), true};
    return count;
}

int install_identity(const struct install_target *target, const struct installing *what,
                     enum install_outcome *outcome, struct err *err)
{
    struct install_file files[INSTALL_FILES_MAX];
    struct buf combined = {.tag = ARENA_KEY};
    struct install_set set = {
        .files = files,
        .sources = what->sources,
        .source_count = what->source_count,
        .fingerprint = what->identity->fingerprint,
        .not_after = what->identity->not_after,
        .overlap = what->overlap,
        .overlap_count = what->overlap_count,
    };
    int result = 0;

    if (what->combined && what->identity->client.chain_count > 0)
        result = combine(what->identity, &combined, err);
    set.file_count = list_files(what->identity, &combined, files);
    if (result == 0)
        result = install_set(target, &set, outcome, err);
    buf_free(&combined);
    return result;
}
