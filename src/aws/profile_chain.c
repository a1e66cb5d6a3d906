/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/profile_chain.h"

#include <stdbool.h>
#include <string.h>

#include "aws/profile.h"
#include "base/err.h"

struct walk {
    struct profile_chain *chain;
    const struct profiles *profiles;
    struct err *err;
};

static const char *get(const struct walk *walk, const char *profile, const char *property)
{
    return profile_get(walk->profiles, profile, property);
}

static enum source_state fail_profile(const struct walk *walk, const char *profile, const char *why)
{
    (void)err_set(walk->err, ERR_CREDENTIALS_FAILED, profile, "profile %s %s", profile, why);
    return SOURCE_FAILED;
}

static enum source_state found(const struct walk *walk, enum profile_base base, const char *profile)
{
    walk->chain->base = base;
    walk->chain->profile = profile;
    return SOURCE_FOUND;
}

static bool has_keys(const struct walk *walk, const char *profile)
{
    return get(walk, profile, "aws_access_key_id") && get(walk, profile, "aws_secret_access_key");
}

/* Credentials that need none before them. */
static enum source_state find_base(const struct walk *walk, const char *profile)
{
    bool id = get(walk, profile, "aws_access_key_id") != NULL;
    bool key = get(walk, profile, "aws_secret_access_key") != NULL;

    if (get(walk, profile, "credential_source"))
        return found(walk, PROFILE_BASE_SOURCE, profile);
    if (get(walk, profile, "web_identity_token_file"))
        return get(walk, profile, "role_arn")
                   ? found(walk, PROFILE_BASE_TOKEN, profile)
                   : fail_profile(walk, profile, "has web_identity_token_file, but no role_arn");
    if (get(walk, profile, "sso_session") || get(walk, profile, "sso_start_url") ||
        get(walk, profile, "sso_account_id") || get(walk, profile, "sso_role_name"))
        return fail_profile(walk, profile, "needs SSO, which is not supported");
    if (id && key)
        return found(walk, PROFILE_BASE_KEYS, profile);
    if (id || key)
        return fail_profile(walk, profile,
                            id ? "has aws_access_key_id, but no aws_secret_access_key"
                               : "has aws_secret_access_key, but no aws_access_key_id");
    if (get(walk, profile, "login_session"))
        return fail_profile(walk, profile, "needs login_session, which is not supported");
    if (get(walk, profile, "credential_process"))
        return fail_profile(walk, profile, "needs credential_process, which is not supported");
    (void)fail_profile(walk, profile, "holds no credentials");
    return walk->chain->role_count > 0 ? SOURCE_FAILED : SOURCE_NOT_CONFIGURED;
}

static bool was_visited(const struct profile_chain *chain, const char *profile)
{
    size_t i;

    for (i = 0; i < chain->role_count; i++)
        if (strcmp(chain->roles[i], profile) == 0)
            return true;
    return false;
}

/* Whether a profile assumes its role with what another one gives. */
static bool is_over_another(const struct walk *walk, const char *profile)
{
    /* Keys of a source profile are meant to be used, whatever else stands there. */
    if (walk->chain->role_count > 0 && has_keys(walk, profile))
        return false;
    return get(walk, profile, "role_arn") && !get(walk, profile, "web_identity_token_file");
}

/* Notes *profile's role and moves to its source: true; false with *state where this is the end. */
static bool follow_source(const struct walk *walk, const char **profile, enum source_state *state)
{
    const char *source = get(walk, *profile, "source_profile");
    const char *named = get(walk, *profile, "credential_source"), *why = NULL;

    if (!source && !named)
        why = "has role_arn, but neither source_profile nor credential_source";
    else if (source && named)
        why = "has both source_profile and credential_source";
    else if (get(walk, *profile, "mfa_serial"))
        why = "needs mfa_serial, which is not supported";
    else if (walk->chain->role_count == PROFILE_ROLES_MAX)
        why = "is one role too many";
    if (why) {
        *state = fail_profile(walk, *profile, why);
        return false;
    }
    walk->chain->roles[walk->chain->role_count++] = *profile;
    if (!source || strcmp(source, *profile) == 0) {
        *state = find_base(walk, *profile);
        return false;
    }
    *state = SOURCE_FAILED;
    if (was_visited(walk->chain, source))
        (void)fail_profile(walk, *profile, "has a source_profile that leads back to it");
    else if (!profile_exists(walk->profiles, source))
        (void)err_set(walk->err, ERR_CREDENTIALS_FAILED, *profile,
                      "profile %s has source_profile %s, which does not exist", *profile, source);
    else
        *state = SOURCE_FOUND;
    *profile = source;
    return *state == SOURCE_FOUND;
}

enum source_state profile_chain_resolve(struct profile_chain *chain,
                                        const struct profiles *profiles, const char *name,
                                        struct err *err)
{
    const struct walk walk = {chain, profiles, err};
    enum source_state state;

    *chain = (struct profile_chain){0};
    while (is_over_another(&walk, name))
        if (!follow_source(&walk, &name, &state))
            return state;
    return chain->role_count > 0 && has_keys(&walk, name) ? found(&walk, PROFILE_BASE_KEYS, name)
                                                          : find_base(&walk, name);
}
