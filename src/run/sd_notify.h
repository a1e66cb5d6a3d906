/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_SD_NOTIFY_H
#define RUN_SD_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the service manager is told of a service's state: sd_notify(3) without libsystemd, one
 * datagram a call. No call waits, and none fails for the caller: without a manager, or with one
 * that does not listen, nothing happens.
 */
struct sd_notify {
    int fd; /* connected; -1: nobody is to be told */
    int64_t watchdog_ms;
    struct {
        char text[64];
    } unsent[4]; /* what found the manager's queue full, the oldest first */
    size_t unsent_count;
};

/*
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and removes them from the environment: call
 * it while there is one thread, and before the sandbox. Paths and abstract names are known; of any
 * other kind, or where nobody listens yet, nobody is told. A manager that makes its socket anew is
 * not found again; systemd keeps its own.
 */
void sd_notify_open(struct sd_notify *notify);

/*
 * Why the manager that these variables are of could not be told: which of them, and a clause. NULL:
 * it could, or there is none. They stay as they are.
 */
const char *sd_notify_flaw(const char **variable);

/* How often WATCHDOG=1 is due, half of what the manager allows, in ms; 0: it does not ask. */
int64_t sd_notify_watchdog_ms(const struct sd_notify *notify);

/*
 * Sends assignments, "READY=1", with a newline between two. Text of ours: it goes as it is. Where
 * the manager has no room for it, sd_notify_send()'s is left out, since it comes again anyway, and
 * so that it overtakes nothing; sd_notify_queue()'s, of less than 64 bytes, is kept.
 */
void sd_notify_queue(struct sd_notify *notify, const char *text);

/* Sends what was kept, as far as there is room; whether there is more, and poll(2) for POLLOUT. */
void sd_notify_flush(struct sd_notify *notify);
bool sd_notify_waits(const struct sd_notify *notify);

void sd_notify_send(const struct sd_notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Sends a line of text for people; whatever in it is not printable ASCII becomes "?". */
void sd_notify_status(const struct sd_notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* That the configuration is read again, as Type=notify-reload wants it; READY=1 ends it. */
void sd_notify_reloading(struct sd_notify *notify);

void sd_notify_close(struct sd_notify *notify);

#endif
