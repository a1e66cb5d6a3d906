/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/credentials/sources.h"
#include "aws/profile.h"
#include "aws/profile_chain.h"
#include "aws/sts.h"
#include "base/err.h"

static int take_key(const struct aws *aws, const char *profile, const char *name, char **field,
                    struct err *err)
{
    const char *value = profile_get(aws->profiles, profile, name);

    return value ? source_set(field, bytes_of_text(value), profile, name, err) : 0;
}

static int take_keys(const struct aws *aws, const char *profile, struct credentials *credentials,
                     struct err *err)
{
    if (take_key(aws, profile, "aws_access_key_id", &credentials->access_key_id, err) < 0 ||
        take_key(aws, profile, "aws_secret_access_key", &credentials->secret_access_key, err) < 0)
        return -1;
    return take_key(aws, profile, "aws_session_token", &credentials->session_token, err);
}

static int ask_source(const struct aws *aws, const char *profile, struct credentials *credentials,
                      struct err *err)
{
    static const struct {
        const char *name;
        enum source_state (*resolve)(const struct aws *aws, struct credentials *credentials,
                                     struct err *err);
    } sources[] = {
        {"Environment", source_environment},
        {"EcsContainer", source_container},
        {"Ec2InstanceMetadata", source_imds},
    };
    const char *name = profile_get(aws->profiles, profile, "credential_source");
    struct err why = {0};
    size_t i;

    for (i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        enum source_state state;

        if (strcasecmp(name, sources[i].name) != 0)
            continue;
        state = sources[i].resolve(aws, credentials, &why);
        if (state == SOURCE_FOUND)
            return 0;
        return err_set(err, state == SOURCE_FAILED ? why.cause : ERR_CREDENTIALS_FAILED, profile,
                       "credential_source %s: %s", sources[i].name, why.reason);
    }
    return err_set(err, ERR_CREDENTIALS_FAILED, profile,
                   "credential_source is none of Environment, EcsContainer, Ec2InstanceMetadata");
}

static struct sts_role role_of(const struct aws *aws, const char *profile)
{
    return (struct sts_role){
        .arn = profile_get(aws->profiles, profile, "role_arn"),
        .session_name = profile_get(aws->profiles, profile, "role_session_name"),
        .external_id = profile_get(aws->profiles, profile, "external_id"),
        .duration = profile_get(aws->profiles, profile, "duration_seconds"),
    };
}

static int begin_profile(const struct aws *aws, const struct profile_chain *chain,
                         struct credentials *credentials, struct err *err)
{
    struct sts_role role;

    switch (chain->base) {
    case PROFILE_BASE_KEYS: return take_keys(aws, chain->profile, credentials, err);
    case PROFILE_BASE_SOURCE: return ask_source(aws, chain->profile, credentials, err);
    case PROFILE_BASE_TOKEN: break;
    }
    role = role_of(aws, chain->profile);
    return sts_assume_with_token(
        aws, &role, profile_get(aws->profiles, chain->profile, "web_identity_token_file"),
        credentials, err);
}

static enum source_state ask_profile(const struct aws *aws, struct credentials *credentials,
                                     struct err *err)
{
    struct profile_chain chain;
    enum source_state state =
        profile_chain_resolve(&chain, aws->profiles, aws->profiles->name, err);
    size_t i;

    if (state != SOURCE_FOUND)
        return state;
    if (begin_profile(aws, &chain, credentials, err) < 0)
        return SOURCE_FAILED;
    for (i = chain.role_count; i-- > 0;) {
        const struct sts_role role = role_of(aws, chain.roles[i]);

        if (sts_assume_role(aws, &role, credentials, err) < 0)
            return SOURCE_FAILED;
    }
    return SOURCE_FOUND;
}

/* "no profile X in /home/a/.aws/config and /home/a/.aws/credentials" */
static void say_absent(const struct aws *aws, enum err_code code, struct err *err)
{
    const char *name = aws->profiles->name, *named_by = aws->profiles->named_by;
    char config[PROFILE_PATH_MAX], credentials[PROFILE_PATH_MAX];

    if (profile_path(aws->config, PROFILE_CONFIG, config) < 0)
        (void)snprintf(config, sizeof config, "~/.aws/config (HOME is not set)");
    if (profile_path(aws->config, PROFILE_CREDENTIALS, credentials) < 0)
        (void)snprintf(credentials, sizeof credentials, "~/.aws/credentials (HOME is not set)");
    (void)err_set(err, code, name, "no profile %s%s%s in %.180s, %.180s", name,
                  named_by ? " of " : "", named_by ? named_by : "", config, credentials);
}

enum source_state source_named_profile(const struct aws *aws, struct credentials *credentials,
                                       struct err *err)
{
    *err = (struct err){0};
    if (!aws->profiles || !aws->profiles->named_by)
        return SOURCE_NOT_CONFIGURED;
    if (profile_exists(aws->profiles, aws->profiles->name))
        return ask_profile(aws, credentials, err);
    say_absent(aws, ERR_CREDENTIALS_FAILED, err);
    return SOURCE_FAILED;
}

enum source_state source_default_profile(const struct aws *aws, struct credentials *credentials,
                                         struct err *err)
{
    *err = (struct err){0};
    if (!aws->profiles || aws->profiles->named_by)
        return SOURCE_NOT_CONFIGURED;
    if (profile_exists(aws->profiles, aws->profiles->name))
        return ask_profile(aws, credentials, err);
    say_absent(aws, ERR_CREDENTIALS_MISSING, err);
    return SOURCE_NOT_CONFIGURED;
}
