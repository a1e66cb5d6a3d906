/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/aside.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "metrics/metrics.h"

static struct metrics *metrics;
static struct aside aside = ASIDE;
static struct buf out;
static struct err err;
static char folder[64];
static char path[96], temporary[96], other[96];

static int set_up(void **state)
{
    (void)state;
    out = (struct buf){.public = true};
    metrics = metrics_new();
    return metrics ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    metrics_free(metrics);
    buf_free(&out);
    return 0;
}

static const char *render(void)
{
    buf_free(&out);
    assert_int_equal(metrics_render(metrics, &out), 0);
    return (const char *)out.data;
}

/* Whole lines. */
static void assert_shows(const char *lines)
{
    const char *text = render(), *found = strstr(text, lines);

    if (!found || (found != text && found[-1] != '\n'))
        fail_msg("no\n%s\nin\n%s", lines, text);
}

static void assert_hides(const char *piece)
{
    assert_null(strstr(render(), piece));
}

static void a_family_is_shown_as_prometheus_reads_it(void **state)
{
    (void)state;
    metrics_add(metrics, METRIC_FETCHES, METRICS_LABELS("web", "unchanged"), 2);
    metrics_add(metrics, METRIC_FETCHES, METRICS_LABELS("web", "installed"), 1);
    metrics_add(metrics, METRIC_FETCHES, METRICS_LABELS("web", "unchanged"), 3);
    metrics_add(metrics, METRIC_FETCHES, METRICS_LABELS("api", "unchanged"), 1);
    assert_shows("# HELP mtls_agent_fetches_total Fetches of a set, by how they ended.\n"
                 "# TYPE mtls_agent_fetches_total counter\n"
                 "mtls_agent_fetches_total{set=\"api\",result=\"unchanged\"} 1\n"
                 "mtls_agent_fetches_total{set=\"web\",result=\"installed\"} 1\n"
                 "mtls_agent_fetches_total{set=\"web\",result=\"unchanged\"} 5\n"
                 "# HELP ");
}

static void a_gauge_is_what_was_set_last(void **state)
{
    (void)state;
    metrics_set(metrics, METRIC_MEMORY_LOCKED, NULL, 98304);
    metrics_set(metrics, METRIC_MEMORY_LOCKED, NULL, 65536);
    assert_shows("# TYPE mtls_agent_memory_locked_bytes gauge\n"
                 "mtls_agent_memory_locked_bytes 65536\n");
}

static void thousandths_are_shown_as_decimals(void **state)
{
    (void)state;
    metrics_set(metrics, METRIC_SUCCESS_RATIO, METRICS_LABELS("a", "1h"), 1000);
    metrics_set(metrics, METRIC_SUCCESS_RATIO, METRICS_LABELS("b", "1h"), 5);
    metrics_set(metrics, METRIC_SUCCESS_RATIO, METRICS_LABELS("c", "1h"), 950);
    metrics_set(metrics, METRIC_SUCCESS_RATIO, METRICS_LABELS("d", "1h"), -1250);
    assert_shows("mtls_agent_endpoint_success_ratio{endpoint=\"a\",window=\"1h\"} 1\n"
                 "mtls_agent_endpoint_success_ratio{endpoint=\"b\",window=\"1h\"} 0.005\n"
                 "mtls_agent_endpoint_success_ratio{endpoint=\"c\",window=\"1h\"} 0.95\n"
                 "mtls_agent_endpoint_success_ratio{endpoint=\"d\",window=\"1h\"} -1.25\n");
}

/* The value of a bound lies within its bucket. */
static void a_histogram_is_cumulative(void **state)
{
    static const int64_t ms[] = {0, 5, 6, 250, 9999, 10001, 60000};

    (void)state;
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
        metrics_observe(metrics, METRIC_HANDSHAKE_DURATION, METRICS_LABELS("a:443"), ms[i]);
    assert_shows("# TYPE mtls_agent_handshake_duration_seconds histogram\n"
                 "mtls_agent_handshake_duration_seconds_bucket{endpoint=\"a:443\",le=\"0.005\"} 2\n"
                 "mtls_agent_handshake_duration_seconds_bucket{endpoint=\"a:443\",le=\"0.01\"} 3\n"
                 "mtls_agent_handshake_duration_seconds_bucket{endpoint=\"a:443\",le=\"0.025\"} 3\n"
                 "mtls_agent_handshake_duration_seconds_bucket{endpoint=\"a:443\",le=\"0.05\"} 3\n"
                 "mtls_agent_handshake_duration_seconds_bucket{endpoint=\"a:443\",le=\"0.1\"} 3\n"
                 "mtls_agent_handshake_duration_seconds_bucket{endpoint=\"a:443\",le=\"0.25\"} 4\n"
                 "mtls_agent_handshake_duration_seconds_bucket{endpoint=\"a:443\",le=\"0.5\"} 4\n"
                 "mtls_agent_handshake_duration_seconds_bucket{endpoint=\"a:443\",le=\"1\"} 4\n"
                 "mtls_agent_handshake_duration_seconds_bucket{endpoint=\"a:443\",le=\"2.5\"} 4\n"
                 "mtls_agent_handshake_duration_seconds_bucket{endpoint=\"a:443\",le=\"5\"} 4\n"
                 "mtls_agent_handshake_duration_seconds_bucket{endpoint=\"a:443\",le=\"10\"} 5\n"
                 "mtls_agent_handshake_duration_seconds_bucket{endpoint=\"a:443\",le=\"+Inf\"} 7\n"
                 "mtls_agent_handshake_duration_seconds_sum{endpoint=\"a:443\"} 80.261\n"
                 "mtls_agent_handshake_duration_seconds_count{endpoint=\"a:443\"} 7\n");
}

static void what_has_no_labels_begins_at_nought(void **state)
{
    (void)state;
    assert_shows("mtls_agent_clock_jumps_total 0\n");
    assert_shows("mtls_agent_fetch_duration_seconds_bucket{le=\"60\"} 0\n"
                 "mtls_agent_fetch_duration_seconds_bucket{le=\"+Inf\"} 0\n"
                 "mtls_agent_fetch_duration_seconds_sum 0\n"
                 "mtls_agent_fetch_duration_seconds_count 0\n");
    assert_hides("mtls_agent_memory_locked_bytes");
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    metrics_add(metrics, METRIC_ROLLBACKS, METRICS_LABELS("a\"b\\c} 7\n\xC3"), 1);
    assert_shows("mtls_agent_rollbacks_total{set=\"a\\\"b\\\\c} 7\\\\x0a\\\\xc3\"} 1\n");
}

static void a_long_label_is_cut(void **state)
{
    char longer[2 * METRICS_LABEL_MAX], shown[3 * METRICS_LABEL_MAX];

    (void)state;
    memset(longer, 'x', sizeof longer);
    longer[METRICS_LABEL_MAX - 3] = '\n'; /* its escape does not fit whole */
    longer[sizeof longer - 1] = '\0';
    metrics_add(metrics, METRIC_ROLLBACKS, METRICS_LABELS(longer), 1);
    (void)snprintf(shown, sizeof shown, "mtls_agent_rollbacks_total{set=\"%.*s\"} 1\n",
                   METRICS_LABEL_MAX - 3, longer);
    assert_shows(shown);
}

static void a_counter_never_falls(void **state)
{
    (void)state;
    metrics_add(metrics, METRIC_WAKEUPS, NULL, 3);
    metrics_add(metrics, METRIC_WAKEUPS, NULL, -1);
    metrics_set(metrics, METRIC_WAKEUPS, NULL, 1);
    assert_shows("mtls_agent_wakeups_total 3\n");
}

static void the_order_of_events_does_not_show(void **state)
{
    static const char *const sets[] = {"c", "a", "b"};
    struct buf first;

    (void)state;
    for (int i = 0; i < 3; i++)
        metrics_set(metrics, METRIC_LAST_FETCH, METRICS_LABELS(sets[i]), 7);
    render();
    first = out;
    out = (struct buf){.public = true};
    metrics_free(metrics);
    metrics = metrics_new();
    for (int i = 2; i >= 0; i--)
        metrics_set(metrics, METRIC_LAST_FETCH, METRICS_LABELS(sets[i]), 7);
    assert_string_equal(render(), (const char *)first.data);
    buf_free(&first);
}

static void what_finds_no_room_is_counted(void **state)
{
    char endpoint[16];

    (void)state;
    for (int i = 0; i < METRICS_SERIES_MAX + 100; i++) {
        (void)snprintf(endpoint, sizeof endpoint, "e%d", i);
        metrics_add(metrics, METRIC_HANDSHAKES, METRICS_LABELS(endpoint, "accepted"), 1);
    }
    metrics_add(metrics, METRIC_HANDSHAKES, METRICS_LABELS("e0", "accepted"), 1);
    assert_shows("mtls_agent_handshakes_total{endpoint=\"e0\",result=\"accepted\",alert=\"\"} 2\n");
    assert_hides("endpoint=\"e16384\"");
    assert_hides("mtls_agent_metrics_dropped_total 0\n");
    metrics_forget(metrics, METRIC_HANDSHAKES);
    metrics_add(metrics, METRIC_HANDSHAKES, METRICS_LABELS("e16384", "accepted"), 1);
    assert_shows(
        "mtls_agent_handshakes_total{endpoint=\"e16384\",result=\"accepted\",alert=\"\"} 1\n");
}

static void a_forgotten_gauge_is_gone(void **state)
{
    (void)state;
    metrics_set(metrics, METRIC_SECRET_VERSION, METRICS_LABELS("web", "arn", "v1"), 1);
    metrics_forget(metrics, METRIC_SECRET_VERSION);
    metrics_set(metrics, METRIC_SECRET_VERSION, METRICS_LABELS("web", "arn", "v2"), 1);
    assert_shows("# TYPE mtls_agent_secret_version_info gauge\n"
                 "mtls_agent_secret_version_info{set=\"web\",secret=\"arn\",version_id=\"v2\"} 1\n"
                 "# HELP ");
}

static void what_is_not_configured_any_more_is_gone(void **state)
{
    static const char *const left[] = {"b", "never"};

    (void)state;
    metrics_add(metrics, METRIC_HANDSHAKES, METRICS_LABELS("a", "accepted"), 1);
    metrics_add(metrics, METRIC_HANDSHAKES, METRICS_LABELS("b", "accepted"), 2);
    metrics_add(metrics, METRIC_HOOKS, METRICS_LABELS("done"), 3);
    metrics_observe(metrics, METRIC_HANDSHAKE_DURATION, METRICS_LABELS("a"), 1);
    metrics_retain(metrics, "endpoint", left, 2);
    assert_hides("endpoint=\"a\"");
    assert_hides("mtls_agent_handshake_duration_seconds_");
    assert_shows("mtls_agent_handshakes_total{endpoint=\"b\",result=\"accepted\",alert=\"\"} 2\n");
    assert_shows("mtls_agent_hooks_total{result=\"done\"} 3\n");
    metrics_add(metrics, METRIC_HANDSHAKES, METRICS_LABELS("a", "accepted"), 1);
    assert_shows("mtls_agent_handshakes_total{endpoint=\"a\",result=\"accepted\",alert=\"\"} 1\n");
}

static void no_half_text_where_memory_is_full(void **state)
{
    (void)state;
    assert_int_equal(buf_append_text(&out, "before"), 0);
    out.max = 100;
    assert_int_equal(metrics_render(metrics, &out), -1);
    assert_string_equal((const char *)out.data, "before");
    assert_int_equal(out.len, 6);
}

static void event(const char *name, const struct log_field *fields)
{
    metrics_event(metrics, name, fields);
}

#define fields(...) ((const struct log_field[]){__VA_ARGS__, {0}})

static void events_of_the_log_are_counted(void **state)
{
    (void)state;
    event("retry", fields(log_s("step", "get_secret_value"), log_n("attempt", 1)));
    event("attempt", fields(log_s("step", "get_secret_value")));
    event("handshake",
          fields(log_s("endpoint", "a:443"), log_s("result", "accepted"), log_s("tls", "1.3"),
                 log_s("group", "X25519"), log_s("handshake", "resumed"), log_s("alert", NULL),
                 log_n("tcp_ms", 20), log_n("tls_ms", 40)));
    event("handshake",
          fields(log_s("endpoint", "a:443"), log_s("result", "refused"),
                 log_s("alert", "unknown_ca"), log_n("tcp_ms", 20), log_n("tls_ms", -1)));
    assert_shows("mtls_agent_retries_total{step=\"get_secret_value\"} 1\n");
    assert_shows(
        "mtls_agent_handshakes_total{endpoint=\"a:443\",result=\"accepted\",alert=\"\"} 1\n"
        "mtls_agent_handshakes_total{endpoint=\"a:443\",result=\"refused\",alert=\"unknown_ca\"} "
        "1\n");
    assert_shows("mtls_agent_handshakes_completed_total{endpoint=\"a:443\",version=\"1.3\",group="
                 "\"X25519\",handshake=\"resumed\"} 1\n# ");
    assert_shows("mtls_agent_handshake_duration_seconds_sum{endpoint=\"a:443\"} 0.06\n"
                 "mtls_agent_handshake_duration_seconds_count{endpoint=\"a:443\"} 1\n");
}

enum { ADDITIONS = 20000 };

static void *add_many(void *nothing)
{
    for (int i = 0; i < ADDITIONS; i++)
        event("retry", fields(log_s("step", "describe_secret")));
    return nothing;
}

static void threads_lose_nothing(void **state)
{
    pthread_t threads[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_shows("mtls_agent_retries_total{step=\"describe_secret\"} 40000\n");
}

static int set_up_folder(void **state)
{
    (void)snprintf(folder, sizeof folder, "/tmp/mtls-agent-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/agent.prom", folder);
    (void)snprintf(temporary, sizeof temporary, "%s/agent.prom.tmp", folder);
    (void)snprintf(other, sizeof other, "%s/other", folder);
    return set_up(state);
}

static int tear_down_folder(void **state)
{
    (void)unlink(path);
    (void)unlink(other);
    (void)unlink(temporary);
    (void)rmdir(temporary);
    (void)rmdir(folder);
    if (access(folder, F_OK) == 0)
        return -1;
    return tear_down(state);
}

static void assert_file(const char *name, const char *text)
{
    struct buf content = {.public = true};

    assert_int_equal(fs_read(AT_FDCWD, name, &content), 0);
    assert_string_equal((const char *)content.data, text);
    buf_free(&content);
}

static void a_file_is_replaced_for_all_to_read(void **state)
{
    mode_t before = umask(077);
    struct stat status;

    (void)state;
    assert_int_equal(metrics_write(metrics, &aside, path, &err), 0);
    metrics_add(metrics, METRIC_WAKEUPS, NULL, 1);
    assert_int_equal(metrics_write(metrics, &aside, path, &err), 0);
    umask(before);
    assert_file(path, render());
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
    assert_int_equal(access(temporary, F_OK), -1);
}

static void write_other(const char *text)
{
    FILE *file = fopen(other, "w");

    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0 && fclose(file) == 0, 1);
}

static void a_link_at_either_name_is_not_followed(void **state)
{
    struct stat status;

    (void)state;
    write_other("precious");
    assert_int_equal(symlink(other, temporary), 0);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(metrics_write(metrics, &aside, path, &err), 0);
    assert_file(other, "precious");
    assert_file(path, render());
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISREG(status.st_mode));
}

static void a_failed_write_leaves_the_old_file(void **state)
{
    struct rlimit limit, none;

    (void)state;
    assert_int_equal(metrics_write(metrics, &aside, path, &err), 0);
    render();
    metrics_add(metrics, METRIC_WAKEUPS, NULL, 1);
    assert_int_equal(mkdir(temporary, 0700), 0); /* a name of older versions, which blocked it */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    none = (struct rlimit){0, limit.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_int_equal(metrics_write(metrics, &aside, path, &err), -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(err.code, ERR_SYSTEM);
    assert_string_equal(err.subject, path);
    assert_file(path, (const char *)out.data);
    metrics_add(metrics, METRIC_WAKEUPS, NULL, 1);
    assert_int_equal(metrics_write(metrics, &aside, path, &err), 0);
    assert_file(path, render());
}

static void a_path_that_cannot_be_is_an_error(void **state)
{
    char longer[2 * PATH_MAX];

    (void)state;
    assert_int_equal(metrics_write(metrics, &aside, "/nonexistent/agent.prom", &err), -1);
    assert_int_equal(err.code, ERR_SYSTEM);
    memset(longer, 'x', sizeof longer);
    longer[0] = '/';
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(metrics_write(metrics, &aside, longer, &err), -1);
    assert_int_equal(err.code, ERR_SYSTEM);
}

#define test(name)      cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define test_file(name) cmocka_unit_test_setup_teardown(name, set_up_folder, tear_down_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_family_is_shown_as_prometheus_reads_it),
        test(a_gauge_is_what_was_set_last),
        test(thousandths_are_shown_as_decimals),
        test(a_histogram_is_cumulative),
        test(what_has_no_labels_begins_at_nought),
        test(label_values_are_escaped),
        test(a_long_label_is_cut),
        test(a_counter_never_falls),
        test(the_order_of_events_does_not_show),
        test(what_finds_no_room_is_counted),
        test(a_forgotten_gauge_is_gone),
        test(what_is_not_configured_any_more_is_gone),
        test(no_half_text_where_memory_is_full),
        test(events_of_the_log_are_counted),
        test(threads_lose_nothing),
        test_file(a_file_is_replaced_for_all_to_read),
        test_file(a_link_at_either_name_is_not_followed),
        test_file(a_failed_write_leaves_the_old_file),
        test_file(a_path_that_cannot_be_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
