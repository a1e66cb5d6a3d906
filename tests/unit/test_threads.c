/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl looks each name up on a thread of its own: what where there are few, and where one is
 * late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "fake_server.h"
#include "net/http.h"
#include "samples.h"

enum { REQUESTS = 4, LOOKUP_US = 20000, LATE_US = 300000 };

/* How many threads may be there at once; -1: as many as anybody likes. */
static atomic_int limit = -1, active;

struct start {
    void *(*function)(void *);
    void *argument;
};

static void *run(void *start_pointer)
{
    struct start start = *(struct start *)start_pointer;
    void *result;

    free(start_pointer);
    (void)usleep(LOOKUP_US); /* long enough to be in the way of others */
    result = start.function(start.argument);
    active--;
    return result;
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument)
{
    struct start *start;

    if (limit < 0)
        return __real_pthread_create(thread, attributes, function, argument);
    if (active >= limit)
        return EAGAIN;
    start = malloc(sizeof *start);
    assert_non_null(start);
    *start = (struct start){function, argument};
    active++;
    return __real_pthread_create(thread, attributes, run, start);
}

int __real_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found);
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found);

/* Each name is this host's: libcurl itself knows "localhost" only. */
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found)
{
    (void)name;
    return __real_getaddrinfo("localhost", service, hints, found);
}

/* As many requests for a name with so many threads; each one's result. */
static void ask(int most, enum http_result results[REQUESTS])
{
    struct fake_server *server = fake_server_repeat(fake_reply(200, "", "ok"));
    struct http_request requests[REQUESTS];
    struct http_response responses[REQUESTS];
    struct err err;
    struct http *http = http_new(false, &err);
    char url[64];
    size_t i;

    assert_non_null(http);
    (void)snprintf(url, sizeof url, "http://enclave.test%s", strrchr(fake_server_url(server), ':'));
    for (i = 0; i < REQUESTS; i++)
        requests[i] = (struct http_request){.method = "GET",
                                            .url = url,
                                            .body_max = 100,
                                            .connect_ms = 20000,
                                            .total_ms = 20000,
                                            .deadline = clock_ms() + 20000};
    limit = most;
    assert_int_equal(http_perform(http, requests, responses, REQUESTS, &err), 0);
    limit = -1;
    for (i = 0; i < REQUESTS; i++) {
        results[i] = responses[i].result;
        http_response_free(&responses[i]);
    }
    http_free(http);
    (void)fake_server_stop(server);
}

static void test_few_mean_fewer_at_once(void **state)
{
    enum http_result results[REQUESTS];
    int most;
    size_t i;

    (void)state;
    for (most = 1; most < REQUESTS; most++) {
        ask(most, results);
        for (i = 0; i < REQUESTS; i++)
            assert_int_equal(results[i], HTTP_ANSWERED);
    }
}

static void test_none_is_no_missing_name(void **state)
{
    enum http_result results[REQUESTS];
    size_t i;

    (void)state;
    ask(0, results);
    for (i = 0; i < REQUESTS; i++)
        assert_int_equal(results[i], HTTP_NO_THREADS);
}

static atomic_bool returned;

static void *look_up(void *unused)
{
    const struct addrinfo hints = {.ai_family = AF_INET};
    struct addrinfo *found;

    (void)unused;
    (void)getaddrinfo("localhost", "1", &hints, &found);
    returned = true;
    return NULL;
}

/* The last test: there is no arena behind it. libcurl would go on in what was wiped. */
static void test_who_is_late_stays_where_it_is(void **state)
{
    pthread_t thread;

    (void)state;
    arena_wipe();
    samples_arena_gone = true;
    assert_int_equal(pthread_create(&thread, NULL, look_up, NULL), 0);
    (void)usleep(LATE_US);
    assert_false(returned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_mean_fewer_at_once),
        cmocka_unit_test(test_none_is_no_missing_name),
        cmocka_unit_test(test_who_is_late_stays_where_it_is),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
