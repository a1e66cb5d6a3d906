/* SPDX-License-Identifier: Apache-2.0 */
#include "run/manager.h"

#include "base/clock.h"

enum { EXTEND_MS = 10 * 1000, EXTEND_BY_MS = 30 * 1000 };

void manager_beat(struct manager *manager, bool ready)
{
    const int64_t now = clock_ms(), watchdog_ms = sd_notify_watchdog_ms(&manager->notify);

    if (watchdog_ms > 0 && now >= manager->watchdog_at) {
        sd_notify_send(&manager->notify, "WATCHDOG=1");
        manager->watchdog_at = now + watchdog_ms;
    }
    if (manager->notify.fd >= 0 && !ready && now >= manager->extend_at) {
        sd_notify_send(&manager->notify, "EXTEND_TIMEOUT_USEC=%d000", EXTEND_BY_MS);
        manager->extend_at = now + EXTEND_MS;
    }
    sd_notify_flush(&manager->notify);
}

int64_t manager_next(const struct manager *manager, bool ready)
{
    int64_t next = INT64_MAX;

    if (sd_notify_watchdog_ms(&manager->notify) > 0)
        next = manager->watchdog_at;
    if (manager->notify.fd >= 0 && !ready && manager->extend_at < next)
        next = manager->extend_at;
    return next;
}
