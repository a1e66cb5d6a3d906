/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_SD_NOTIFY_H
#define RUN_SD_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Notifies the service manager of the service's state: sd_notify(3) without libsystemd, one
 * datagram a call. No call waits, and none fails for the caller: without a manager, or with one
 * that does not listen, nothing happens.
 */
struct sd_notify {
    int fd; /* connected; -1: there is no manager */
    int64_t watchdog_ms;
    struct {
        char text[64];
    } unsent[4]; /* what found the manager's queue full, the oldest first */
    size_t unsent_count;
};

/*
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and removes them from the environment: call
 * it while there is one thread, and before the sandbox. It knows paths and abstract names; another
 * kind, or a socket where nobody listens yet, counts as no manager. It does not find a manager that
 * makes its socket anew; systemd keeps its own.
 */
void sd_notify_open(struct sd_notify *notify);

/*
 * Why the manager of these variables cannot be notified: which variable, and a clause. NULL: it
 * can, or there is none. The variables stay as they are.
 */
const char *sd_notify_flaw(const char **variable);

/* The interval of WATCHDOG=1, half of what the manager allows, in ms; 0: it wants none. */
int64_t sd_notify_watchdog_ms(const struct sd_notify *notify);

/*
 * Sends assignments, "READY=1", with a newline between two. Text of ours, sent unchanged. If the
 * manager has no room for it, sd_notify_send() drops it, since it comes again anyway and must not
 * overtake anything; sd_notify_queue() keeps it, for less than 64 bytes.
 */
void sd_notify_queue(struct sd_notify *notify, const char *text);

/* Sends what was kept, as far as there is room; whether there is more, and poll(2) for POLLOUT. */
void sd_notify_flush(struct sd_notify *notify);
bool sd_notify_waits(const struct sd_notify *notify);

void sd_notify_send(const struct sd_notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Sends a line of text for people; bytes that are not printable ASCII become "?". */
void sd_notify_status(const struct sd_notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* That the configuration is read again, as Type=notify-reload wants it; READY=1 ends it. */
void sd_notify_reloading(struct sd_notify *notify);

void sd_notify_close(struct sd_notify *notify);

#endif
