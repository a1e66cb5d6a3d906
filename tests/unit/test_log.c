/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

/* Standard error is a pipe while a test looks at it. */
static int kept, ends[2];

static void catch_stderr(void)
{
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    kept = dup(STDERR_FILENO);
    assert_true(kept >= 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    assert_int_equal(close(ends[1]), 0);
}

static void release_stderr(void)
{
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    assert_int_equal(close(kept), 0);
}

/* How often a word stands in what was logged since catch_stderr(); releases it. */
static int count_logged(const char *word)
{
    static char text[65536];
    size_t len = 0;
    int count = 0;
    ssize_t n;

    release_stderr();
    while ((n = read(ends[0], text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)n;
    assert_int_equal(close(ends[0]), 0);
    text[len] = '\0';
    for (const char *at = text; (at = strstr(at, word)); at++)
        count++;
    return count;
}

/* A round in which an event with these fields is logged. */
static void round_of(struct log_memory *memory, const char *code, const char *reason)
{
    log_remember(memory);
    log_event(LOG_LEVEL_WARNING, "trouble", log_s("code", code), log_s("reason", reason),
              log_n("ms", 1));
    log_remember(NULL);
}

static void only_what_changed_is_said(void **state)
{
    struct log_memory memory = {.now_count = 0};

    (void)state;
    catch_stderr();
    round_of(&memory, "one", "because");
    round_of(&memory, "one", "for another reason");
    round_of(&memory, "one", "because");
    round_of(&memory, "two", "because");
    round_of(&memory, "one", "because");
    assert_int_equal(count_logged("trouble"), 3);
}

static void what_went_away_is_said_again(void **state)
{
    struct log_memory memory = {.now_count = 0};

    (void)state;
    catch_stderr();
    round_of(&memory, "one", "because");
    log_remember(&memory);
    log_remember(NULL);
    round_of(&memory, "one", "because");
    assert_int_equal(count_logged("trouble"), 2);
}

static void handshakes_are_always_said(void **state)
{
    struct log_memory memory = {.now_count = 0};
    int i;

    (void)state;
    catch_stderr();
    for (i = 0; i < 3; i++) {
        log_remember(&memory);
        log_event(LOG_LEVEL_INFO, "handshake", log_s("endpoint", "a:1"));
    }
    log_remember(NULL);
    assert_int_equal(count_logged("handshake"), 3);
}

static void without_a_memory_all_is_said(void **state)
{
    int i;

    (void)state;
    catch_stderr();
    for (i = 0; i < 3; i++)
        log_event(LOG_LEVEL_INFO, "trouble", log_s("code", "one"));
    assert_int_equal(count_logged("trouble"), 3);
}

/* What has no room in the memory is said rather than lost. */
static void a_full_memory_says_more(void **state)
{
    struct log_memory memory = {.now_count = 0};
    struct log_options quiet = {.level = LOG_LEVEL_WARNING};
    const struct log_options usual = {.level = LOG_LEVEL_INFO};
    struct err err;
    char name[16];
    int round, i;

    (void)state;
    catch_stderr();
    for (round = 0; round < 2; round++) {
        log_remember(&memory);
        for (i = 0; i < LOG_MEMORY_MAX; i++) {
            (void)snprintf(name, sizeof name, "%d", i);
            log_event(LOG_LEVEL_DEBUG, "filler", log_s("number", name));
        }
        assert_int_equal(log_open(&quiet, &err), 0);
        log_event(LOG_LEVEL_WARNING, "beyond", log_s("code", "one"));
    }
    log_remember(NULL);
    assert_int_equal(log_open(&usual, &err), 0);
    assert_int_equal(count_logged("beyond"), 2);
}

static void *log_elsewhere(void *unused)
{
    log_event(LOG_LEVEL_WARNING, "trouble", log_s("code", "one"));
    return unused;
}

static void a_memory_is_its_threads_own(void **state)
{
    struct log_memory memory = {.now_count = 0};
    pthread_t thread;

    (void)state;
    catch_stderr();
    round_of(&memory, "one", "because");
    log_remember(&memory);
    assert_int_equal(pthread_create(&thread, NULL, log_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    log_remember(NULL);
    assert_int_equal(count_logged("trouble"), 2);
}

static void count_event(void *user, const char *event, const struct log_field *fields)
{
    int *count = user;

    assert_string_equal(fields->key, "code");
    *count += strcmp(event, "trouble") == 0;
}

static void an_observer_sees_what_is_not_said(void **state)
{
    struct log_memory memory = {.now_count = 0};
    int count = 0;

    (void)state;
    catch_stderr();
    log_observe(count_event, &count);
    round_of(&memory, "one", "because");
    round_of(&memory, "one", "because");
    log_event(LOG_LEVEL_DEBUG, "trouble", log_s("code", "one"));
    log_observe(NULL, NULL);
    assert_int_equal(count_logged("trouble"), 1);
    assert_int_equal(count, 3);
}

/* A reader that does not read: lines are lost and counted, and nobody waits for ever. */
static void a_full_pipe_stops_nobody(void **state)
{
    const size_t before = log_dropped();
    size_t lost;
    int i;

    (void)state;
    catch_stderr();
    for (i = 0; i < 2000; i++)
        log_event(LOG_LEVEL_INFO, "filler", log_s("code", "0123456789012345678901234567890123456"));
    lost = log_dropped() - before;
    assert_true(lost > 0 && lost < 2000);
    assert_int_equal(count_logged("filler"), 2000 - (int)lost);
    catch_stderr();
    log_event(LOG_LEVEL_INFO, "filler", log_s("code", "again"));
    assert_int_equal(count_logged("again"), 1);
    assert_int_equal(log_dropped() - before, lost);
}

static void a_closed_pipe_stops_nobody(void **state)
{
    (void)state;
    catch_stderr();
    assert_int_equal(close(ends[0]), 0);
    log_event(LOG_LEVEL_INFO, "trouble", log_s("code", "one"));
    release_stderr();
}

static void a_file_that_cannot_be_opened_changes_nothing(void **state)
{
    struct log_options options = {.level = LOG_LEVEL_ERROR, .file = "/nowhere/log"};
    struct err err;

    (void)state;
    catch_stderr();
    assert_int_equal(log_open(&options, &err), -1);
    assert_int_equal(err.code, ERR_CONFIG);
    log_event(LOG_LEVEL_INFO, "trouble", log_s("code", "one"));
    assert_int_equal(count_logged("trouble"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_changed_is_said),
        cmocka_unit_test(what_went_away_is_said_again),
        cmocka_unit_test(handshakes_are_always_said),
        cmocka_unit_test(without_a_memory_all_is_said),
        cmocka_unit_test(a_full_memory_says_more),
        cmocka_unit_test(a_memory_is_its_threads_own),
        cmocka_unit_test(an_observer_sees_what_is_not_said),
        cmocka_unit_test(a_full_pipe_stops_nobody),
        cmocka_unit_test(a_closed_pipe_stops_nobody),
        cmocka_unit_test(a_file_that_cannot_be_opened_changes_nothing),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
