/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "config/config.h"
#include "config/options.h"
#include "process/confine.h"
#include "process/lookout.h"
#include "process/process.h"

enum { STACK_NEED = 256 * 1024, FIRST_MS = 60 * 1000 };

static void print(const char *text)
{
    output_write(bytes_of_text(text));
}

/* command NULL: of all. */
static int help(const struct command *command)
{
    const struct command *each;
    char line[192];

    if (command) {
        (void)snprintf(line, sizeof line, "Usage: mtls-agent %s [OPTION]...%s\n\n  %s\n\n",
                       command->name, command->operand ? command->operand : "", command->help);
        print(line);
    } else {
        print("Usage: mtls-agent COMMAND [OPTION]...\n\n"
              "Gets this host's mutual-TLS identity from AWS Secrets Manager, proves it with the\n"
              "enclave, and installs it atomically.\n\nCommands:\n");
        for (each = command_list; each->name; each++) {
            (void)snprintf(line, sizeof line, "  %-11s %s\n", each->name, each->help);
            print(line);
        }
        print("  version     print the version\n"
              "  help        print this; help COMMAND: its options\n\n");
    }
    print("Options. Each is also a line of the configuration file and a variable\n"
          "(--key-mode, key-mode =, MTLS_AGENT_KEY_MODE), unless it says otherwise:\n");
    output_check(config_help(STDOUT_FILENO, command ? command->name : NULL));
    return output_status(0);
}

/* "help VERB", "VERB --help", or help alone. */
static int help_asked(int argc, char *const argv[])
{
    const bool verb = strcmp(argv[1], "help") == 0;
    const struct command *command = NULL;
    struct err err;
    int i, words = 0;

    for (i = 1 + verb; i < argc; i++) {
        words += argv[i][0] != '-';
        command = command ? command : command_find(argv[i]);
    }
    if (!verb || words == (command != NULL))
        return help(command);
    (void)err_set(&err, ERR_USAGE, "help",
                  words > 1 ? "it takes one command" : "there is no such command");
    return log_error(&err);
}

/* Even where its file cannot be opened the log has the form that was asked for. */
static int open_log(const struct config *config, const struct command *command, struct err *err)
{
    struct log_options as = config->log;
    struct err none;

    if (command && as.level < command->least)
        as.level = command->least;
    if (command && command->answers && as.level == LOG_LEVEL_INFO && !as.file &&
        isatty(STDOUT_FILENO) && isatty(STDERR_FILENO))
        as.level = LOG_LEVEL_WARNING; /* they would come between */
    if (log_open(&as, err) == 0)
        return 0;
    as.file = NULL;
    (void)log_open(&as, &none);
    return -1;
}

static int run(const struct config *config)
{
    const char *name = config->command ? config->command : "";
    const struct command *command = command_find(name);
    char shown[QUOTED_MAX];
    struct err err;

    if (open_log(config, command, &err) < 0)
        return log_error(&err);
    config_log(config);
    if (command && (!config->operand || command->operand))
        return command->run(config, command->needs);
    if (command) /* perhaps some option's value */
        (void)err_set(&err, ERR_USAGE, "command line", "unexpected word %s",
                      quoted_name(shown, config->operand));
    else
        (void)err_set(&err, ERR_USAGE, name, *name ? "no such command" : "no command is named");
    return log_error(&err);
}

/*
 * The limit of a stack counts as the stack grows, so that a new one is in force at once. Where none
 * is to be had, there is no room for the log either.
 */
static bool make_room(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_STACK, &limit) < 0 || limit.rlim_cur >= STACK_NEED)
        return true;
    limit.rlim_cur = STACK_NEED;
    if (limit.rlim_max < STACK_NEED)
        limit.rlim_max = STACK_NEED;
    if (setrlimit(RLIMIT_STACK, &limit) == 0)
        return true;
    (void)fs_write_all(
        STDERR_FILENO,
        bytes_of_text("mtls-agent: RLIMIT_STACK is too low. The stack needs 256 KiB: "
                      "ulimit -s 256, or LimitSTACK=256K.\n"));
    return false;
}

/* Whether a word stands among the arguments, as a verb in the first place or as a flag in any. */
static int asks_for(int argc, char *const argv[], const char *verb, const char *flag)
{
    int i;

    if (argc > 1 && strcmp(argv[1], verb) == 0)
        return 1;
    for (i = 1; i < argc; i++)
        if (strcmp(argv[i], flag) == 0)
            return 1;
    return 0;
}

/* What is said of a command that a file system keeps from its work, and how it ends. */
static void look_out_for(const char *name)
{
    const struct command *command = name ? command_find(name) : NULL;

    if (!command)
        return;
    if (command->fail)
        lookout_fail_by(command->fail);
    lookout_stays(command->needs & NEED_RELOAD);
}

/* Flags and environment may read files themselves, and the command mostly comes first. */
static void look_out(int argc, char *const argv[])
{
    struct config *first;

    lookout_begin(FIRST_MS);
    output_json = asks_for(argc, argv, "", "--json");
    look_out_for(argc > 1 ? argv[1] : NULL);
    first = config_first(argc, argv);
    if (first) {
        output_json |= first->json;
        look_out_for(first->command);
        lookout_limit(first->deadline_ms);
    }
    config_free(first);
}

int main(int argc, char *argv[])
{
    struct config *config = NULL;
    struct err err;
    int status;

    if (asks_for(argc, argv, "help", "--help") || asks_for(argc, argv, "help", "-h"))
        return help_asked(argc, argv);
    if (asks_for(argc, argv, "version", "--version")) {
        print("mtls-agent " MTLS_AGENT_VERSION MTLS_AGENT_COMMIT "\n");
        return output_status(0);
    }
    if (!make_room())
        return err_info(ERR_SYSTEM)->exit_status;
    process_disown();
    look_out(argc, argv);
    log_start();
    if (config_parse(argc, argv, &config, &err) < 0)
        return log_error(&err);
    output_json = config->json;
    look_out_for(config->command);
    lookout_limit(config->deadline_ms);
    status = run(config);
    config_free(config);
    return status;
}
