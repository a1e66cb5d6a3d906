/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in the target directory: manifest, ..agent, where ..data leads, client.crt,
 * client.key, ca.crt. The folder it is in is the current one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "commands/commands.h"
#include "config/config.h"
#include "fuzz.h"
#include "identity/identity.h"
#include "install/install_internal.h"
#include "install/install_state.h"
#include "install/installed.h"

#define SET_NAME "..set-0123456789abcdef"

static char folder[PATH_MAX];
static int set = -1, target = -1;

int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
    (void)fd;
    return 0;
}

void fuzz_begin(void)
{
    FUZZ_CHECK(getcwd(folder, sizeof folder - sizeof "/set"));
    strcat(folder, "/set");
    (void)mkdir(folder, 0755);
    target = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    (void)mkdirat(target, SET_NAME, 0755);
    set = openat(target, SET_NAME, O_PATH | O_DIRECTORY | O_CLOEXEC);
    FUZZ_CHECK(target >= 0 && set >= 0);
}

/* An empty one is not there; "@" stands for no file but a link, "!" for a pipe. */
static void put_file(int at, const char *name, struct bytes content)
{
    int fd;

    FUZZ_CHECK(unlinkat(at, name, 0) == 0 || errno == ENOENT);
    if (bytes_equal_text(content, "@"))
        (void)symlinkat("/dev/null", at, name);
    else if (bytes_equal_text(content, "!"))
        (void)mkfifoat(at, name, 0644);
    if (content.len <= 1)
        return;
    fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    FUZZ_CHECK(fd >= 0 && fs_write_all(fd, content) == 0);
    (void)close(fd);
}

/* To the set, unless the input knows better. */
static void put_link(struct bytes content)
{
    char *text = fuzz_text(content);

    (void)unlinkat(target, DATA_LINK, 0);
    (void)symlinkat(*text && strlen(text) < 200 ? text : SET_NAME, target, DATA_LINK);
    free(text);
}

/* A manifest of the same facts says the same when it is read. */
static void check_rendered(const struct manifest *manifest)
{
    const struct install_source source = {"arn", manifest->facts.version_ids[0]};
    const struct install_file file = {"client.crt", bytes_of_text("text"), false};
    const struct install_set same = {
        .files = &file,
        .file_count = 1,
        .sources = &source,
        .source_count = 1,
        .fingerprint = manifest->facts.fingerprint,
        .not_after = manifest->facts.not_after,
        .overlap = manifest->facts.overlap,
        .overlap_count = manifest->facts.overlap_count,
    };
    struct manifest again;
    struct err err;

    fuzz_err_open(&err);
    if (fuzz_result(manifest_render(&again, &same, &err), &err) == 0 && !fuzz_starved()) {
        FUZZ_CHECK(again.facts.version_count == 1 && again.file_count == 1);
        FUZZ_CHECK(again.facts.not_after == manifest->facts.not_after);
        FUZZ_CHECK(again.facts.overlap_count == manifest->facts.overlap_count);
        FUZZ_CHECK(manifest_is_of(&again, &source, 1) || fuzz_starved());
        FUZZ_CHECK(manifest_agrees(&again, "client.crt", file.content) || fuzz_starved());
        FUZZ_CHECK(!manifest_agrees(&again, "ca.crt", file.content));
        (void)manifest_add_previous(&again, SET_NAME);
    } else {
        FUZZ_CHECK(fuzz_starved());
    }
    manifest_free(&again);
}

static void check_manifest(void)
{
    struct manifest manifest = {0};
    char version[65];

    if (manifest_read(&manifest, set) == 0) {
        FUZZ_CHECK(manifest.sources_len <= manifest.own_len);
        FUZZ_CHECK(manifest.own_len <= manifest.text.len);
        FUZZ_CHECK(manifest.facts.version_count > 0 && strlen(manifest.facts.version) == 64);
        FUZZ_CHECK(strlen(manifest.facts.fingerprint) == 64 && manifest.facts.not_after >= 0);
        FUZZ_CHECK(!manifest.previous[0] || set_name_valid(manifest.previous));
        FUZZ_CHECK(install_version(version, NULL, 0) == 0 || fuzz_starved());
        check_rendered(&manifest);
    }
    manifest_free(&manifest);
}

static void check_read(const struct install_target *where)
{
    static const struct install_source sources[] = {
        {"arn:aws:secretsmanager:eu-central-1:123456789012:secret:example-AbCdEf", "version-1"}};
    struct bundle bundle = {0}, recalled = {0};
    struct identity *identity;
    struct installed facts;
    struct err err;

    fuzz_err_open(&err);
    (void)fuzz_result(install_read(where, &bundle, &facts, &err), &err);
    (void)install_facts(where, &facts);
    if (install_recall(where, sources, 1, &recalled))
        FUZZ_CHECK(fuzz_starved() ||
                   recalled.field[BUNDLE_CLIENT_CERT].len == bundle.field[BUNDLE_CLIENT_CERT].len);
    bundle_free(&bundle);
    bundle_free(&recalled);
    fuzz_err_open(&err);
    identity = installed_identity(where, &err);
    if (!identity)
        fuzz_err_check(&err);
    identity_free(identity);
}

static void check_memory(const struct install_target *where)
{
    static const struct install_state_change change = {.told = SET_NAME};
    struct install_state memory, again;
    struct err err;

    fuzz_err_open(&err);
    if (fuzz_result(install_state_read(where, &memory, &err), &err) < 0)
        return;
    FUZZ_CHECK(!memory.told[0] || set_name_valid(memory.told));
    FUZZ_CHECK(!memory.held_back[0] || strlen(memory.held_back) == 64);
    fuzz_err_open(&err);
    if (fuzz_result(install_state_update(where, &change, &err), &err) < 0 ||
        install_state_read(where, &again, &err) < 0 || fuzz_starved())
        return;
    FUZZ_CHECK(strcmp(again.told, SET_NAME) == 0 && strcmp(again.held_back, memory.held_back) == 0);
    FUZZ_CHECK(strcmp(again.rolled_back, memory.rolled_back) == 0);
}

void fuzz(struct bytes input)
{
    const struct config config = {.dir = folder, .root = "", .expires_within_ms = 86400000};
    const struct install_target where = {.root = "",
                                         .dir = folder,
                                         .sub = "",
                                         .key_mode = 0600,
                                         .cert_mode = 0644,
                                         .dir_mode = 0755,
                                         .deadline = 1000000 + 1000};

    put_file(set, MANIFEST_FILE, fuzz_part(&input));
    put_file(target, MEMORY_FILE, fuzz_part(&input));
    put_link(fuzz_part(&input));
    put_file(set, "client.crt", fuzz_part(&input));
    put_file(set, "client.key", fuzz_part(&input));
    put_file(set, "ca.crt", fuzz_part(&input));
    check_manifest();
    check_read(&where);
    check_memory(&where);
    (void)command_inspect(&config, 0);
    (void)command_healthcheck(&config, 0);
}
