/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <string.h>

#include "process/confine.h"

enum {
    FETCH = NEED_TARGET | NEED_INSTALL | NEED_NETWORK | NEED_AWS,
    RUN = FETCH | NEED_RELOAD | NEED_PUBLISH,
    DOCTOR = NEED_TARGET | NEED_NETWORK | NEED_AWS | NEED_STATUS,
    PURGE = NEED_TARGET | NEED_INSTALL | NEED_STATUS | NEED_PUBLISH
};

const struct command command_list[] = {
    {"fetch", command_fetch, FETCH, NULL, false, LOG_LEVEL_DEBUG,
     "get the identity, prove it, install it, and end", NULL},
    {"inspect", command_inspect, NEED_TARGET | NEED_OPERAND, " [FILE [FILE]]", true,
     LOG_LEVEL_DEBUG, "show the installed identity, a FILE, or - (standard input)", NULL},
    {"probe", command_probe, NEED_TARGET | NEED_NETWORK, NULL, true, LOG_LEVEL_DEBUG,
     "try the installed identity on every enclave", NULL},
    {"attest", command_attest, NEED_TARGET | NEED_NETWORK | NEED_OPERAND, " [FILE]", true,
     LOG_LEVEL_DEBUG, "check a Nitro attestation: of a FILE, -, or each endpoint", NULL},
    {"run", command_run, RUN, NULL, false, LOG_LEVEL_DEBUG,
     "stay: keep the identity up to date, and watch it", NULL},
    {"status", command_status, NEED_TARGET | NEED_STATUS, NULL, true, LOG_LEVEL_WARNING,
     "show the state of run", NULL},
    {"healthcheck", command_healthcheck, NEED_TARGET | NEED_STATUS, NULL, false, LOG_LEVEL_ERROR,
     "exit 0 if all is well, else 1 with the reason", healthcheck_fail},
    {"doctor", command_doctor, DOCTOR, NULL, true, LOG_LEVEL_ERROR,
     "find what is wrong, from the configuration to the enclave", doctor_fail},
    {"check-config", command_check_config, 0, " [COMMAND]", true, LOG_LEVEL_ERROR,
     "find every mistake in file, variables and options of a COMMAND", doctor_fail},
    {"purge", command_purge, PURGE, NULL, false, LOG_LEVEL_DEBUG,
     "remove everything that was ever installed here", NULL},
    {0},
};

const struct command *command_find(const char *name)
{
    const struct command *command;

    for (command = command_list; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}
