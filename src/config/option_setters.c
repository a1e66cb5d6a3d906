/* SPDX-License-Identifier: Apache-2.0 */
#include "config/option_setters.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/config_values.h"
#include "config/options.h"

/* Choices are stored through unsigned. */
_Static_assert(_Generic((enum rehearse_policy)0, unsigned: 1, default: 0) &&
                   _Generic((enum tls_choice)0, unsigned: 1, default: 0) &&
                   _Generic((enum attest_policy)0, unsigned: 1, default: 0) &&
                   _Generic((enum attest_convention)0, unsigned: 1, default: 0) &&
                   _Generic((enum log_level)0, unsigned: 1, default: 0) &&
                   _Generic((enum log_format)0, unsigned: 1, default: 0),
               "enumerations are unsigned");

#define COUNTED(texts, count)                                                                      \
    _Static_assert(offsetof(struct config, count) ==                                               \
                       offsetof(struct config, texts) + CONFIG_TEXTS_MAX * sizeof(char *),         \
                   "a number stands behind its texts")
COUNTED(fallback_regions, fallback_region_count);
COUNTED(attest_pcrs, attest_pcr_count);
COUNTED(expect_sans, expect_san_count);
COUNTED(forbidden, forbidden_count);

const char setter_no_memory[] = "does not fit into memory";

/* Formats a setter's clause. */
static const char *clause(struct parse *parse, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static const char *clause(struct parse *parse, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(parse->why, sizeof parse->why, format, arguments);
    va_end(arguments);
    return parse->why;
}

static void *field(struct parse *parse, const struct option *option)
{
    return (char *)&parse->store->config + option->field;
}

const char *set_text(struct parse *parse, const struct option *option, const char *text)
{
    const char *why = option->check ? option->check(text) : NULL;

    if (!why)
        *(const char **)field(parse, option) = text;
    return why;
}

/* One more of a list, where nothing is wrong with it. */
static const char *counted(const char *why, size_t *count)
{
    *count += why == NULL;
    return why;
}

/* One more text of those that have their number behind them. */
const char *set_texts(struct parse *parse, const struct option *option, const char *text)
{
    const char **texts = field(parse, option);
    size_t *count = (size_t *)(void *)(texts + CONFIG_TEXTS_MAX);

    if (*count == CONFIG_TEXTS_MAX)
        return clause(parse, "is one too many: at most %d", CONFIG_TEXTS_MAX);
    texts[*count] = text;
    return counted(option->check(text), count);
}

const char *set_bool(struct parse *parse, const struct option *option, const char *text)
{
    return value_bool(text, field(parse, option));
}

/* The place of text among the words of a metavar "a|b|c"; -1: not one of them. */
static int word_index(const char *words, const char *text)
{
    for (int index = 0;; index++) {
        size_t len = strcspn(words, "|");

        if (len == strlen(text) && memcmp(words, text, len) == 0)
            return index;
        if (words[len] == '\0')
            return -1;
        words += len + 1;
    }
}

const char *set_choice(struct parse *parse, const struct option *option, const char *text)
{
    int index = word_index(option->metavar, text);

    if (index < 0)
        return clause(parse, "is not one of %s", option->metavar);
    *(unsigned *)field(parse, option) = (unsigned)index;
    return NULL;
}

/* A choice of two; true: the second. */
const char *set_second(struct parse *parse, const struct option *option, const char *text)
{
    int index = word_index(option->metavar, text);

    if (index < 0)
        return clause(parse, "is not one of %s", option->metavar);
    *(bool *)field(parse, option) = index > 0;
    return NULL;
}

const char *set_duration(struct parse *parse, const struct option *option, const char *text)
{
    int64_t ms, least = 0, most = INT64_MAX;
    const char *why = value_duration(text, &ms);

    if (why)
        return why;
    (void)value_duration(option->least, &least);
    (void)value_duration(option->most, &most);
    if (ms < least || ms > most)
        return clause(parse, "is not within %s to %s", option->least, option->most);
    *(int64_t *)field(parse, option) = ms;
    return NULL;
}

const char *set_number(struct parse *parse, const struct option *option, const char *text)
{
    int64_t most = 0;

    (void)value_number(option->most, &most);
    if (value_number(text, field(parse, option)) || *(int64_t *)field(parse, option) < 1 ||
        *(int64_t *)field(parse, option) > most)
        return clause(parse, "is not a number from 1 to %s", option->most);
    return NULL;
}

const char *set_mode(struct parse *parse, const struct option *option, const char *text)
{
    mode_t mode, least = 0, most = 0;
    const char *why = value_mode(text, &mode);

    if (why)
        return why;
    (void)value_mode(option->least, &least);
    (void)value_mode(option->most, &most);
    if ((mode & least) != least || (mode & ~most) != 0)
        return clause(parse, "does not have the bits %s, or has others than %s", option->least,
                      option->most);
    *(mode_t *)field(parse, option) = mode;
    return NULL;
}

const char *set_owner(struct parse *parse, const struct option *option, const char *text)
{
    struct config *config = &parse->store->config;
    struct value_owner value;
    const char *why = value_owner(text, &value);

    (void)option;
    if (why)
        return why;
    config->owner_set = true;
    config->owner = value.owner;
    config->group = value.group;
    parse->group_named = value.group_named;
    return NULL;
}

const char *set_reader(struct parse *parse, const struct option *option, const char *text)
{
    struct config *config = &parse->store->config;
    struct value_owner value;
    const char *why = value_owner(text, &value);

    (void)option;
    config->reader_set = !why;
    config->reader = value.owner;
    config->reader_group = value.group_named ? value.group : (gid_t)value.owner;
    return why;
}

static struct config_set *find_set(struct config *config, const char *sub)
{
    struct config_set *set = config->sets;

    while (set < config->sets + config->set_count && strcmp(set->sub, sub) != 0)
        set++;
    if (set == config->sets + CONFIG_SETS_MAX)
        return NULL;
    if (set == config->sets + config->set_count) {
        memcpy(set->sub, sub, strlen(sub) + 1);
        config->set_count++;
    }
    return set;
}

const char *set_secret(struct parse *parse, const struct option *option, const char *text)
{
    char sub[CONFIG_SUB_MAX];
    const char *id;
    const char *why = value_secret(text, sub, &id);
    struct config_set *set;

    (void)option;
    if (why)
        return why;
    parse->sound = true;
    set = find_set(&parse->store->config, sub);
    if (!set)
        return clause(parse, "is one subdirectory too many: at most %d", CONFIG_SETS_MAX);
    for (size_t i = 0; i < set->secret_count; i++)
        if (strcmp(set->secrets[i], id) == 0)
            return "is given twice";
    if (set->secret_count == CONFIG_SECRETS_MAX)
        return clause(parse, "is one too many for its directory: at most %d", CONFIG_SECRETS_MAX);
    set->secrets[set->secret_count++] = id;
    return NULL;
}

/* The endpoints with room for one more, or NULL: it doubles at each power of two. */
static struct endpoint *grow_endpoints(const struct config *config)
{
    size_t count = config->endpoint_count;

    if (count & (count - 1))
        return config->endpoints;
    return realloc(config->endpoints, (count ? 2 * count : 1) * sizeof *config->endpoints);
}

const char *set_endpoint(struct parse *parse, const struct option *option, const char *text)
{
    struct config *config = &parse->store->config;
    struct endpoint *endpoints;

    (void)option;
    if (config->endpoint_count == CONFIG_ENDPOINTS_MAX)
        return clause(parse, "is one too many: at most %d", CONFIG_ENDPOINTS_MAX);
    endpoints = grow_endpoints(config);
    if (!endpoints)
        return setter_no_memory;
    config->endpoints = endpoints;
    config->endpoints[config->endpoint_count] = (struct endpoint){0};
    return counted(value_endpoint(text, &config->endpoints[config->endpoint_count]),
                   &config->endpoint_count);
}

const char *set_expect_ca(struct parse *parse, const struct option *option, const char *text)
{
    struct config *config = &parse->store->config;
    char *copy;

    (void)option;
    if (config->expect_ca_count == CONFIG_EXPECT_CAS_MAX)
        return clause(parse, "is one too many: at most %d", CONFIG_EXPECT_CAS_MAX);
    copy = (char *)parse_keep(parse, text, strlen(text));
    if (!copy)
        return setter_no_memory;
    config->expect_cas[config->expect_ca_count] = copy;
    return counted(value_fingerprint(copy), &config->expect_ca_count);
}

/* In the order of enum attest_binding. */
const char *set_binding(struct parse *parse, const struct option *option, const char *text)
{
    static const char words[] = "none|leaf-sha256|leaf-sha384|leaf-sha512|spki-sha256|spki-sha384|"
                                "spki-sha512|spki|public-key|exporter";
    const int index = word_index(words, text);

    if (index < 0)
        return clause(parse, "is not one of %s", words);
    *(unsigned *)field(parse, option) = (unsigned)index;
    return NULL;
}

const char *set_roots(struct parse *parse, const struct option *option, const char *text)
{
    (void)option;
    parse->sound = true;
    return value_roots(text, &parse->store->config);
}

const char *set_time(struct parse *parse, const struct option *option, const char *text)
{
    return clock_parse(text, field(parse, option)) < 0
               ? "is not a time in UTC, such as 2024-09-09T19:49:12Z"
               : NULL;
}

/* A boolean, or that only what nobody on the way could have forged is a refusal. */
const char *set_rollback(struct parse *parse, const struct option *option, const char *text)
{
    const bool proven = strcmp(text, "authenticated") == 0;
    bool on = false;
    const char *why = proven ? NULL : value_bool(text, &on);

    *(enum rollback_policy *)field(parse, option) = proven ? ROLLBACK_AUTHENTICATED
                                                    : on   ? ROLLBACK_REFUSED
                                                           : ROLLBACK_NEVER;
    return why;
}

#define WAVE_MAX_MS (INT64_C(30) * 24 * 3600 * 1000)

/* Each wave has more hosts than the one before it, and none waits less. */
const char *set_wave(struct parse *parse, const struct option *option, const char *text)
{
    struct config *config = &parse->store->config;
    struct wave wave = {0}, before = {0};
    char *end;

    (void)option;
    if (config->wave_count == CONFIG_WAVES_MAX)
        return clause(parse, "is one too many: at most %d", CONFIG_WAVES_MAX);
    if (config->wave_count > 0)
        before = config->waves[config->wave_count - 1];
    wave.percent = strtoul(text, &end, 10);
    if (end == text || strspn(text, "0123456789") != (size_t)(end - text) ||
        strncmp(end, "%:", 2) != 0 || value_duration(end + 2, &wave.delay_ms))
        return "is no share of all hosts and how long that waits, such as 50%:10m";
    if (wave.percent <= before.percent || wave.percent > 100 || wave.delay_ms < before.delay_ms ||
        wave.delay_ms > WAVE_MAX_MS)
        return "must have more hosts than the wave before it, 100% at most, and wait no less, 30d "
               "at most";
    config->waves[config->wave_count++] = wave;
    return NULL;
}

const char *set_words(struct parse *parse, const struct option *option, const char *text)
{
    char *copy = (char *)parse_keep(parse, text, strlen(text));

    return copy ? value_words(copy, field(parse, option)) : setter_no_memory;
}

const char *set_signal(struct parse *parse, const struct option *option, const char *text)
{
    struct config *config = &parse->store->config;

    (void)option;
    if (config->on_change_signal_count == CONFIG_SIGNALS_MAX)
        return clause(parse, "is one too many: at most %d", CONFIG_SIGNALS_MAX);
    return counted(value_signal(text, &config->on_change_signals[config->on_change_signal_count]),
                   &config->on_change_signal_count);
}
