/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secrecy.h"
#include "config/options.h"

/* Of a word; of how many letters two may differ; of a value that is shown. */
enum { WORD_MAX = 32, NEAR = 2, SHOWN_MAX = 96 };

int parse_refuse(struct parse *parse, const char *format, ...)
{
    enum err_code code = parse->source == SOURCE_FLAGS ? ERR_USAGE : ERR_CONFIG;
    char reason[ERR_REASON_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (parse->line > 0)
        return err_set(parse->err, code, parse->place, "line %u: %s", parse->line, reason);
    return err_set(parse->err, code, parse->place, "%s", reason);
}

#pragma GCC diagnostic push
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak" /* the store's list has what is kept */
#endif
bool parse_collects(struct parse *parse, const struct option *option)
{
    return parse->collects && parse_forgives(parse, option);
}

bool parse_forgives(struct parse *parse, const struct option *option)
{
    const unsigned verb = verb_of(parse->store->config.command);
    const unsigned looks = VERB_INSPECT | VERB_STATUS | VERB_HEALTHCHECK;
    const unsigned asks = VERB_PROBE | VERB_ATTEST;
    const bool spare = option && option->flags & OPTION_SPARE;
    struct config *config = &parse->store->config;
    const bool usage = parse->err->code == ERR_USAGE && parse->collects == VERB_CHECK_CONFIG;
    struct config_mistake mistake;

    if (!usage && (parse->err->code != ERR_CONFIG ||
                   !(parse->collects || verb & (looks | VERB_PURGE | (spare ? asks : 0)))))
        return false;
    if (!parse->collects && option && !spare &&
        !((option->flags & OPTION_PLAIN) && (verb & looks)) &&
        (!option->verbs || (option->verbs & verb)))
        return false;
    if (option && parse->store->set_by[option - options] == parse->source)
        parse->store->set_by[option - options] = SOURCE_NONE;
    if (config->mistake_count == CONFIG_MISTAKES_MAX)
        return true;
    mistake.place = parse_keep(parse, parse->err->subject, strlen(parse->err->subject));
    mistake.reason = parse_keep(parse, parse->err->reason, strlen(parse->err->reason));
    if (!mistake.place || !mistake.reason)
        return false;
    config->mistakes[config->mistake_count++] = mistake;
    return true;
}

int parse_starved(struct parse *parse)
{
    return err_set(parse->err, CAUSE_HEAP_FULL, parse->place, "no room for the configuration");
}

const char *parse_keep(struct parse *parse, const char *text, size_t len)
{
    struct store *store = parse->store;
    struct text *kept = malloc(sizeof *kept + len + 1);

    if (!kept) {
        (void)parse_starved(parse);
        return NULL;
    }
    memcpy(kept->text, text, len);
    kept->text[len] = '\0';
    kept->next = store->texts;
    store->texts = kept;
    return kept->text;
}
#pragma GCC diagnostic pop

/* Such a word is a name that somebody mistyped; base64 has letters of both kinds. */
static bool is_word(const char *text, const char *letters)
{
    const size_t len = strspn(text, letters);

    return len <= WORD_MAX && text[len] == '\0';
}

const char *quoted_name(char out[QUOTED_MAX], const char *name)
{
    const bool shown = is_word(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") ||
                       is_word(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    if (shown)
        (void)snprintf(out, QUOTED_MAX, "\"%s\"", name);
    else
        (void)snprintf(out, QUOTED_MAX, "(%zu bytes)", strlen(name));
    return out;
}

const char *quoted_value(char out[QUOTED_MAX], const char *value, bool sound)
{
    char shown[SECRECY_QUOTED_MAX];

    if (sound)
        (void)snprintf(out, QUOTED_MAX, "\"%.*s%s\"", SHOWN_MAX, value,
                       strlen(value) > SHOWN_MAX ? "..." : "");
    else
        (void)snprintf(out, QUOTED_MAX, "%s", secrecy_quoted(shown, value));
    return out;
}

/* Levenshtein's distance of two words, of at most WORD_MAX bytes each. */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1];
    size_t b_len = strlen(b);

    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < b_len; j++) {
            size_t changed = diagonal + (a[i] != b[j]);

            diagonal = row[j + 1];
            row[j + 1] = least(changed, 1 + least(row[j], row[j + 1]));
        }
    }
    return row[b_len];
}

const struct option *option_near(const char *name, unsigned without)
{
    const struct option *nearest = NULL;
    size_t best = least(NEAR + 1, strlen(name));

    if (strlen(name) > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < option_count; i++) {
        size_t this = distance(options[i].name, name);

        if (this < best && !(options[i].flags & without)) {
            best = this;
            nearest = &options[i];
        }
    }
    return nearest;
}
