/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "config/options.h"

/* Words that are no flags: the command, then its operand; which commands have one, main knows. */
static int read_word(struct parse *parse, const char *word)
{
    const struct option *command = option_find("command");
    struct config *config = &parse->store->config;
    char shown[QUOTED_MAX];

    (void)snprintf(parse->place, sizeof parse->place, "command line");
    if (option_source(parse, command->name) != SOURCE_FLAGS) {
        parse->collects = verb_of(word) & (VERB_DOCTOR | VERB_CHECK_CONFIG);
        return option_set(parse, command, word);
    }
    if (config->operand && (config->other || verb_of(config->command) != VERB_INSPECT))
        return parse_refuse(parse, "unexpected word %s", quoted_name(shown, word));
    word = parse_keep(parse, word, strlen(word));
    *(config->operand ? &config->other : &config->operand) = word;
    return word ? 0 : -1;
}

static bool is_flag(const char *argument)
{
    return argument[0] == '-' && argument[1] != '\0'; /* "-" alone is standard input */
}

/* --name=value, --name value, or a boolean's --name; next may be NULL. Sets *used where next was
 * the value, and *which. */
static int read_flag(struct parse *parse, const char *flag, const char *next, bool *used,
                     const struct option **which)
{
    const struct option *option;
    const char *value = strchr(flag, '=');
    size_t len = value ? (size_t)(value - flag) : strlen(flag);
    char name[QUOTED_MAX], shown[QUOTED_MAX];

    (void)snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name), flag);
    /* Of what is no option's name, nothing is shown that might be something else. */
    (void)snprintf(parse->place, sizeof parse->place, "%s",
                   *quoted_name(shown, name) == '"' ? name : "command line");
    if (strncmp(name, "--", 2) != 0)
        return parse_refuse(parse, "unknown option; all are words behind \"--\"");
    option = option_named(parse, name + 2);
    *which = option;
    if (!option)
        return -1;
    if (value)
        return option_set(parse, option, value + 1);
    if (!option->metavar)
        return option_set(parse, option, "true");
    if (!next || strncmp(next, "--", 2) == 0)
        return parse_refuse(parse, "needs a value: --%s %s", option->name, option->metavar);
    *used = true;
    return option_set(parse, option, next);
}

int config_flags_read(struct parse *parse, int argc, char *const argv[])
{
    parse->source = SOURCE_FLAGS;
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        const struct option *option = NULL;
        bool used = false;

        if ((is_flag(argv[i]) ? read_flag(parse, argv[i], next, &used, &option)
                              : read_word(parse, argv[i])) &&
            !parse_collects(parse, option))
            return -1;
        i += used;
    }
    return 0;
}
