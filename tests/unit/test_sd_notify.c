/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/sd_notify.h"

/* A service manager that listens under a name, "@" for an abstract one. */
struct manager {
    char name[100];
    int fd;
    struct sd_notify notify;
    char text[8192];
};

static int listen_as(const char *name)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);

    memcpy(address.sun_path, name, len);
    if (*name == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                     0);
    return fd;
}

static int setup_as(void **state, const char *prefix)
{
    struct manager *manager = calloc(1, sizeof *manager);

    if (!manager)
        return -1;
    (void)snprintf(manager->name, sizeof manager->name, "%s-%ld", prefix, (long)getpid());
    (void)unlink(manager->name);
    manager->fd = listen_as(manager->name);
    (void)setenv("NOTIFY_SOCKET", manager->name, 1);
    *state = manager;
    return 0;
}

static int setup_path(void **state)
{
    return setup_as(state, "/tmp/mtls-agent-test");
}

static int setup_abstract(void **state)
{
    return setup_as(state, "@mtls-agent-test");
}

static int teardown(void **state)
{
    struct manager *manager = *state;

    sd_notify_close(&manager->notify);
    close(manager->fd);
    if (*manager->name == '/')
        (void)unlink(manager->name);
    free(manager);
    return 0;
}

/* The next datagram; NULL: there is none. */
static const char *hear(struct manager *manager)
{
    ssize_t n = recv(manager->fd, manager->text, sizeof manager->text - 1, 0);

    if (n < 0)
        return NULL;
    manager->text[n] = '\0';
    return manager->text;
}

static void each_call_is_a_datagram(void **state)
{
    struct manager *manager = *state;

    sd_notify_open(&manager->notify);
    sd_notify_send(&manager->notify, "READY=1\nEXTEND_TIMEOUT_USEC=%d", 5);
    sd_notify_send(&manager->notify, "STOPPING=1");
    assert_string_equal(hear(manager), "READY=1\nEXTEND_TIMEOUT_USEC=5");
    assert_string_equal(hear(manager), "STOPPING=1");
    assert_null(hear(manager));
}

static void a_status_is_one_line(void **state)
{
    struct manager *manager = *state;
    char text[5000];

    sd_notify_open(&manager->notify);
    sd_notify_status(&manager->notify, "next cycle in %d s, %s", 7, "a\nREADY=1\x80\x7F\t%s");
    assert_string_equal(hear(manager), "STATUS=next cycle in 7 s, a?READY=1???%s");
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    sd_notify_status(&manager->notify, "%s", text);
    assert_true(strlen(hear(manager)) > 500);
    assert_int_equal(strspn(manager->text + 7, "x"), strlen(manager->text) - 7);
}

static int64_t monotonic_usec(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void a_reload_carries_the_time(void **state)
{
    struct manager *manager = *state;
    int64_t before = monotonic_usec(), told;

    sd_notify_open(&manager->notify);
    sd_notify_reloading(&manager->notify);
    assert_non_null(hear(manager));
    assert_int_equal(strncmp(manager->text, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    told = strtoll(manager->text + 27, NULL, 10);
    assert_in_range(told, before, monotonic_usec());
}

static void a_full_socket_makes_nobody_wait(void **state)
{
    struct manager *manager = *state;
    int heard = 0;

    sd_notify_open(&manager->notify);
    (void)alarm(120);
    for (int i = 0; i < 10000; i++)
        sd_notify_send(&manager->notify, "WATCHDOG=1");
    (void)alarm(0);
    while (hear(manager))
        heard++;
    assert_in_range(heard, 1, 9999); /* it was full */
    sd_notify_send(&manager->notify, "READY=1");
    assert_string_equal(hear(manager), "READY=1");
}

/* Whoever listens under its name afterwards may be anybody. */
static void a_manager_that_goes_is_not_replaced(void **state)
{
    struct manager *manager = *state;

    sd_notify_open(&manager->notify);
    close(manager->fd);
    sd_notify_send(&manager->notify, "WATCHDOG=1");
    (void)unlink(manager->name);
    sd_notify_send(&manager->notify, "WATCHDOG=1");
    manager->fd = listen_as(manager->name);
    sd_notify_send(&manager->notify, "READY=1");
    assert_null(hear(manager));
}

static void the_variables_are_taken(void **state)
{
    struct manager *manager = *state;

    (void)setenv("WATCHDOG_USEC", "30000000", 1);
    (void)setenv("WATCHDOG_PID", "1", 1);
    sd_notify_open(&manager->notify);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
}

/* With WATCHDOG_USEC and WATCHDOG_PID, "-" for none. */
static int64_t watchdog_of(const char *usec, const char *pid)
{
    struct sd_notify notify;
    int64_t ms;

    (void)setenv("NOTIFY_SOCKET", "@mtls-agent-test-watchdog", 1);
    if (strcmp(usec, "-") != 0)
        (void)setenv("WATCHDOG_USEC", usec, 1);
    if (strcmp(pid, "-") != 0)
        (void)setenv("WATCHDOG_PID", pid, 1);
    sd_notify_open(&notify);
    ms = sd_notify_watchdog_ms(&notify);
    sd_notify_close(&notify);
    return ms;
}

static void the_watchdog_is_fed_twice_as_often_as_it_asks(void **state)
{
    const int manager = listen_as("@mtls-agent-test-watchdog");
    char own[24], others[24];

    (void)state;
    (void)snprintf(own, sizeof own, "%ld", (long)getpid());
    (void)snprintf(others, sizeof others, "%ld", (long)getppid());
    assert_int_equal(watchdog_of("30000000", "-"), 15000);
    assert_int_equal(watchdog_of("30000000", own), 15000);
    assert_int_equal(watchdog_of("1", own), 1);
    assert_int_equal(watchdog_of("30000000", others), 0);
    assert_int_equal(watchdog_of("30000000", "x"), 0);
    assert_int_equal(watchdog_of("-", own), 0);
    assert_int_equal(watchdog_of("0", own), 0);
    assert_int_equal(watchdog_of("-30000000", own), 0);
    assert_int_equal(watchdog_of("30s", own), 0);
    assert_int_equal(watchdog_of("18446744073709551615", own), 0);
    close(manager);
    assert_int_equal(watchdog_of("30000000", own), 0); /* nobody is there */
}

static void without_a_manager_nothing_happens(void **state)
{
    static const char *const names[] = {"",  "vsock:2:1234", "relative", "@", "/",
                                        NULL /* too long */};
    char too_long[200];

    (void)state;
    memset(too_long, 'x', sizeof too_long);
    too_long[0] = '/';
    too_long[sizeof too_long - 1] = '\0';
    for (size_t i = 0; i <= sizeof names / sizeof *names; i++) {
        struct sd_notify notify;

        if (i < sizeof names / sizeof *names) /* then without the variable */
            (void)setenv("NOTIFY_SOCKET", names[i] ? names[i] : too_long, 1);
        (void)setenv("WATCHDOG_USEC", "30000000", 1);
        sd_notify_open(&notify);
        assert_int_equal(notify.fd, -1);
        assert_int_equal(sd_notify_watchdog_ms(&notify), 0);
        sd_notify_send(&notify, "READY=1");
        sd_notify_status(&notify, "ready");
        sd_notify_reloading(&notify);
        sd_notify_close(&notify);
    }
}

#define WITH_PATH(function)     cmocka_unit_test_setup_teardown(function, setup_path, teardown)
#define WITH_ABSTRACT(function) cmocka_unit_test_setup_teardown(function, setup_abstract, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PATH(each_call_is_a_datagram),
        WITH_ABSTRACT(each_call_is_a_datagram),
        WITH_PATH(a_status_is_one_line),
        WITH_PATH(a_reload_carries_the_time),
        WITH_PATH(a_full_socket_makes_nobody_wait),
        WITH_PATH(a_manager_that_goes_is_not_replaced),
        WITH_ABSTRACT(a_manager_that_goes_is_not_replaced),
        WITH_PATH(the_variables_are_taken),
        cmocka_unit_test(the_watchdog_is_fed_twice_as_often_as_it_asks),
        cmocka_unit_test(without_a_manager_nothing_happens),
    };

    return cmocka_run_group_tests_name("sd_notify", tests, NULL, NULL);
}
