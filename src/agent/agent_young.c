/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent_parts.h"
#include "aws/retry.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

enum { WAITED_MAX = 32 };

/* In `run` later cycles come by themselves; and who has something good has no need to wait. */
bool young_waits(const struct delivery *delivery, const struct err *err)
{
    return err->young && !delivery->config->dry_run && delivery->record->outcome == OUTCOME_NONE &&
           !keep_serves(delivery, 0);
}

static void log_waits(const struct agent *agent, int64_t left)
{
    size_t i;

    for (i = 0; i < agent->config->set_count; i++) {
        const struct agent_set *record = &agent->sets[i];
        const struct err_info *info = err_info(record->err.code);

        if (record->due)
            log_event(LOG_LEVEL_WARNING, "aws_wait",
                      log_s("set", config_set_name(agent->config, i)), log_s("code", info->name),
                      log_s("what", info->what), log_s("subject", record->err.subject),
                      log_s("reason", record->err.reason), log_n("left_ms", left));
    }
}

static bool is_due(const struct agent *agent)
{
    size_t i;

    for (i = 0; i < agent->config->set_count; i++)
        if (agent->sets[i].due)
            return true;
    return false;
}

bool young_sleep(struct young *young, const struct agent *agent)
{
    int64_t delay;
    uint32_t random;

    if (!is_due(agent))
        return false;
    if (young->tries++ == 0) {
        young->since = clock_ms();
        young->until = young->since + RETRY_YOUNG_MS;
        if (young->until > young->deadline)
            young->until = young->deadline;
        log_waits(agent, clock_left(young->until));
    }
    random_bytes(&random, sizeof random);
    delay = retry_young_ms(young->tries, clock_left(young->until), random);
    if (delay < 0)
        return false;
    clock_sleep(delay, young->until);
    return true;
}

void young_explain(const struct young *young, struct err *err)
{
    const size_t most = sizeof err->reason - WAITED_MAX;
    size_t len = strlen(err->reason);

    if (len > most)
        len = most;
    if (young->tries > 0)
        (void)snprintf(err->reason + len, WAITED_MAX, "; waited %" PRId64 " s",
                       (clock_ms() - young->since + 500) / 1000);
}
