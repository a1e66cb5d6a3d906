/* SPDX-License-Identifier: Apache-2.0 */
#include "process/confine.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/target.h"
#include "aws/credentials.h"
#include "aws/profile.h"
#include "base/err.h"
#include "base/log.h"
#include "config/config.h"
#include "identity/bundle.h"
#include "install/install.h"
#include "process/lookout.h"
#include "run/status.h"
#include "sandbox/sandbox.h"

static struct {
    bool on;
    unsigned needs;
    bool standing;              /* each set has a file in place */
    bool foreign;               /* with the rights to work on other users' files */
    bool told;                  /* that system calls were refused */
    struct sandbox_paths paths; /* in force */
} confinement;

/* Keys may be another user's: then the rights to them are kept. False: there is no file. */
static bool allow_set(struct sandbox_paths *paths, const char *directory, unsigned rights)
{
    char file[SANDBOX_PATH_MAX];
    bool any = false;
    int field;

    sandbox_allow_directory(paths, directory, rights);
    for (field = 0; field <= BUNDLE_FIELDS; field++) {
        const char *name =
            field < BUNDLE_FIELDS ? bundle_field_file((enum bundle_field)field) : INSTALL_COMBINED;

        if (snprintf(file, sizeof file, "%s/%s", directory, name) < (int)sizeof file &&
            access(file, F_OK) == 0) {
            sandbox_allow_below(paths, directory, file);
            any = true;
        }
    }
    return any;
}

/* Each subdirectory by itself, too: it may be a link to elsewhere. Whether each set has a file. */
static bool allow_target(struct sandbox_paths *paths, const struct config *config, unsigned rights)
{
    struct install_target target = agent_target(config, "", 0);
    char path[INSTALL_WHERE_MAX];
    bool any, standing = true;
    size_t i;

    (void)install_where(&target, path);
    any = allow_set(paths, path, rights);
    for (i = 0; i < config->set_count; i++) {
        if (config->sets[i].sub[0]) {
            target.sub = config->sets[i].sub;
            (void)install_where(&target, path);
            standing = allow_set(paths, path, rights) && standing;
        } else {
            standing = any && standing;
        }
    }
    return standing;
}

static void allow_named(struct sandbox_paths *paths, const char *file)
{
    if (file && *file && strncmp(file, "-----BEGIN ", 11) != 0)
        sandbox_allow_file(paths, file, SANDBOX_READ);
}

/* The files that lines of a shared file name by a property, whichever profile's. */
static void allow_property(struct sandbox_paths *paths, const struct profile_file *file,
                           const char *property)
{
    size_t i;

    for (i = 0; i < profile_file_count(file); i++) {
        const struct profile_line *line = profile_file_line(file, i);

        if (line->name && strcmp(line->name, property) == 0)
            allow_named(paths, line->value);
    }
}

static void allow_file(struct sandbox_paths *paths, const struct config *config,
                       const struct profiles *profiles, const struct credentials_file *file)
{
    if (file->variable)
        allow_named(paths, config_variable(config, file->variable));
    if (file->property && profiles) {
        allow_property(paths, &profiles->config, file->property);
        allow_property(paths, &profiles->credentials, file->property);
    }
}

/* Where nobody named the file, a directory that is not there is none to wait for. */
static void allow_shared_file(struct sandbox_paths *paths, const struct config *config,
                              enum profile_file_kind kind, const char *variable)
{
    char path[PROFILE_PATH_MAX], directory[PROFILE_PATH_MAX];
    char *slash;

    if (profile_path(config, kind, path) < 0)
        return;
    (void)snprintf(directory, sizeof directory, "%s", path);
    slash = strrchr(directory, '/');
    if (slash)
        *slash = '\0';
    if (config_variable(config, variable) || !slash || access(directory, F_OK) == 0)
        sandbox_allow_file(paths, path, SANDBOX_READ);
}

static void allow_aws(struct sandbox_paths *paths, const struct config *config)
{
    static const struct credentials_file bundle = {"AWS_CA_BUNDLE", "ca_bundle"};
    const struct credentials_file *file;
    struct profiles *profiles = NULL;
    struct err ignored;
    size_t i;

    (void)profiles_load(config, &profiles, &ignored);
    allow_named(paths, config->ca_bundle);
    allow_file(paths, config, profiles, &bundle);
    for (i = 0; (file = credentials_file(i)); i++)
        allow_file(paths, config, profiles, file);
    profiles_free(profiles);
    allow_shared_file(paths, config, PROFILE_CONFIG, "AWS_CONFIG_FILE");
    allow_shared_file(paths, config, PROFILE_CREDENTIALS, "AWS_SHARED_CREDENTIALS_FILE");
}

/* alone: as they are now. */
static void allow_etc(struct sandbox_paths *paths, unsigned needs, bool alone)
{
    if (needs & NEED_NETWORK) {
        sandbox_allow_neighbour(paths, "/etc/resolv.conf", alone);
        sandbox_allow_neighbour(paths, "/etc/hosts", alone);
    }
    if (needs & NEED_RELOAD) {
        sandbox_allow_neighbour(paths, "/etc/passwd", true);
        sandbox_allow_neighbour(paths, "/etc/group", true);
    }
}

static void allow_status(struct sandbox_paths *paths, const struct config *config, unsigned needs)
{
    const unsigned replace = SANDBOX_REPLACE | (needs & NEED_STATUS ? (unsigned)SANDBOX_LIST : 0U);
    const unsigned rights = needs & NEED_PUBLISH ? replace : SANDBOX_READ;
    char path[STATUS_PATH_MAX];

    status_path(config, path);
    if (needs & NEED_STATUS)
        sandbox_allow_file(paths, path, SANDBOX_READ);
    if (needs & NEED_STATUS && access(STATUS_ELSEWHERE, F_OK) == 0)
        sandbox_allow_directory(paths, STATUS_ELSEWHERE, rights);
    if (needs & NEED_PUBLISH)
        sandbox_allow_file(paths, path, replace);
    if (needs & NEED_PUBLISH && config->metrics_file)
        sandbox_allow_file(paths, config->metrics_file, replace);
}

/* Where the lock lies in the target there is nothing to add. An operator's own directory is judged
 * again when it is used. */
static void allow_locks(struct sandbox_paths *paths, const struct config *config, unsigned needs)
{
    const struct install_target target = agent_target(config, "", 0);
    const bool change = needs & NEED_INSTALL;
    const char *directory;

    if (!(change || needs & NEED_STATUS))
        return;
    if (install_lock_directory(&target, change, &directory) || target.lock_dir)
        sandbox_allow_directory(paths, directory,
                                change ? SANDBOX_READ | SANDBOX_APPEND : SANDBOX_READ);
}

/* The log has a thread of its own: a job writes none, and must not hang where one does. */
static void allow_log(struct sandbox_paths *paths, const struct config *config)
{
    if (config->log.file && !log_is_stdout(config->log.file))
        sandbox_allow_file(paths, config->log.file, SANDBOX_APPEND);
}

/* All but the log and what is in /etc. Whether each set has a file in place. */
static bool allow(struct sandbox_paths *paths, const struct config *config, unsigned needs)
{
    const unsigned look = SANDBOX_READ | SANDBOX_LIST;
    bool standing = false;

    if (needs & NEED_TARGET)
        standing =
            allow_target(paths, config, needs & NEED_INSTALL ? (unsigned)SANDBOX_TREE : look);
    if (needs & NEED_AWS)
        allow_aws(paths, config);
    if (needs & NEED_RELOAD) {
        allow_named(paths, config->file);
        allow_named(paths, config->attest_root);
    }
    if (needs & NEED_INSTALL && config->attest_pins)
        sandbox_allow_file(paths, config->attest_pins,
                           SANDBOX_READ | SANDBOX_LIST | SANDBOX_REPLACE);
    if (needs & NEED_OPERAND && config->operand && strcmp(config->operand, "-") != 0)
        allow_named(paths, config->operand);
    if (needs & NEED_OPERAND)
        allow_named(paths, config->other);
    allow_locks(paths, config, needs); /* which makes the directory that a status may lie in */
    allow_status(paths, config, needs);
    return standing;
}

void confine_absent(char out[CONFINE_ABSENT_MAX])
{
    struct sandbox_facts facts;
    size_t i, len = 0;

    sandbox_look(&facts);
    out[0] = '\0';
    const struct {
        const char *part, *why;
    } parts[] = {{"no_new_privs", facts.no_new_privs_absent},
                 {"capabilities", facts.capabilities_absent},
                 {"landlock", facts.landlock_absent},
                 {"seccomp", facts.seccomp_absent}};
    for (i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].why && len < CONFINE_ABSENT_MAX)
            len += (size_t)snprintf(out + len, CONFINE_ABSENT_MAX - len, "%s%s: %s",
                                    len ? "; " : "", parts[i].part, parts[i].why);
}

static void log_sandbox(void)
{
    const bool stays = confinement.needs & NEED_RELOAD;
    const bool installs = confinement.needs & NEED_INSTALL;
    struct sandbox_facts facts;
    char absent[CONFINE_ABSENT_MAX];

    sandbox_look(&facts);
    confine_absent(absent);
    log_event(stays || (installs && absent[0]) ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "sandbox",
              log_s("state", confinement.on ? "on" : "off"), log_n("landlock", facts.landlock),
              log_s("seccomp", facts.seccomp ? "yes" : "no"),
              log_s("capabilities", facts.capabilities),
              log_s("absent", absent[0] ? absent : NULL));
}

void confine(const struct config *config, const struct confine_options *options)
{
    const unsigned needs = options->needs;
    int rules;
    const struct sandbox_options sandbox = {
        .paths = &confinement.paths,
        .network = needs & NEED_NETWORK,
        .installs = needs & NEED_INSTALL,
        .stays = needs & NEED_RELOAD,
        .foreign = config->owner_set && needs & NEED_INSTALL,
        .runner = options->runner,
        .notify = options->notify,
    };

    confinement.on = !config->sandbox_off;
    confinement.needs = needs;
    confinement.foreign = sandbox.foreign;
    if (confinement.on) {
        confinement.standing = allow(&confinement.paths, config, needs);
        allow_log(&confinement.paths, config);
        allow_etc(&confinement.paths, needs, false);
        rules = sandbox_prepare(&sandbox);
        log_stop(); /* its threads would keep their rights */
        lookout_end();
        sandbox_begin(&sandbox, rules);
        log_start();
    }
    lookout_end();
    log_sandbox();
}

void confine_job(const struct config *config, bool starting)
{
    const unsigned needs = confinement.needs & ~(unsigned)(NEED_RELOAD | NEED_PUBLISH);
    struct sandbox_paths paths = {0};

    if (!confinement.on)
        return;
    (void)allow(&paths, config, needs);
    allow_etc(&paths, needs, !starting);
    sandbox_narrow(&paths);
    sandbox_paths_free(&paths);
}

bool confine_standing(void)
{
    return confinement.standing;
}

static int check_owner(const struct config *config, struct err *err)
{
    struct sandbox_facts facts;

    sandbox_look(&facts);
    if (!config->owner_set || confinement.foreign || geteuid() != 0 || !facts.capabilities ||
        strstr(facts.capabilities, "dac_override"))
        return 0;
    return err_set(err, ERR_CONFIG, config->file,
                   "owner needs a restart: the sandbox has no right to other users' files");
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

int confine_check(const struct config *config, const struct config *in_use, struct err *err)
{
    const bool published = is_same(config->status_file, in_use->status_file) &&
                           is_same(config->metrics_file, in_use->metrics_file);
    struct sandbox_paths asked = {0};
    const struct sandbox_path *beyond;
    int result = 0;

    if (!confinement.on)
        return 0;
    (void)allow(&asked, config, confinement.needs & ~(published ? (unsigned)NEED_PUBLISH : 0U));
    if (!is_same(config->log.file, in_use->log.file))
        allow_log(&asked, config);
    beyond = sandbox_beyond(&confinement.paths, &asked);
    if (beyond)
        result =
            err_set(err, ERR_CONFIG, config->file,
                    "%s needs a restart: the sandbox does not let the agent there", beyond->wanted);
    sandbox_paths_free(&asked);
    return result < 0 ? result : check_owner(config, err);
}

void confine_log_refusals(void)
{
    int call;
    const size_t count = sandbox_refused(&call);

    if (count == 0 || confinement.told)
        return;
    confinement.told = true;
    log_event(LOG_LEVEL_WARNING, "sandbox_refused", log_n("system_call", call),
              log_n("count", (int64_t)count));
}
