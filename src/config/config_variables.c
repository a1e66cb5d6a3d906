/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secrecy.h"
#include "config/config_values.h"
#include "config/options.h"

/* The variables that the agent honours and that may stand in the file too. */
static const char *const honoured[] = {
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CA_BUNDLE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_ENDPOINT_URL_STS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_MAX_ATTEMPTS",
    "AWS_RETRY_MODE",
    "HTTPS_PROXY",
    "NO_PROXY",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_METADATA_SERVICE_TIMEOUT",
    "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
};
enum { HONOURED = sizeof honoured / sizeof honoured[0] };
_Static_assert(HONOURED <= VARIABLES_MAX, "enlarge VARIABLES_MAX");

/* Those that are secrets, or of use only together with one. */
static const char *const secret[] = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
};
enum { SECRET = sizeof secret / sizeof secret[0] };

/* Other spellings, of the environment alone. */
static const char *const lower[] = {"https_proxy", "no_proxy"};
enum { LOWER = sizeof lower / sizeof lower[0] };

static const char *find_name(const char *const names[], size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return names[i];
    return NULL;
}

/* The spelling under which one is kept. */
static const char *canonical(const char *name)
{
    if (strcmp(name, "https_proxy") == 0)
        return "HTTPS_PROXY";
    return strcmp(name, "no_proxy") == 0 ? "NO_PROXY" : name;
}

bool config_is_variable(const char *name)
{
    return strncmp(name, "AWS_", 4) == 0 || strcmp(canonical(name), "HTTPS_PROXY") == 0 ||
           strcmp(canonical(name), "NO_PROXY") == 0;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

static int refuse_key(struct parse *parse, const char *name, const char *value)
{
    return parse_refuse(parse, "%s (%zu bytes) holds a private key", name, strlen(value));
}

/* White space around a value is none of it, wherever it comes from: here in its place, for all who
 * read it later. */
static void trim(char *value)
{
    static const char space[] = " \t\r\n";
    const size_t before = strspn(value, space), whole = strlen(value);
    size_t len = whole - before;

    while (len > 0 && strchr(space, value[before + len - 1]))
        len--;
    memmove(value, value + before, len);
    memset(value + len, 0, whole - len);
}

/* Those of the environment alone as well: each of them is sent somewhere. */
int config_variables_check(struct parse *parse)
{
    const char *name;
    char *value;

    parse->source = SOURCE_ENVIRONMENT;
    for (size_t i = 0; i < HONOURED + SECRET + LOWER; i++) {
        name = i < HONOURED            ? honoured[i]
               : i < HONOURED + SECRET ? secret[i - HONOURED]
                                       : lower[i - HONOURED - SECRET];
        value = getenv(name);
        (void)snprintf(parse->place, sizeof parse->place, "%s", name);
        if (value)
            trim(value);
        if (value && secrecy_holds_key(bytes_of_text(value)) && refuse_key(parse, name, value) &&
            !parse_collects(parse, NULL))
            return -1;
    }
    return 0;
}

int config_variable_set(struct parse *parse, const char *name, const char *value)
{
    struct config_variable *variable = parse->store->variables;
    const char *known = find_name(honoured, HONOURED, canonical(name));
    const char *why;
    char word[QUOTED_MAX];

    if (find_name(secret, SECRET, name))
        return parse_refuse(parse,
                            "%s may not stand in a file, where a secret would stay on disk; "
                            "give the agent a role, or set it in the agent's environment",
                            name);
    if (!known)
        return parse_refuse(parse, "unknown variable %s", quoted_name(word, name));
    for (; variable->name; variable++)
        if (variable->name == known)
            return parse_refuse(parse, "%s is given twice", known);
    if (secrecy_holds_key(bytes_of_text(value)))
        return refuse_key(parse, name, value);
    why = strcmp(known, "HTTPS_PROXY") == 0 && *value ? value_proxy(value) : NULL;
    if (why)
        return parse_refuse(parse, "%s %s %s", name, quoted_value(word, value, false), why);
    variable->value = parse_keep(parse, value, strlen(value));
    if (!variable->value)
        return -1;
    variable->name = known;
    return 0;
}

const char *config_variable(const struct config *config, const char *name)
{
    const char *value = getenv(name);

    if (value && !is_blank(value))
        return value;
    for (const struct config_variable *variable = config->variables; variable && variable->name;
         variable++)
        if (strcmp(variable->name, name) == 0)
            return is_blank(variable->value) ? NULL : variable->value;
    return NULL;
}
