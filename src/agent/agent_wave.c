/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/agent_parts.h"
#include "agent/wave.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "install/install_rollback.h"
#include "install/install_state.h"

enum { HUNDRED = 100 };

int64_t wave_delay(const struct config *config, const char *host, const char *version)
{
    const struct bytes parts[] = {bytes_of_text(host), bytes_of_text("\n"), bytes_of_text(version)};
    uint8_t hash[HASH_SIZE_MAX];
    uint32_t place;
    size_t i = 0;

    (void)hash_sha2(256, parts, sizeof parts / sizeof *parts, hash);
    place = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];
    while (i + 1 < config->wave_count &&
           (uint64_t)place * HUNDRED >> 32 >= config->waves[i].percent)
        i++;
    return config->wave_count ? (config->waves[i].delay_ms + 999) / 1000 : 0;
}

/* The time counts from when this host first saw the version, which is noted before it is waited
 * for: a wait that cannot be noted might never end. */
static bool note(const struct delivery *delivery, int64_t now)
{
    const struct install_state_change change = {.seen = delivery->version, .seen_at = now};
    struct err err;

    return install_state_update(&delivery->target, &change, &err) == 0;
}

/* Whether the version is the one before what is installed: somebody moved AWSCURRENT back. */
static bool is_way_back(const struct delivery *delivery)
{
    struct bundle bundle = {0};
    struct installed previous;
    struct err none;
    const bool back = install_read_previous(&delivery->target, &bundle, &previous, &none) == 0 &&
                      strcmp(previous.version, delivery->version) == 0;

    bundle_free(&bundle);
    return back;
}

bool wave_waits(const struct delivery *delivery)
{
    struct agent *agent = delivery->agent;
    const int64_t now = clock_wall();
    struct install_state state;
    struct installed facts;
    int64_t delay, seen = now;
    struct err none;

    if (delivery->config->wave_count == 0 || !agent->stays || delivery->config->version_id ||
        delivery->record->unwanted || delivery->again || !keep_serves(delivery, 0) ||
        !install_facts(&delivery->target, &facts) ||
        strcmp(facts.version, delivery->version) == 0 || is_way_back(delivery) ||
        install_state_read(&delivery->target, &state, &none) < 0)
        return false;
    if (!agent->host[0])
        host_id(agent->aws, agent->host);
    delay = wave_delay(delivery->config, agent->host, delivery->version);
    if (strcmp(state.seen, delivery->version) == 0 && state.seen_at <= now)
        seen = state.seen_at;
    if (seen + delay <= now || !keep_serves(delivery, seen + delay - now) ||
        (seen == now && !note(delivery, now)))
        return false;
    delivery->record->waits_until = seen + delay;
    return true;
}

void wave_log(const struct delivery *delivery)
{
    char until[CLOCK_TEXT_MAX];

    clock_format(until, delivery->record->waits_until);
    log_event(LOG_LEVEL_INFO, "waiting", log_s("set", delivery_name(delivery)),
              log_s("until", until), log_s("host", delivery->agent->host));
}

void wave_end(const struct delivery *delivery)
{
    const struct install_state_change change = {.seen = ""};
    struct install_state state;
    struct err none;

    if (install_state_read(&delivery->target, &state, &none) == 0 && state.seen[0])
        (void)install_state_update(&delivery->target, &change, &none);
}
