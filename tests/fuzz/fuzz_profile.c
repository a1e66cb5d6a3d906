/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SDKs' shared files: the config file, the credentials file, the name of the profile in use;
 * and the credentials that it leads to, by answers (answers.h).
 */
#include "aws/profile.h"

#include "answers.h"
#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/environment.h"
#include "aws/profile_chain.h"
#include "base/err.h"
#include "config/options.h"
#include "fuzz.h"

static void check_chain(const struct profiles *profiles, const char *name)
{
    struct profile_chain chain = {0};
    enum source_state state;
    struct err err;

    FUZZ_CHECK(strchr(name, ' ') == NULL || !profile_exists(profiles, name));
    if (!profile_exists(profiles, name))
        return;
    fuzz_err_open(&err);
    state = profile_chain_resolve(&chain, profiles, name, &err);
    if (state == SOURCE_FAILED)
        fuzz_err_check(&err);
    FUZZ_CHECK(state != SOURCE_FOUND ||
               (profile_exists(profiles, chain.profile) && chain.role_count <= PROFILE_ROLES_MAX));
}

static void check_file(const struct profiles *profiles, const struct profile_file *file)
{
    size_t i;

    for (i = 0; i < profile_file_count(file); i++) {
        const struct profile_line *line = profile_file_line(file, i);

        if (!*line->section)
            continue;
        FUZZ_CHECK(profile_file_has(file, line->section));
        if (line->name)
            FUZZ_CHECK(profile_file_get(file, line->section, line->name));
        else
            check_chain(profiles, line->section);
    }
}

static void check_source(const struct aws *aws, bool named)
{
    struct credentials credentials = {0};
    enum source_state state;
    struct err err;

    fuzz_err_open(&err);
    err.reason[0] = '\0';
    if (named)
        state = source_named_profile(aws, &credentials, &err);
    else
        state = source_default_profile(aws, &credentials, &err);
    if (state == SOURCE_FAILED)
        fuzz_err_check(&err);
    FUZZ_CHECK(state != SOURCE_FOUND ||
               (credentials.access_key_id && credentials.secret_access_key));
    credentials_clear(&credentials);
}

static void check_settings(const struct config *config, const struct profiles *profiles)
{
    const struct environment environment = {0};
    const struct aws aws = {.config = config,
                            .profiles = profiles,
                            .environment = &environment,
                            .deadline = 1000000 + 20000};

    check_source(&aws, true);
    check_source(&aws, false);
    (void)profile_get(profiles, profiles->name, "region");
    (void)profile_setting(&aws, "AWS_CA_BUNDLE", "ca_bundle");
    (void)profile_endpoint_url(&aws, PROFILE_SECRETSMANAGER);
    (void)profile_endpoint_url(&aws, PROFILE_STS);
}

void fuzz(struct bytes input)
{
    const struct bytes config_text = fuzz_part(&input), credentials_text = fuzz_part(&input);
    char *name = fuzz_text(fuzz_part(&input));
    const struct config_variable variables[] = {
        {"AWS_REGION", "eu-central-1"},
        {"AWS_CONFIG_FILE", fuzz_file(0, config_text)},
        {"AWS_SHARED_CREDENTIALS_FILE", fuzz_file(1, credentials_text)},
        {*name ? "AWS_PROFILE" : NULL, name},
        {NULL, NULL},
    };
    const struct config config = {.variables = variables};
    struct profiles *profiles = NULL;
    struct err err;

    answers_begin(input);
    fuzz_err_open(&err);
    if (fuzz_result(profiles_load(&config, &profiles, &err), &err) == 0) {
        check_chain(profiles, profiles->name);
        check_file(profiles, &profiles->config);
        check_file(profiles, &profiles->credentials);
        check_settings(&config, profiles);
    }
    profiles_free(profiles);
    free(name);
}
