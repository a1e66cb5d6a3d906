/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/sources.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/aws.h"
#include "aws/imds.h"
#include "aws/profile.h"
#include "aws/url.h"
#include "base/err.h"
#include "case.h"
#include "commands.h"
#include "config/config.h"

/* The config file of the case stands in it, under the name that AWS_CONFIG_FILE has there. */
static void read_config(const struct json *json, struct profiles *profiles)
{
    const char *path = getenv("AWS_CONFIG_FILE");
    const char *text = path ? case_text(json, json_member(json, 0, "fs"), path) : NULL;
    char reason[PROFILE_REASON_MAX];

    profiles->config.text.tag = ARENA_DOCUMENT;
    if (text && (buf_append_text(&profiles->config.text, text) < 0 ||
                 profile_file_parse(&profiles->config, reason) < 0))
        fprintf(stderr, "%s\n", reason);
}

/* What other programs set in their code is set by variables here. */
static void override(const struct json *json, const char *name, const char *variable)
{
    const char *text = case_text(json, 0, name);

    if (text)
        (void)setenv(variable, text, 1);
}

int conformance_imds_endpoint(int argc, char **argv)
{
    struct buf out = {.tag = ARENA_DOCUMENT};
    struct json_writer writer = {.out = &out};
    struct profiles profiles = {.config.kind = PROFILE_CONFIG};
    struct config config = {0};
    const struct aws aws = {.config = &config, .profiles = &profiles};
    struct json *json = case_parse(NULL);
    char base[IMDS_URL_MAX], url[2 * IMDS_URL_MAX];
    struct err err = {0};

    (void)argc, (void)argv;
    if (!json)
        return CONFORMANCE_USAGE;
    case_environment(json, json_member(json, 0, "env"));
    override(json, "endpoint_override", "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    override(json, "mode_override", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    profiles.name = profile_name(&config, &profiles.named_by);
    read_config(json, &profiles);
    if (imds_endpoint(&aws, base, &err) < 0) {
        fprintf(stderr, "%s\n", err.reason);
        return case_print(&writer, 0);
    }
    (void)snprintf(url, sizeof url, "%s/latest/api/token", base);
    json_open(&writer, NULL, '{');
    json_put_text(&writer, "Ok", url);
    json_close(&writer, '}');
    return case_print(&writer, 1);
}

/* As a connection would be: every address that the name has. */
static int is_allowed(const struct url *url)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL, *at;
    int allowed = 1;

    if (url->tls)
        return 1;
    if (getaddrinfo(url->name, NULL, &hints, &found) != 0)
        return 0;
    for (at = found; at; at = at->ai_next)
        allowed &= url_address_is_agent(at->ai_addr);
    freeaddrinfo(found);
    return allowed;
}

int conformance_ecs(int argc, char **argv)
{
    struct buf text = {.tag = ARENA_WORK};
    struct config config = {0};
    struct json *json = case_parse(NULL);
    struct err err = {0};
    struct url url;
    json_value env;
    int ok;

    (void)argc, (void)argv;
    if (!json)
        return CONFORMANCE_USAGE;
    env = json_member(json, 0, "env");
    case_environment(json, env < 0 ? 0 : env);
    ok = source_container_url(&config, &text, &url, &err) == SOURCE_FOUND && is_allowed(&url);
    if (!ok)
        fprintf(stderr, "%s\n", err.reason);
    puts(ok ? (const char *)text.data : "error");
    return 0;
}
