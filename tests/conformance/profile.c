/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/profile_chain.h"
#include "base/err.h"
#include "case.h"
#include "commands.h"
#include "config/config.h"

static const char sso[] = "sso-session ";

/* Parses the text of a file of the case, if it has one. */
static int parse(struct profile_file *file, enum profile_file_kind kind, const char *text)
{
    char reason[PROFILE_REASON_MAX];

    file->kind = kind;
    file->text.tag = ARENA_DOCUMENT;
    if (!text)
        return 0;
    if (buf_append_text(&file->text, text) < 0 || profile_file_parse(file, reason) < 0) {
        fprintf(stderr, "%s\n", reason);
        return -1;
    }
    return 0;
}

/* The lines of both files, as if they were one. */
static const struct profile_line *line_of(const struct profiles *profiles, size_t i)
{
    size_t first = profile_file_count(&profiles->config);

    if (i < first)
        return profile_file_line(&profiles->config, i);
    if (i < first + profile_file_count(&profiles->credentials))
        return profile_file_line(&profiles->credentials, i - first);
    return NULL;
}

/* Whether the same section, or property of it, stands before line i. */
static int is_repeated(const struct profiles *profiles, size_t i)
{
    const struct profile_line *line = line_of(profiles, i);
    size_t j;

    for (j = 0; j < i; j++) {
        const struct profile_line *other = line_of(profiles, j);

        if (strcmp(other->section, line->section) == 0 && !other->name == !line->name &&
            (!line->name || strcmp(other->name, line->name) == 0))
            return 1;
    }
    return 0;
}

static void put_section(struct json_writer *writer, const struct profiles *profiles,
                        const char *section, const char *name)
{
    const struct profile_line *line;
    const char *value;
    size_t i;

    json_open(writer, name, '{');
    for (i = 0; (line = line_of(profiles, i)); i++) {
        if (!line->name || strcmp(line->section, section) != 0 || is_repeated(profiles, i))
            continue;
        value = profile_file_get(&profiles->credentials, section, line->name);
        json_put_text(writer, line->name,
                      value ? value : profile_file_get(&profiles->config, section, line->name));
    }
    json_close(writer, '}');
}

/* Writes the sections of one kind, under their names without the prefix; how many. */
static int put_sections(struct json_writer *writer, const struct profiles *profiles, int of_sso)
{
    const struct profile_line *line;
    int count = 0;
    size_t i;

    for (i = 0; (line = line_of(profiles, i)); i++) {
        int is_sso = strncmp(line->section, sso, sizeof sso - 1) == 0;

        if (line->name || !*line->section || is_repeated(profiles, i) || is_sso != of_sso ||
            (!is_sso && strchr(line->section, ' ')))
            continue;
        if (count++ == 0 && of_sso)
            json_open(writer, "sso_sessions", '{');
        put_section(writer, profiles, line->section, line->section + (is_sso ? sizeof sso - 1 : 0));
    }
    if (count > 0 && of_sso)
        json_close(writer, '}');
    return count;
}

int conformance_profile(int argc, char **argv)
{
    struct buf out = {.tag = ARENA_DOCUMENT};
    struct json_writer writer = {.out = &out};
    struct profiles profiles = {.name = "default"};
    struct json *json = case_parse(NULL);
    json_value input;

    (void)argc, (void)argv;
    if (!json)
        return CONFORMANCE_USAGE;
    input = json_member(json, 0, "input");
    if (parse(&profiles.config, PROFILE_CONFIG, case_text(json, input, "configFile")) < 0 ||
        parse(&profiles.credentials, PROFILE_CREDENTIALS,
              case_text(json, input, "credentialsFile")) < 0)
        return case_print(&writer, 0);
    json_open(&writer, NULL, '{');
    json_open(&writer, "config", '{');
    json_open(&writer, "profiles", '{');
    (void)put_sections(&writer, &profiles, 0);
    json_close(&writer, '}');
    (void)put_sections(&writer, &profiles, 1);
    json_close(&writer, '}');
    json_close(&writer, '}');
    return case_print(&writer, 1);
}

int conformance_file_location(int argc, char **argv)
{
    static const struct {
        const char *name;
        enum profile_file_kind kind;
    } files[] = {{"configLocation", PROFILE_CONFIG}, {"credentialsLocation", PROFILE_CREDENTIALS}};
    struct buf out = {.tag = ARENA_DOCUMENT};
    struct json_writer writer = {.out = &out};
    struct config config = {0};
    struct json *json = case_parse(NULL);
    char path[PROFILE_PATH_MAX];
    const char *named_by;
    size_t i;

    (void)argc, (void)argv;
    if (!json)
        return CONFORMANCE_USAGE;
    case_environment(json, json_member(json, 0, "environment"));
    json_open(&writer, NULL, '{');
    json_put_text(&writer, "profile", profile_name(&config, &named_by));
    for (i = 0; i < 2; i++)
        json_put_text(&writer, files[i].name,
                      profile_path(&config, files[i].kind, path) == 0 ? path : NULL);
    json_close(&writer, '}');
    return case_print(&writer, 1);
}

/* Writes the profiles of the case as a config file. */
static int make_file(const struct json *json, json_value profiles, struct buf *out)
{
    json_value name, profile, key, value;
    int at = 0, r = 0;

    while (r == 0 && profiles >= 0 && json_each(json, profiles, &at, &name, &profile)) {
        int inside = 0;

        r = buf_append_text(out, "[profile ") | json_string(json, name, out) |
            buf_append_text(out, "]\n");
        while (r == 0 && json_each(json, profile, &inside, &key, &value))
            r = json_string(json, key, out) | buf_append_text(out, " = ") |
                json_string(json, value, out) | buf_append_text(out, "\n");
    }
    return r;
}

/* Writes a step of the chain: of a profile, those properties that it has. */
static void put_step(struct json_writer *writer, const struct profiles *profiles,
                     const char *profile, const char *kind)
{
    static const struct {
        const char *kind, *property, *name;
    } rows[] = {
        {"AccessKey", "aws_access_key_id", "access_key_id"},
        {"AccessKey", "aws_secret_access_key", "secret_access_key"},
        {"AccessKey", "aws_session_token", "session_token"},
        {"AccessKey", "aws_account_id", "account_id"},
        {"WebIdentityToken", "role_arn", "role_arn"},
        {"WebIdentityToken", "web_identity_token_file", "web_identity_token_file"},
        {"WebIdentityToken", "role_session_name", "role_session_name"},
        {"AssumeRole", "role_arn", "role_arn"},
        {"AssumeRole", "external_id", "external_id"},
        {"AssumeRole", "role_session_name", "role_session_name"},
    };
    size_t i;

    json_open(writer, NULL, '{');
    json_open(writer, kind, '{');
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *value = profile_get(profiles, profile, rows[i].property);

        if (value && strcmp(rows[i].kind, kind) == 0)
            json_put_text(writer, rows[i].name, value);
    }
    json_close(writer, '}');
    json_close(writer, '}');
}

static void put_chain(struct json_writer *writer, const struct profiles *profiles,
                      const struct profile_chain *chain)
{
    size_t i;

    json_open(writer, NULL, '{');
    json_open(writer, "ProfileChain", '[');
    if (chain->base == PROFILE_BASE_SOURCE) {
        json_open(writer, NULL, '{');
        json_put_text(writer, "NamedSource",
                      profile_get(profiles, chain->profile, "credential_source"));
        json_close(writer, '}');
    } else {
        put_step(writer, profiles, chain->profile,
                 chain->base == PROFILE_BASE_KEYS ? "AccessKey" : "WebIdentityToken");
    }
    for (i = chain->role_count; i-- > 0;)
        put_step(writer, profiles, chain->roles[i], "AssumeRole");
    json_close(writer, ']');
    json_close(writer, '}');
}

int conformance_assume_role(int argc, char **argv)
{
    struct buf out = {.tag = ARENA_DOCUMENT}, text = {.tag = ARENA_DOCUMENT};
    struct json_writer writer = {.out = &out};
    struct profiles profiles = {0};
    struct profile_chain chain;
    struct json *json = case_parse(NULL);
    struct err err = {0};
    json_value input;
    int ok;

    (void)argc, (void)argv;
    if (!json)
        return CONFORMANCE_USAGE;
    input = json_member(json, 0, "input");
    profiles.name = case_text(json, input, "selected_profile");
    ok = profiles.name && make_file(json, json_member(json, input, "profiles"), &text) == 0 &&
         parse(&profiles.config, PROFILE_CONFIG, (const char *)text.data) == 0 &&
         profile_exists(&profiles, profiles.name) &&
         profile_chain_resolve(&chain, &profiles, profiles.name, &err) == SOURCE_FOUND;
    if (ok)
        put_chain(&writer, &profiles, &chain);
    else
        fprintf(stderr, "%s\n", err.reason);
    return case_print(&writer, ok);
}
