/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secrecy.h"
#include "config/config.h"
#include "install/install.h"
#include "run/status.h"

/* More than a configuration's most endpoints and sets take. */
enum { FILE_MAX = 4 * 1024 * 1024 };

/* The first of $RUNTIME_DIRECTORY's directories (systemd.exec(5)). */
static bool in_runtime_directory(char out[STATUS_PATH_MAX])
{
    const char *directory = getenv("RUNTIME_DIRECTORY");
    size_t len = directory ? strcspn(directory, ":") : 0;

    if (len == 0 || directory[0] != '/' || len + sizeof "/status.json" > STATUS_PATH_MAX)
        return false;
    (void)snprintf(out, STATUS_PATH_MAX, "%.*s/status.json", (int)len, directory);
    return true;
}

static void in_target(const struct config *config, char out[STATUS_PATH_MAX])
{
    (void)snprintf(out, STATUS_PATH_MAX, "%s%s/" INSTALL_STATUS, config->root, config->dir);
}

void status_path(const struct config *config, char out[STATUS_PATH_MAX])
{
    if (config->status_file)
        (void)snprintf(out, STATUS_PATH_MAX, "%s", config->status_file);
    else if (!in_runtime_directory(out))
        in_target(config, out);
}

void status_tidy(const struct config *config)
{
    char used[STATUS_PATH_MAX], other[STATUS_PATH_MAX];

    status_path(config, used);
    in_target(config, other);
    if (strcmp(used, other) != 0)
        (void)unlink(other);
    (void)fs_sweep(used);
    if (config->metrics_file)
        (void)fs_sweep(config->metrics_file);
}

static int read_file(struct status *status, const char *path)
{
    (void)snprintf(status->path, sizeof status->path, "%s", path);
    return fs_read(AT_FDCWD, path, &status->text);
}

/* The first that is there. */
static int find_file(struct status *status, const struct config *config)
{
    char path[STATUS_PATH_MAX];

    status_path(config, path);
    if (read_file(status, path) == 0)
        return 0;
    if (config->status_file || errno != ENOENT)
        return -1;
    if (read_file(status, STATUS_ELSEWHERE "/status.json") == 0)
        return 0;
    in_target(config, path);
    return read_file(status, path);
}

static int parse(struct status *status, struct err *err)
{
    char reason[JSON_REASON_MAX];

    if (secrecy_holds_key(buf_bytes(&status->text)))
        return err_set(err, ERR_NO_STATUS, status->path, "it holds a private key");
    status->json = json_parse_public(buf_bytes(&status->text), reason);
    if (!status->json)
        return err_set(err, strcmp(reason, JSON_NO_MEMORY) == 0 ? ERR_MEMORY_FULL : ERR_NO_STATUS,
                       status->path, "%s", reason);
    if (status_number(status, 0, "format") != STATUS_FORMAT)
        return err_set(err, ERR_NO_STATUS, status->path, "it is no status of format %d",
                       STATUS_FORMAT);
    return 0;
}

void status_dir(const struct config *config, char out[STATUS_PATH_MAX])
{
    (void)snprintf(out, STATUS_PATH_MAX, "%s%s", config->root, config->dir);
}

/* What cannot be read as one is nobody else's. */
static bool is_of_another(const struct config *config, const char *path)
{
    struct status status = {.text = {.public = true, .max = FILE_MAX}};
    char own[STATUS_PATH_MAX], dir[STATUS_TEXT_MAX] = "";
    struct err none;

    if (read_file(&status, path) == 0 && parse(&status, &none) == 0)
        status_text(&status, json_member(status.json, 0, "agent"), "dir", dir);
    status_close(&status);
    status_dir(config, own);
    return dir[0] && strncmp(dir, own, sizeof dir - 1) != 0;
}

static int remove_own(const struct config *config, const char *path, struct err *err)
{
    if (is_of_another(config, path)) {
        log_event(LOG_LEVEL_WARNING, "purge_left", log_s("dir", config->dir), log_s("name", path));
        return 0;
    }
    return fs_remove(path) == 0 ? 0
                                : err_set_errno(err, ERR_INSTALL_FAILED, path, "cannot be removed");
}

int status_remove(const struct config *config, struct err *err)
{
    char path[STATUS_PATH_MAX];

    status_path(config, path);
    if (remove_own(config, path, err) < 0)
        return -1;
    return config->status_file ? 0 : remove_own(config, STATUS_ELSEWHERE "/status.json", err);
}

int status_open(struct status *status, const struct config *config, struct err *err)
{
    *status = (struct status){.text = {.public = true, .max = FILE_MAX}};
    if (find_file(status, config) == 0)
        return parse(status, err);
    if (errno == ENOENT || errno == ENOTDIR)
        return err_set(err, ERR_NO_STATUS, status->path, "no agent has written it");
    return err_set_errno(err, errno == ENOMEM ? ERR_MEMORY_FULL : ERR_SYSTEM, status->path,
                         "cannot read the status");
}

void status_close(struct status *status)
{
    json_free(status->json);
    buf_free(&status->text);
}

void status_text(const struct status *status, int object, const char *name,
                 char out[STATUS_TEXT_MAX])
{
    struct buf text = {.public = true, .max = STATUS_TEXT_MAX - 1};
    size_t i;

    out[0] = '\0';
    if (json_string(status->json, json_member(status->json, object, name), &text) == 0) {
        for (i = 0; i < text.len; i++)
            out[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? (char)text.data[i] : '?';
        out[text.len] = '\0';
    }
    buf_free(&text);
}

int64_t status_number(const struct status *status, int object, const char *name)
{
    json_value value = json_member(status->json, object, name);
    struct bytes raw = {0};
    int64_t number;

    if (json_type(status->json, value) == JSON_NUMBER)
        raw = json_raw(status->json, value);
    return raw.len > 0 && raw.len <= 15 && decimal_read(raw, &number) == raw.len ? number : -1;
}
