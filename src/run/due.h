/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_DUE_H
#define RUN_DUE_H

#include <stdbool.h>
#include <stdint.h>

#include "run/schedule.h"

struct config;

/* When the next cycle and the next round of probes begin. Moments are on clock_ms(). */
struct due {
    struct schedule schedule;
    int64_t cycle_at;
    bool pushed;       /* SIGUSR2 came: a cycle soon */
    int64_t floor_at;  /* no cycle before */
    bool refresh;      /* a cycle as soon as the floor allows */
    int64_t rounds_ms; /* between two rounds, whether they probe or attest; 0: there are none */
    int64_t round_at;
};

/* Takes the intervals of a configuration; what was planned stays. */
void due_configure(struct due *due, const struct config *config);

bool due_cycle(const struct due *due, int64_t now);
bool due_round(const struct due *due, int64_t now);
int64_t due_next(const struct due *due); /* the sooner one */

/*
 * Where everything is good at the start, delays the first cycle a little, so that hosts do not come
 * together.
 */
void due_plan_first(struct due *due, int64_t now);
/*
 * A whole fleet gets the signal at the same moment, and must not ask together: the next cycle comes
 * within a minute.
 */
void due_push(struct due *due, int64_t now);
/* A cycle has ended; a round has. */
void due_plan_cycle(struct due *due, bool failed, int64_t now);
void due_plan_round(struct due *due, int64_t now);

#endif
