/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "aws/aws.h"
#include "aws/credentials/sources.h"
#include "aws/profile.h"
#include "aws/sts.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "config/config.h"

/* A source of credentials, and what it reads beside the shared files, for the sandbox: by the
 * variable, and by the property of a profile, that name a file. */
static const struct source {
    const char *name;
    enum source_state (*resolve)(const struct aws *aws, struct credentials *credentials,
                                 struct err *err);
    struct credentials_file file;
} sources[] = {
    {"profile", source_named_profile, {NULL, NULL}}, /* who names one means it */
    {"environment", source_environment, {NULL, NULL}},
    {"web_identity",
     source_web_identity,
     {"AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file"}},
    {"profile", source_default_profile, {NULL, NULL}},
    {"container", source_container, {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", NULL}},
    {"imds", source_imds, {NULL, NULL}},
};

enum { SOURCES = sizeof sources / sizeof sources[0] };

/* Adds "name: why" to what was looked at, where there is a reason. */
static void note_skipped(char *looked, size_t size, const char *name, const char *why)
{
    size_t len = strlen(looked);

    if (*why)
        (void)snprintf(looked + len, size - len, "%s%s: %.200s", len ? "; " : "", name, why);
}

/* What is missing where nothing is configured: the last source, the instance, may be about to help.
 */
static enum err_code missing(enum err_code last)
{
    return last == ERR_METADATA_OFF || last == ERR_ROLE_MISSING ? last : ERR_CREDENTIALS_MISSING;
}

/* looked: what was asked before, and why it has none. */
static enum source_state walk_chain(const struct aws *aws, struct credentials *credentials,
                                    char looked[ERR_REASON_MAX], struct err *err)
{
    enum source_state state = SOURCE_NOT_CONFIGURED;
    size_t i;

    for (i = 0; i < SOURCES && state == SOURCE_NOT_CONFIGURED; i++) {
        credentials->source = sources[i].name;
        state = sources[i].resolve(aws, credentials, err);
        if (state == SOURCE_NOT_CONFIGURED)
            note_skipped(looked, ERR_REASON_MAX, sources[i].name, err->reason);
    }
    if (state == SOURCE_NOT_CONFIGURED) {
        bool young = err->young;

        (void)err_set(err, missing(err->code), NULL, "%s", looked);
        err->young = young;
    }
    return state;
}

static int find_credentials(const struct aws *aws, struct credentials *credentials, struct err *err)
{
    const struct config *config = aws->config;
    const struct sts_role role = {
        .arn = config->role_arn,
        .session_name = config->role_session_name,
        .external_id = config->role_external_id,
    };
    char looked[ERR_REASON_MAX] = "";

    if (walk_chain(aws, credentials, looked, err) != SOURCE_FOUND)
        return -1;
    if (aws->found)
        (void)snprintf(aws->found, ERR_REASON_MAX, "%s%s%.700s", credentials->source,
                       *looked ? ", after " : "", looked);
    log_event(
        LOG_LEVEL_INFO, "credentials", log_s("source", credentials->source),
        log_s("profile", strcmp(credentials->source, "profile") == 0 ? aws->profiles->name : NULL),
        log_s("skipped", *looked ? looked : NULL));
    if (!role.arn)
        return 0;
    if (sts_assume_role(aws, &role, credentials, err) < 0)
        return -1;
    log_event(LOG_LEVEL_INFO, "role_assumed", log_s("role", role.arn));
    return 0;
}

int credentials_resolve(const struct aws *aws, struct credentials **out, struct err *err)
{
    struct credentials *credentials;

    if (clock_left(aws->deadline) == 0)
        return err_set(err, ERR_DEADLINE, NULL, "no time was left to look for AWS credentials");
    credentials = arena_alloc(sizeof *credentials, ARENA_WORK);
    if (!credentials)
        return err_set(err, ERR_MEMORY_FULL, NULL, "no room for credentials");
    if (find_credentials(aws, credentials, err) < 0) {
        credentials_free(credentials);
        return -1;
    }
    credentials->since = clock_wall();
    *out = credentials;
    return 0;
}

void credentials_clear(struct credentials *credentials)
{
    arena_free(credentials->access_key_id);
    arena_free(credentials->secret_access_key);
    arena_free(credentials->session_token);
    *credentials = (struct credentials){0};
}

void credentials_free(struct credentials *credentials)
{
    if (!credentials)
        return;
    credentials_clear(credentials);
    arena_free(credentials);
}

const struct credentials_file *credentials_file(size_t source)
{
    return source < SOURCES ? &sources[source].file : NULL;
}
