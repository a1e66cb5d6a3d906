/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/options.h"

static const char prefix[] = "MTLS_AGENT_";

/* What a hook is told by (hook/hook.h); it may run this program itself. */
static const char fact_prefix[] = "MTLS_AGENT_CHANGE_";

void option_variable(char out[OPTION_VARIABLE_MAX], const struct option *option)
{
    size_t len = (size_t)snprintf(out, OPTION_VARIABLE_MAX, "%s%s", prefix, option->name);

    for (size_t i = 0; i < len && i < OPTION_VARIABLE_MAX; i++)
        if (out[i] == '-')
            out[i] = '_';
        else if (out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)(out[i] - 'a' + 'A');
}

/* Takes the variable's value for the option; a blank one counts as unset. */
static int read_variable(struct parse *parse, const char *variable, const struct option *option)
{
    const char *value = getenv(variable);

    if (!value || value[strspn(value, " \t\r\n")] == '\0')
        return 0;
    (void)snprintf(parse->place, sizeof parse->place, "%s", variable);
    if (option->flags & OPTION_NOT_IN_ENVIRONMENT)
        return parse_refuse(parse, "%s cannot be set by a variable", option->name);
    return option_set(parse, option, value) == 0 || parse_forgives(parse, option) ? 0 : -1;
}

int config_env_read(struct parse *parse)
{
    const struct option *endpoint = option_find("endpoint");
    char variable[OPTION_VARIABLE_MAX];

    parse->source = SOURCE_ENVIRONMENT;
    for (size_t i = 0; i < option_count; i++) {
        option_variable(variable, &options[i]);
        if (!(options[i].flags & OPTION_FILE_ONLY) && read_variable(parse, variable, &options[i]))
            return -1;
    }
    /* The applications' own variable. */
    if (parse->given_by[endpoint - options] != SOURCE_ENVIRONMENT)
        return read_variable(parse, "ENCLAVE_ENDPOINT", endpoint);
    return 0;
}

/* Whether an environment entry NAME=VALUE has our prefix, in whatever spelling. */
static bool is_ours(const char *entry)
{
    for (size_t i = 0; prefix[i]; i++) {
        const char c = entry[i] == '-' ? '_' : entry[i];

        if (c != prefix[i] && !(c >= 'a' && c <= 'z' && c - 'a' + 'A' == prefix[i]))
            return false;
    }
    return true;
}

/* Whether an entry of ours sets an option; name gets the option's name that NAME stands for. */
static bool is_known(const char *entry, char name[QUOTED_MAX])
{
    const char *word = entry + strlen(prefix);
    size_t len = strcspn(word, "=");
    char variable[OPTION_VARIABLE_MAX];
    const struct option *option;

    if (len >= QUOTED_MAX)
        len = QUOTED_MAX - 1;
    for (size_t i = 0; i < len; i++) {
        char c = word[i];

        name[i] = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    name[len] = '\0';
    option = option_find(name);
    if (!option || (option->flags & OPTION_FILE_ONLY))
        return false;
    option_variable(variable, option);
    return strncmp(entry, variable, strlen(variable)) == 0 && entry[strlen(variable)] == '=';
}

/* near gets the one that may be meant, else "". */
static bool is_unknown(const char *entry, char name[QUOTED_MAX], char near[OPTION_VARIABLE_MAX])
{
    const struct option *option;

    if (!is_ours(entry) || strncmp(entry, fact_prefix, strlen(fact_prefix)) == 0 ||
        is_known(entry, name))
        return false;
    option = option_near(name, OPTION_FILE_ONLY);
    near[0] = '\0';
    if (option)
        option_variable(near, option);
    (void)snprintf(name, QUOTED_MAX, "%.*s", (int)strcspn(entry, "="), entry);
    return true;
}

void config_env_log(void)
{
    char name[QUOTED_MAX], near[OPTION_VARIABLE_MAX];

    for (char **entry = environ; entry && *entry; entry++)
        if (is_unknown(*entry, name, near))
            log_event(LOG_LEVEL_WARNING, "variable_unknown", log_s("variable", name),
                      log_s("did_you_mean", near[0] ? near : NULL));
}

void config_env_review(config_told *told, void *user)
{
    char name[QUOTED_MAX], near[OPTION_VARIABLE_MAX], reason[2 * OPTION_VARIABLE_MAX];

    for (char **entry = environ; entry && *entry; entry++) {
        if (!is_unknown(*entry, name, near))
            continue;
        (void)snprintf(reason, sizeof reason, "is no option's variable%s%s%s",
                       near[0] ? "; did you mean " : "", near, near[0] ? "?" : "");
        told(user, name, reason);
    }
}
