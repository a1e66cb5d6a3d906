/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_PACE_H
#define NET_PACE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How long a peer has kept us waiting. The time from one look at its connection to the next counts:
 * all of it where nothing came from the peer; at most PACE_LOOK_MS where something came, since the
 * peer may have waited for us. So a busy processor does not count against the peer, and a peer that
 * sends byte by byte gains no more than that each time.
 */
enum { PACE_LOOK_MS = 100 };

struct pace {
    int64_t waited_ms;
    int64_t silent_ms; /* of that since the last look at which something had come */
    int64_t looked_at; /* on clock_ms() */
    bool ready;        /* something of it has waited for us, at the last look or before that */
};

void pace_start(struct pace *pace, int64_t now);

enum pace_seen {
    PACE_NOTHING, /* has come since the last look, and nothing waits */
    PACE_UNKNOWN, /* whether it has */
    PACE_SOMETHING
};
void pace_look(struct pace *pace, int64_t now, enum pace_seen seen);

/*
 * What one of left peers may have of the time that is left, where so many are served at once: each
 * gets its turn, whatever those before it do. At least 1 ms.
 */
int64_t pace_share(int64_t left_ms, uint64_t left, uint64_t at_once);

#endif
