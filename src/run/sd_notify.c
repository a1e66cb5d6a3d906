/* SPDX-License-Identifier: Apache-2.0 */
#include "run/sd_notify.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/decimal.h"
enum {
    SECOND_USEC = 1000000,
    MESSAGE_MAX = 1024,
    UNSENT_MAX =
        sizeof((struct sd_notify *)NULL)->unsent / sizeof *((struct sd_notify *)NULL)->unsent
};

#define USEC_MAX INT64_C(999999999999999999)

static int64_t watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    int64_t period = usec ? decimal_number(usec, USEC_MAX) : 0;

    if (period <= 0 || (pid && decimal_number(pid, INT_MAX) != getpid()))
        return 0;
    return period < 2000 ? 1 : period / 2000;
}

/* Its length, or 0 where there is none of a kind that we know. */
static socklen_t read_address(struct sockaddr_un *address)
{
    const char *name = getenv("NOTIFY_SOCKET");
    size_t len = name ? strlen(name) : 0;

    if (len < 2 || len >= sizeof address->sun_path || (*name != '/' && *name != '@'))
        return 0;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, name, len);
    if (*name == '@')
        address->sun_path[0] = '\0';
    else
        len++; /* a path goes with its NUL, an abstract name without */
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* Once and for all: the sandbox lets no datagram go elsewhere. -1: there is nobody. */
static int connect_to_manager(void)
{
    struct sockaddr_un address = {0};
    const socklen_t len = read_address(&address);
    int fd = len ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, len) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

const char *sd_notify_flaw(const char **variable)
{
    const char *name = getenv("NOTIFY_SOCKET"), *usec = getenv("WATCHDOG_USEC");
    const bool named = name && *name;
    int fd = -1;

    *variable = "NOTIFY_SOCKET";
    errno = EAFNOSUPPORT;
    if (named)
        fd = connect_to_manager();
    if (named && fd < 0)
        return strerror(errno);
    if (named)
        close(fd);
    *variable = "WATCHDOG_USEC";
    if (!usec)
        return NULL;
    if (!named)
        return "NOTIFY_SOCKET does not say where to send signs of life";
    return decimal_number(usec, USEC_MAX) < SECOND_USEC
               ? "is no number of microseconds, of a second or more"
               : NULL;
}

void sd_notify_open(struct sd_notify *notify)
{
    *notify = (struct sd_notify){.fd = connect_to_manager()};
    if (notify->fd >= 0)
        notify->watchdog_ms = watchdog_ms();
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

int64_t sd_notify_watchdog_ms(const struct sd_notify *notify)
{
    return notify->watchdog_ms;
}

/* False where there is no room for it now. */
static bool send_text(const struct sd_notify *notify, const char *text)
{
    ssize_t n;

    do
        n = send(notify->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS);
}

void sd_notify_flush(struct sd_notify *notify)
{
    while (notify->unsent_count > 0 && send_text(notify, notify->unsent[0].text))
        memmove(notify->unsent, notify->unsent + 1,
                --notify->unsent_count * sizeof *notify->unsent);
}

bool sd_notify_waits(const struct sd_notify *notify)
{
    return notify->unsent_count > 0;
}

void sd_notify_queue(struct sd_notify *notify, const char *text)
{
    if (notify->fd < 0)
        return;
    sd_notify_flush(notify);
    if (notify->unsent_count == 0 && send_text(notify, text))
        return;
    if (notify->unsent_count == UNSENT_MAX) /* a reload and its end are over */
        memmove(notify->unsent, notify->unsent + 1,
                --notify->unsent_count * sizeof *notify->unsent);
    (void)snprintf(notify->unsent[notify->unsent_count++].text, sizeof notify->unsent[0].text, "%s",
                   text);
}

void sd_notify_send(const struct sd_notify *notify, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (notify->fd >= 0 && notify->unsent_count == 0)
        (void)send_text(notify, text);
}

void sd_notify_status(const struct sd_notify *notify, const char *format, ...)
{
    char text[MESSAGE_MAX - 8], *at;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (at = text; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    sd_notify_send(notify, "STATUS=%s", text);
}

void sd_notify_reloading(struct sd_notify *notify)
{
    char text[sizeof notify->unsent[0].text];
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    sd_notify_queue(notify, text);
}

void sd_notify_close(struct sd_notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    *notify = (struct sd_notify){.fd = -1};
}
