/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/environment.h"
#include "aws/profile.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "case.h"
#include "commands.h"
#include "config/config.h"
#include "replay.h"

enum { PATIENCE_MS = 9000 };

static int read_file(const char *folder, const char *name, struct buf *out)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (fs_read(AT_FDCWD, path, out) == 0)
        return 0;
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return -1;
}

static struct credentials *resolve(void)
{
    struct environment environment;
    struct config config = {0};
    struct profiles *profiles = NULL;
    struct credentials *credentials = NULL;
    struct err err = {0};

    if (environment_take(&environment, &err) == 0 && profiles_load(&config, &profiles, &err) == 0) {
        const struct aws aws = {
            .config = &config,
            .environment = &environment,
            .profiles = profiles,
            .deadline = clock_ms() + PATIENCE_MS,
        };

        (void)credentials_resolve(&aws, &credentials, &err);
    }
    if (!credentials)
        fprintf(stderr, "%s: %s: %s\n", err_info(err.code)->name, err.subject, err.reason);
    return credentials;
}

static void put_credentials(struct json_writer *writer, const struct credentials *credentials)
{
    json_open(writer, NULL, '{');
    json_open(writer, "Ok", '{');
    json_put_text(writer, "access_key_id", credentials->access_key_id);
    json_put_text(writer, "secret_access_key", credentials->secret_access_key);
    if (credentials->session_token)
        json_put_text(writer, "session_token", credentials->session_token);
    if (credentials->expires)
        json_put_number(writer, "expiry", credentials->expires);
    json_close(writer, '}');
    json_close(writer, '}');
}

int conformance_chain(int argc, char **argv)
{
    struct buf environment = {.tag = ARENA_DOCUMENT}, traffic = {.tag = ARENA_DOCUMENT};
    struct buf out = {.tag = ARENA_DOCUMENT};
    struct json_writer writer = {.out = &out};
    struct credentials *credentials;
    char root[PATH_MAX];
    struct json *json;

    if (argc != 2) {
        fprintf(stderr, "usage: conformance chain FOLDER\n");
        return CONFORMANCE_USAGE;
    }
    if (read_file(argv[1], "env.json", &environment) < 0 ||
        read_file(argv[1], "http-traffic.json", &traffic) < 0 || !(json = case_parse(&environment)))
        return CONFORMANCE_USAGE;
    (void)snprintf(root, sizeof root, "%s/fs", argv[1]);
    if (replay_start(&traffic, root) < 0) {
        fprintf(stderr, "http-traffic.json is no recording\n");
        return CONFORMANCE_USAGE;
    }
    case_environment(json, 0);
    credentials = resolve();
    if (replay_left() > 0)
        fprintf(stderr, "%zu recorded requests were not made\n", replay_left());
    if (credentials)
        put_credentials(&writer, credentials);
    return case_print(&writer, credentials != NULL);
}
