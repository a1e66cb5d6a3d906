/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "aws/aws.h"
#include "aws/shortage.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/secrecy.h"
#include "base/trust.h"
#include "config/config.h"

enum { FILE_MAX = 256 * 1024, SECTION_MAX = 128 };

const char *profile_name(const struct config *config, const char **named_by)
{
    static const char *const variables[] = {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"};
    size_t i;

    *named_by = "--profile";
    if (config->profile)
        return config->profile;
    for (i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *name = config_variable(config, variables[i]);

        *named_by = variables[i];
        if (name)
            return name;
    }
    *named_by = NULL;
    return "default";
}

static const char *named_path(const struct config *config, enum profile_file_kind kind)
{
    return config_variable(config, kind == PROFILE_CREDENTIALS ? "AWS_SHARED_CREDENTIALS_FILE"
                                                               : "AWS_CONFIG_FILE");
}

int profile_path(const struct config *config, enum profile_file_kind kind,
                 char out[PROFILE_PATH_MAX])
{
    const char *path = named_path(config, kind), *home = getenv("HOME");
    int len;

    if (!path)
        path = kind == PROFILE_CREDENTIALS ? "~/.aws/credentials" : "~/.aws/config";
    if (strncmp(path, "~/", 2) != 0)
        len = snprintf(out, PROFILE_PATH_MAX, "%s", path);
    else if (home && *home)
        len = snprintf(out, PROFILE_PATH_MAX, "%s%s", home, path + 1);
    else
        return -1;
    return len < PROFILE_PATH_MAX ? 0 : -1;
}

/* By errno. Where nobody named the file, HOME may be a place that is closed to us. */
static bool is_absent(const char *path, bool named)
{
    if (errno == ENOENT || errno == ENOTDIR || (errno == EACCES && !named))
        return true;
    return strcmp(path, "/dev/null") == 0;
}

/* 1; 0: there is none; -1. Who could have written it chooses the account that secrets come from. */
static int read_file(struct buf *text, const char *path, bool named, struct err *err)
{
    struct trust trust = {.also = TRUST_NOBODY};

    if (access(path, F_OK) < 0) {
        if (is_absent(path, named))
            return 0;
        (void)snprintf(trust.why, sizeof trust.why, "%s", strerror(errno));
    } else if (trust_read(path, text, &trust) == 0) {
        return 1;
    } else if (is_absent(path, named)) {
        return 0;
    }
    return err_set(err, err_of_errno(errno, ERR_CONFIG), path, "it cannot be read: %s", trust.why);
}

static int load(struct profile_file *file, enum profile_file_kind kind, const struct config *config,
                struct err *err)
{
    char path[PROFILE_PATH_MAX], reason[PROFILE_REASON_MAX];
    size_t i;
    int found;

    file->kind = kind;
    file->text.tag = kind == PROFILE_CREDENTIALS ? ARENA_CREDENTIALS : ARENA_DOCUMENT;
    file->text.max = FILE_MAX;
    if (profile_path(config, kind, path) < 0)
        return 0;
    found = read_file(&file->text, path, named_path(config, kind) != NULL, err);
    if (found <= 0)
        return found;
    if (profile_file_parse(file, reason) < 0)
        return err_set(err, ERR_CONFIG, path, "%s", reason);
    /* Each value is sent somewhere, but for those that are nobody's. */
    for (i = 0; i < profile_file_count(file); i++) {
        const struct profile_line *line = profile_file_line(file, i);

        if (secrecy_holds_key(bytes_of_text(line->section)) ||
            (line->name && (secrecy_holds_key(bytes_of_text(line->name)) ||
                            secrecy_holds_key(bytes_of_text(line->value)))))
            return err_set(err, ERR_CONFIG, path, "a private key stands in it");
    }
    return 0;
}

/* Cuts the value of a name out of lines "name = value"; NULL: it is not there. */
static const char *cut_nested(char *lines, const char *name)
{
    char *line, *value;

    while ((line = strsep(&lines, "\n"))) {
        value = strchr(line, '=');
        if (!value)
            continue;
        *value++ = '\0';
        line[strcspn(line, " \t")] = '\0';
        value += strspn(value, " \t");
        if (strcasecmp(line, name) == 0 && *value)
            return value;
    }
    return NULL;
}

/* Each service's endpoint_url in the section that the profile's "services" names. */
static void find_service_urls(struct profiles *profiles)
{
    static const char *const services[] = {"secrets_manager", "sts"};
    const char *name = profile_get(profiles, profiles->name, "services");
    char section[SECTION_MAX];
    size_t i;

    if (!name)
        return;
    (void)snprintf(section, sizeof section, "services %s", name);
    for (i = 0; i < PROFILE_SERVICES; i++) {
        const char *lines = profile_file_get(&profiles->config, section, services[i]);

        if (lines) /* in the file's text, which is ours, and read by nobody else */
            profiles->service_url[i] = cut_nested((char *)lines, "endpoint_url");
    }
}

int profiles_load(const struct config *config, struct profiles **out, struct err *err)
{
    const size_t before = shortage_look();
    struct profiles *profiles = arena_alloc(sizeof *profiles, ARENA_WORK);

    if (!profiles)
        return err_set(err, ERR_MEMORY_FULL, NULL, "no room for the shared config files");
    profiles->name = profile_name(config, &profiles->named_by);
    if (load(&profiles->config, PROFILE_CONFIG, config, err) < 0 ||
        load(&profiles->credentials, PROFILE_CREDENTIALS, config, err) < 0) {
        profiles_free(profiles);
        return shortage_blame(before, "~/.aws", err);
    }
    find_service_urls(profiles);
    *out = profiles;
    return 0;
}

void profiles_free(struct profiles *profiles)
{
    if (!profiles)
        return;
    profile_file_free(&profiles->config);
    profile_file_free(&profiles->credentials);
    arena_free(profiles);
}

/* Sections of another kind have a space in their name, which no profile has. */
static bool is_profile(const char *name)
{
    return !strchr(name, ' ');
}

bool profile_exists(const struct profiles *profiles, const char *name)
{
    return is_profile(name) && (profile_file_has(&profiles->credentials, name) ||
                                profile_file_has(&profiles->config, name));
}

const char *profile_get(const struct profiles *profiles, const char *name, const char *property)
{
    const char *value = NULL;

    if (is_profile(name))
        value = profile_file_get(&profiles->credentials, name, property);
    if (!value && is_profile(name))
        value = profile_file_get(&profiles->config, name, property);
    return value && *value ? value : NULL;
}

const char *profile_setting(const struct aws *aws, const char *variable, const char *property)
{
    const char *value = config_variable(aws->config, variable);

    if (value || !aws->profiles)
        return value;
    return profile_get(aws->profiles, aws->profiles->name, property);
}

int profile_switch(const struct aws *aws, const char *variable, const char *property, bool *on,
                   struct err *err)
{
    const char *value = property ? profile_setting(aws, variable, property)
                                 : config_variable(aws->config, variable);
    char shown[SECRECY_QUOTED_MAX];

    *on = value && strcasecmp(value, "true") == 0;
    if (!value || *on || strcasecmp(value, "false") == 0)
        return 0;
    return err_set(err, CAUSE_TRISTATE, variable, "%s is neither true nor false",
                   secrecy_quoted(shown, value));
}

const char *profile_endpoint_url(const struct aws *aws, enum profile_service service)
{
    const struct profiles *profiles = aws->profiles;

    if (!profiles)
        return NULL;
    if (profiles->service_url[service])
        return profiles->service_url[service];
    return profile_get(profiles, profiles->name, "endpoint_url");
}
