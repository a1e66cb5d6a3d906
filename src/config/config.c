/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "config/options.h"

enum { DEADLINE_MS = 60 * 1000 }; /* as in the table */

static const char *const default_files[] = {
    "/.bottlerocket/bootstrap-containers/current/user-data",
    "/.bottlerocket/host-containers/current/user-data",
    "/etc/mtls-agent/agent.conf",
    "/etc/mtls-agent.conf",
    NULL,
};

static bool is_command(const struct config *config, const char *name)
{
    return config->command && strcmp(config->command, name) == 0;
}

/* Whether the command line may be no more than the image's own "fetch", beside Bottlerocket's user
 * data: there is no other place where the host's operator can say a command. */
static bool is_default_of_image(const struct parse *parse)
{
    const struct config *config = &parse->store->config;

    return (config->file == default_files[0] || config->file == default_files[1]) &&
           parse->store->argc == 2 && is_command(config, "fetch");
}

static int read_file(struct parse *parse)
{
    struct config *config = &parse->store->config;
    const bool named = config->file != NULL;

    config->file = config_file_find(config->file, default_files, &config->file_ignored);
    if (!config->file)
        return 0;
    if (is_default_of_image(parse))
        parse->store->set_by[option_find("command") - options] = SOURCE_NONE;
    if (config_file_read(parse) == 0)
        return 0;
    if (parse_collects(parse, NULL)) {
        parse->line = 0;
        return 0;
    }
    /* Another file is inspected whatever is wrong with this one. */
    if (named || !config->operand || !is_command(config, "inspect") || !parse_forgives(parse, NULL))
        return -1;
    config->file = NULL;
    return 0;
}

static int set_defaults(struct parse *parse)
{
    parse->source = SOURCE_DEFAULT;
    for (size_t i = 0; i < option_count; i++)
        if (options[i].fallback && option_set(parse, &options[i], options[i].fallback))
            return -1;
    return 0;
}

/* Fails on an option that is wrong only together with others, where it was set. */
static int refuse_option(struct parse *parse, const char *name, const char *why)
{
    parse->source = option_source(parse, name);
    if (parse->source == SOURCE_FILE)
        (void)snprintf(parse->place, sizeof parse->place, "%s", parse->store->config.file);
    else if (parse->source == SOURCE_ENVIRONMENT)
        option_variable(parse->place, option_find(name));
    else
        (void)snprintf(parse->place, sizeof parse->place, "--%s", name);
    (void)parse_refuse(parse, "%s %s", name, why);
    return parse_collects(parse, NULL) ? 0 : -1;
}

/* Whether anything but the command line took part. */
static bool is_configured(const struct parse *parse)
{
    bool any = parse->store->config.file != NULL;

    for (size_t i = 0; i < option_count; i++)
        any = any || parse->store->set_by[i] == SOURCE_ENVIRONMENT;
    return any;
}

/* On the command line an option is meant for the command that stands there. */
static int check_flags(struct parse *parse)
{
    const unsigned verb = verb_takes(verb_of(parse->store->config.command)) | parse->collects;
    char verbs[VERBS_TEXT_MAX], why[2 * VERBS_TEXT_MAX];

    for (size_t i = 0; verb && i < option_count; i++) {
        if (parse->store->set_by[i] != SOURCE_FLAGS || !options[i].verbs ||
            (options[i].verbs & verb))
            continue;
        (void)snprintf(why, sizeof why, "means nothing to %s: it is for %s",
                       parse->store->config.command, verbs_text(verbs, options[i].verbs));
        if (refuse_option(parse, options[i].name, why))
            return -1;
    }
    return 0;
}

/* Whether a path is that of a file that is installed. */
static bool is_of_set(const struct config *config, const char *path)
{
    static const char *const names[] = {"client.crt", "client.key", "ca.crt",
                                        "client.pem", "server.crt", "server.key"};
    const char *name = strrchr(path, '/') + 1;
    const size_t len = (size_t)(name - path) - 1;
    bool any = false;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        any = any || strcmp(name, names[i]) == 0;
    return any && strlen(config->dir) == len && strncmp(config->dir, path, len) == 0;
}

/* Each file that is written has one purpose. */
static int check_files(struct parse *parse)
{
    const struct config *config = &parse->store->config;
    const struct {
        const char *name, *path;
    } files[] = {{"config", config->file},
                 {"status-file", config->status_file},
                 {"metrics-file", config->metrics_file},
                 {"attest-pins", config->attest_pins},
                 {"log-file", config->log.file}};
    const size_t count = sizeof files / sizeof files[0];
    char why[64];

    for (size_t i = 1; i < count; i++) {
        if (!files[i].path)
            continue;
        if (is_of_set(config, files[i].path) &&
            refuse_option(parse, files[i].name, "is a file of the installed set"))
            return -1;
        for (size_t j = 0; j < i; j++) {
            if (!files[j].path || strcmp(files[i].path, files[j].path) != 0)
                continue;
            (void)snprintf(why, sizeof why, "is the file of %s as well", files[j].name);
            if (refuse_option(parse, files[i].name, why))
                return -1;
        }
    }
    return 0;
}

/* Who would wait for ever may as well be a mistake. */
static int check_waves(struct parse *parse)
{
    const struct config *config = &parse->store->config;

    if (config->wave_count == 0 || config->waves[config->wave_count - 1].percent == 100)
        return 0;
    return refuse_option(parse, "wave", "leaves hosts out: the last one must be 100%:DURATION");
}

static int check_rollback(struct parse *parse)
{
    const struct config *config = &parse->store->config;

    if (config->rollback_on_failure == ROLLBACK_NEVER)
        return 0;
    if (config->endpoint_count == 0 || config->probe_interval_ms == 0)
        return refuse_option(parse, "rollback-on-failure",
                             config->endpoint_count == 0
                                 ? "follows what the endpoints say, and there is none"
                                 : "follows what probes find, and probe-interval is 0s: none");
    if (config->keep_previous_ms == 0)
        return refuse_option(
            parse, "rollback-on-failure",
            "goes back to the previous set, and keep-previous is 0s: none is kept");
    return 0;
}

static int check_healthcheck(struct parse *parse)
{
    const struct config *config = &parse->store->config;

    if (!is_command(config, "healthcheck") || config->endpoint_count == 0 ||
        config->min_endpoints <= (int64_t)config->endpoint_count)
        return 0;
    return refuse_option(parse, "min-endpoints", "is more than there are endpoints");
}

/* What means nothing together. */
static int check_together(struct parse *parse)
{
    const struct config *config = &parse->store->config;
    const bool runs = is_command(config, "run");
    const struct {
        bool wrong;
        const char *option, *why;
    } flaws[] = {
        {config->version_id && config->set_count > 0 &&
             (config->set_count > 1 || config->sets[0].secret_count > 1),
         "version-id", "is of one secret, and there are several"},
        {config->endpoint_url && strncasecmp(config->endpoint_url, "http://", 7) == 0 &&
             !config->allow_plaintext_endpoint,
         "endpoint-url",
         "is http://, over which keys travel in the clear; for a test on this machine there is "
         "allow-plaintext-endpoint"},
        {config->role_session_name && !config->role_arn, "role-session-name",
         "names the session of no role-arn"},
        {config->role_external_id && !config->role_arn, "role-external-id",
         "is given to no role-arn"},
        {config->rehearse == REHEARSE_REQUIRE && config->endpoint_count == 0, "rehearse",
         "is \"require\", and there is no endpoint to ask"},
        {config->dry_run && (config->endpoint_count == 0 || config->rehearse == REHEARSE_OFF),
         "dry-run", "proves nothing without an endpoint to ask"},
        {config->rollback && config->dry_run, "rollback",
         "changes what is installed, and dry-run does not"},
        {runs && config->dry_run, "dry-run", "is for fetch, once; run stays"},
        {runs && config->rollback, "rollback", "is for fetch, once; run stays"},
    };

    for (size_t i = 0; i < sizeof flaws / sizeof flaws[0]; i++)
        if (flaws[i].wrong && refuse_option(parse, flaws[i].option, flaws[i].why))
            return -1;
    return 0;
}

static int check_attest(struct parse *parse, const char *option, const char *why)
{
    const int refused = why ? refuse_option(parse, option, why) : 0;

    if (why && strcmp(option, "attest") == 0) /* a policy, wherever its parts are from */
        parse->err->code = ERR_CONFIG;
    return refused;
}

static int check_secret(struct parse *parse)
{
    const struct config *config = &parse->store->config;

    if (!(is_command(config, "fetch") || is_command(config, "run")) || config->set_count > 0 ||
        config->mistake_count > 0) /* of which one may have been the secret */
        return 0;
    (void)err_set(
        parse->err, is_configured(parse) ? ERR_CONFIG : ERR_USAGE, config->file,
        "%s needs a secret: --secret, MTLS_AGENT_SECRET, or a line \"secret = ...\" in the "
        "configuration file",
        config->command);
    return parse_collects(parse, NULL) ? 0 : -1;
}

/* Nothing is begun that would end at a path. */
static int check_dir(struct parse *parse)
{
    enum { PATH_LENGTH_MAX = 1023 };
    const struct config *config = &parse->store->config;
    const size_t len = strlen(config->root) + strlen(config->dir);
    size_t longest = 0;

    for (size_t i = 0; i < config->set_count; i++)
        if (strlen(config->sets[i].sub) > longest)
            longest = strlen(config->sets[i].sub);
    if (len + (longest > 0) + longest <= PATH_LENGTH_MAX)
        return 0;
    return refuse_option(parse, "dir", "is too long, with root and the names of sets");
}

static int check_whole(struct parse *parse)
{
    struct config *config = &parse->store->config;
    const char *option, *why = config_attest_flaw(parse, &option);

    if (!is_command(config, "probe"))
        config->request = NULL; /* one file may serve all commands, and it would take the place of
                                   what the others ask */
    if (option_source(parse, "key-mode") == SOURCE_DEFAULT && parse->group_named &&
        config->group != getegid())
        config->key_mode = 0640;
    if (check_flags(parse) || check_healthcheck(parse) || check_dir(parse))
        return -1;
    /* What only looks takes of all this what it needs, and leaves the rest to run. */
    if (verb_of(config->command) & (VERB_INSPECT | VERB_STATUS | VERB_HEALTHCHECK | VERB_PURGE))
        return 0;
    if (check_files(parse) || check_waves(parse) ||
        (is_command(config, "run") && check_rollback(parse)) || check_together(parse))
        return -1;
    if (config->version_id && option_source(parse, "version-stage") == SOURCE_DEFAULT)
        config->version_stage = NULL;
    return check_attest(parse, option, why) || check_secret(parse) ? -1 : 0;
}

/* check-config: the verb whose view is taken is the one behind it, else the file's, else run. */
static int choose_view(struct parse *parse)
{
    struct config *config = &parse->store->config;
    const struct option *command = option_find("command");
    char shown[QUOTED_MAX];

    if (parse->collects != VERB_CHECK_CONFIG)
        return 0;
    if (config->operand && !verb_of(config->operand))
        return err_set(parse->err, ERR_USAGE, quoted_name(shown, config->operand), "%s",
                       value_command(""));
    if (!config->operand)
        parse->store->set_by[command - options] = SOURCE_NONE;
    config->command = config->operand ? config->operand : "run";
    config->operand = NULL;
    return 0;
}

static int read_sources(struct parse *parse)
{
    struct config *config = &parse->store->config;

    if (config_flags_read(parse, parse->store->argc, parse->store->argv) || choose_view(parse) ||
        config_env_read(parse) || config_variables_check(parse) || read_file(parse) ||
        set_defaults(parse) || check_whole(parse))
        return -1;
    if (parse->collects == VERB_CHECK_CONFIG) {
        config->view = config->command;
        config->command = "check-config";
    }
    return 0;
}

int config_parse(int argc, char *const argv[], struct config **out, struct err *err)
{
    struct store *store = calloc(1, sizeof *store);
    struct parse parse = {.store = store, .err = err};

    if (!store)
        return parse_starved(&parse);
    store->config.variables = store->variables;
    store->config.at = CONFIG_NOW;
    store->argc = argc;
    store->argv = argv;
    if (read_sources(&parse)) {
        config_free(&store->config);
        return -1;
    }
    *out = &store->config;
    return 0;
}

struct config *config_first(int argc, char *const argv[])
{
    struct store *store = calloc(1, sizeof *store);
    struct err ignored;
    struct parse parse = {.store = store, .err = &ignored};

    if (!store)
        return NULL;
    if (config_flags_read(&parse, argc, argv) == 0)
        (void)config_env_read(&parse);
    if (store->config.deadline_ms <= 0)
        store->config.deadline_ms = DEADLINE_MS;
    return &store->config;
}

int config_reload(const struct config *current, struct config **out, struct err *err)
{
    const struct store *old = (const struct store *)current, *new;
    struct config *config = NULL;

    if (config_parse(old->argc, old->argv, &config, err) < 0 || !config)
        return -1;
    new = (const struct store *)config;
    for (size_t i = 0; i < option_count; i++) {
        if (!(options[i].flags & OPTION_FIXED) || new->digests[i] == old->digests[i])
            continue;
        (void)err_set(err, ERR_CONFIG, config->file,
                      "%s cannot change while the agent runs: restart it", options[i].name);
        config_free(config);
        return -1;
    }
    *out = config;
    return 0;
}

void config_free(struct config *config)
{
    struct store *store = (struct store *)config;

    if (!store)
        return;
    while (store->texts) {
        struct text *next = store->texts->next;

        free(store->texts);
        store->texts = next;
    }
    free(store->config.endpoints);
    free(store);
}

void config_log(const struct config *config)
{
    if (config->file)
        log_event(LOG_LEVEL_INFO, "config_read", log_s("file", config->file));
    if (config->file_ignored)
        log_event(LOG_LEVEL_WARNING, "config_ignored", log_s("file", config->file_ignored),
                  log_s("read", config->file));
    if (config->mistake_count > 0 && !config->view) {
        const struct config_mistake *first = &config->mistakes[0];
        char text[ERR_SUBJECT_MAX + ERR_REASON_MAX + 2];

        (void)snprintf(text, sizeof text, "%s: %s", first->place, first->reason);
        log_event(LOG_LEVEL_WARNING, "config_mistake", log_s("reason", text));
    }
    config_env_log();
    config_attest_log(config);
}

const char *config_set_name(const struct config *config, size_t set)
{
    const char *sub = config->sets[set].sub;

    return *sub ? sub : config->dir;
}
