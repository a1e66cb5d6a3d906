/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials.h"

#include <stdio.h>
#include <string.h>

#include "aws/aws.h"
#include "aws/sources.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

static const struct source {
    const char *name;
    enum source_state (*resolve)(const struct aws *aws, struct credentials *credentials,
                                 struct err *err);
} sources[] = {
    {"environment", source_environment},
    {"container", source_container},
    {"imds", source_imds},
};

enum { SOURCES = sizeof sources / sizeof sources[0] };

/* Adds "name: why" to what was looked at. */
static void note(char *looked, size_t size, const char *name, const char *why)
{
    size_t len = strlen(looked);

    (void)snprintf(looked + len, size - len, "%s%s: %.200s", len ? "; " : "", name, why);
}

static enum source_state walk_chain(const struct aws *aws, struct credentials *credentials,
                                    struct err *err)
{
    enum source_state state = SOURCE_NOT_CONFIGURED;
    char looked[ERR_REASON_MAX] = "";
    size_t i;

    for (i = 0; i < SOURCES && state == SOURCE_NOT_CONFIGURED; i++) {
        credentials->source = sources[i].name;
        state = sources[i].resolve(aws, credentials, err);
        if (state == SOURCE_NOT_CONFIGURED)
            note(looked, sizeof looked, sources[i].name, err->reason);
    }
    if (state == SOURCE_NOT_CONFIGURED)
        (void)err_set(err, ERR_CREDENTIALS_MISSING, NULL, "%s", looked);
    return state;
}

int credentials_resolve(const struct aws *aws, struct credentials **out, struct err *err)
{
    struct credentials *credentials;

    if (clock_left(aws->deadline) == 0)
        return err_set(err, ERR_DEADLINE, NULL, "no time was left to look for AWS credentials");
    credentials = arena_alloc(sizeof *credentials, ARENA_WORK);
    if (!credentials)
        return err_set(err, ERR_MEMORY_FULL, NULL, "no room for credentials");
    if (walk_chain(aws, credentials, err) != SOURCE_FOUND) {
        credentials_free(credentials);
        return -1;
    }
    log_event(LOG_LEVEL_INFO, "credentials", log_s("source", credentials->source));
    *out = credentials;
    return 0;
}

void credentials_free(struct credentials *credentials)
{
    if (!credentials)
        return;
    arena_free(credentials->access_key_id);
    arena_free(credentials->secret_access_key);
    arena_free(credentials->session_token);
    arena_free(credentials);
}
