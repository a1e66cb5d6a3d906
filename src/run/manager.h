/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_MANAGER_H
#define RUN_MANAGER_H

#include "run/sd_notify.h"

/* When the service manager hears what, by sd_notify.h. Moments are on clock_ms(). */
struct manager {
    struct sd_notify notify;
    int64_t watchdog_at, extend_at;
    bool announce; /* the manager must learn that the agent is ready */
};

/* Sends what is due: that the agent lives, that its start takes longer, and the queue. */
void manager_beat(struct manager *manager, bool ready);
int64_t manager_next(const struct manager *manager, bool ready);

#endif
