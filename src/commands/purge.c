/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/target.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "commands/commands.h"
#include "config/config.h"
#include "install/install_purge.h"
#include "process/supervise.h"
#include "run/status.h"

/* Of sets that are configured, also those whose subdirectory is a link to elsewhere. */
static int purge_sets(const struct work *work, struct purged *purged, struct err *err)
{
    const struct config *config = work->config;
    struct install_target target = agent_target(config, "", work->deadline);
    int result = install_purge(&target, purged, err);
    size_t i;

    for (i = 0; result == 0 && i < config->set_count; i++) {
        target = agent_target(config, config->sets[i].sub, work->deadline);
        if (config->sets[i].sub[0])
            result = install_purge(&target, purged, err);
    }
    return result;
}

static int remove_file(const char *file, struct err *err)
{
    if (!file || fs_remove(file) == 0)
        return 0;
    return err_set_errno(err, ERR_INSTALL_FAILED, file, "cannot be removed");
}

static int purge(const struct work *work)
{
    const struct config *config = work->config;
    struct purged purged = {0};
    struct err err;

    if (purge_sets(work, &purged, &err) < 0 || status_remove(config, &err) < 0 ||
        remove_file(config->metrics_file, &err) < 0 || remove_file(config->attest_pins, &err) < 0)
        return log_error(&err);
    log_event(LOG_LEVEL_INFO, "purged", log_s("dir", config->dir),
              log_n("removed", (int64_t)purged.removed), log_n("left", (int64_t)purged.left));
    return 0;
}

int command_purge(const struct config *config, unsigned needs)
{
    return supervise(config, needs, purge, NULL);
}
