/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/target.h"

#include <string.h>

#include "config/config.h"

/* As NEED_INSTALL of commands/commands.c, which is above this. */
static bool changes(const char *command)
{
    return command && (strcmp(command, "fetch") == 0 || strcmp(command, "run") == 0 ||
                       strcmp(command, "purge") == 0);
}

struct install_target agent_target(const struct config *config, const char *sub, int64_t deadline)
{
    return (struct install_target){
        .root = config->root,
        .dir = config->dir,
        .sub = sub,
        .owner_set = config->owner_set,
        .owner = config->owner,
        .group = config->group,
        .key_mode = config->key_mode,
        .cert_mode = config->cert_mode,
        .dir_mode = config->dir_mode,
        .keep_previous_ms = config->keep_previous_ms,
        .keep_newest = config->rollback_on_failure != ROLLBACK_NEVER,
        .deadline = deadline,
        .lock_dir = config->lock_dir,
        .others_accepted = config->writable_dir_accepted,
        .looks_only = !changes(config->command),
    };
}

struct expected agent_expected(const struct config *config)
{
    return (struct expected){
        .subject = config->expect_subject,
        .sans = config->expect_sans,
        .san_count = config->expect_san_count,
        .cas = config->expect_cas,
        .ca_count = config->expect_ca_count,
    };
}
