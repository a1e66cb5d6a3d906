/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "metrics/metrics.h"
#include "samples.h"

#define NOW_MS 1574109732004

static struct metrics *metrics;
static struct buf out;

static int set_up(void **state)
{
    (void)state;
    out = (struct buf){.public = true};
    metrics = metrics_new();
    if (metrics)
        metrics_use_emf(metrics, true);
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
    assert_int_equal(metrics_render_emf(metrics, NOW_MS, &out), 0);
    return (const char *)out.data;
}

static void assert_shows(const char *piece)
{
    if (!strstr((const char *)out.data, piece))
        fail_msg("no\n%s\nin\n%s", piece, (const char *)out.data);
}

/* The text begins with this line; what comes behind it. */
static const char *assert_line(const char *text, const char *dimensions, const char *metrics_list,
                               const char *targets)
{
    char line[1024];

    (void)snprintf(line, sizeof line,
                   "{\"_aws\":{\"Timestamp\":1574109732004,\"CloudWatchMetrics\":[{"
                   "\"Namespace\":\"mtls-agent\",\"Dimensions\":[[%s]],\"Metrics\":[%s]}]},%s}\n",
                   dimensions, metrics_list, targets);
    if (strncmp(text, line, strlen(line)) != 0)
        fail_msg("no\n%s\nat the start of\n%s", line, text);
    return text + strlen(line);
}

static void each_set_of_dimensions_has_a_line(void **state)
{
    const char *text;

    (void)state;
    metrics_add(metrics, METRIC_WAKEUPS, NULL, 4);
    metrics_add(metrics, METRIC_ROLLBACKS, METRICS_LABELS("web"), 1);
    metrics_set(metrics, METRIC_LAST_SUCCESS, METRICS_LABELS("web"), NOW_MS / 1000 - 60);
    metrics_observe(metrics, METRIC_HANDSHAKE_DURATION, METRICS_LABELS("b:443"), 12);
    metrics_observe(metrics, METRIC_HANDSHAKE_DURATION, METRICS_LABELS("b:443"), 7);
    metrics_observe(metrics, METRIC_HANDSHAKE_DURATION, METRICS_LABELS("a\"é:443"), 3);
    text = assert_line(
        render(), "",
        "{\"Name\":\"ClockJumps\",\"Unit\":\"Count\"},{\"Name\":\"Wakeups\",\"Unit\":\"Count\"},"
        "{\"Name\":\"LogLinesDropped\",\"Unit\":\"Count\"},"
        "{\"Name\":\"MetricsDropped\",\"Unit\":\"Count\"}",
        "\"ClockJumps\":0,\"Wakeups\":4,\"LogLinesDropped\":0,\"MetricsDropped\":0");
    text = assert_line(text, "\"Endpoint\"",
                       "{\"Name\":\"HandshakeDuration\",\"Unit\":\"Milliseconds\"}",
                       "\"Endpoint\":\"a\\\"\\\\xc3\\\\xa9:443\",\"HandshakeDuration\":[3]");
    text = assert_line(text, "\"Endpoint\"",
                       "{\"Name\":\"HandshakeDuration\",\"Unit\":\"Milliseconds\"}",
                       "\"Endpoint\":\"b:443\",\"HandshakeDuration\":[12,7]");
    text = assert_line(text, "\"Set\"",
                       "{\"Name\":\"TimeSinceSuccess\",\"Unit\":\"Seconds\"},"
                       "{\"Name\":\"Rollbacks\",\"Unit\":\"Count\"}",
                       "\"Set\":\"web\",\"TimeSinceSuccess\":60,\"Rollbacks\":1");
    assert_string_equal(text, "");
}

/* An alarm on a sum needs the 0 that says that all is well again. */
static void counters_are_told_as_what_is_new(void **state)
{
    (void)state;
    metrics_add(metrics, METRIC_HOOKS, METRICS_LABELS("failed"), 3);
    metrics_add(metrics, METRIC_RETRIES, METRICS_LABELS("describe_secret"), 2);
    render();
    assert_shows("\"Result\":\"failed\",\"Hooks\":3}\n");
    assert_shows("\"Step\":\"describe_secret\",\"Retries\":2}\n");
    render();
    assert_shows("\"Result\":\"failed\",\"Hooks\":0}\n");
    assert_null(strstr((const char *)out.data, "Retries"));
    metrics_add(metrics, METRIC_HOOKS, METRICS_LABELS("failed"), 1);
    metrics_add(metrics, METRIC_RETRIES, METRICS_LABELS("describe_secret"), 1);
    render();
    assert_shows("\"Result\":\"failed\",\"Hooks\":1}\n");
    assert_shows("\"Step\":\"describe_secret\",\"Retries\":1}\n");
}

static void labels_that_are_no_dimension_are_added_up(void **state)
{
    (void)state;
    metrics_add(metrics, METRIC_HANDSHAKES, METRICS_LABELS("a", "refused", "unknown_ca"), 2);
    metrics_add(metrics, METRIC_HANDSHAKES, METRICS_LABELS("a", "refused", "bad_certificate"), 1);
    render();
    assert_shows("\"Dimensions\":[[\"Endpoint\",\"Result\"]]");
    assert_shows("\"Endpoint\":\"a\",\"Result\":\"refused\",\"Handshakes\":3}\n");
}

static void two_metrics_of_the_same_dimensions_share_a_line(void **state)
{
    (void)state;
    metrics_add(metrics, METRIC_HOOKS, METRICS_LABELS("ok"), 1);
    metrics_add(metrics, METRIC_RELOADS, METRICS_LABELS("ok"), 2);
    render();
    assert_shows("\"Result\":\"ok\",\"Hooks\":1,\"Reloads\":2}\n");
}

static void the_newest_hundred_samples_are_told_once(void **state)
{
    char wanted[2048] = "\"HandshakeDuration\":[";
    int i;

    (void)state;
    for (i = 0; i < 250; i++)
        metrics_observe(metrics, METRIC_HANDSHAKE_DURATION, METRICS_LABELS("a"), i);
    for (i = 150; i < 250; i++)
        (void)snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "%d%s", i,
                       i < 249 ? "," : "]}\n");
    render();
    assert_shows(wanted);
    assert_null(strstr(render(), "HandshakeDuration"));
    metrics_observe(metrics, METRIC_HANDSHAKE_DURATION, METRICS_LABELS("a"), 9);
    render();
    assert_shows("\"HandshakeDuration\":[9]}\n");
}

static void what_has_expired_has_less_than_no_time_left(void **state)
{
    (void)state;
    metrics_set(metrics, METRIC_CERTIFICATE_NOT_AFTER, METRICS_LABELS("", "leaf"),
                NOW_MS / 1000 - 5);
    metrics_set(metrics, METRIC_CERTIFICATE_NOT_AFTER, METRICS_LABELS("web", "ca"),
                NOW_MS / 1000 + 86400);
    render();
    assert_shows("\"Set\":\"-\",\"Certificate\":\"leaf\",\"CertificateTimeLeft\":-5}\n");
    assert_shows("\"Set\":\"web\",\"Certificate\":\"ca\",\"CertificateTimeLeft\":86400}\n");
    render();
    assert_shows("\"Certificate\":\"ca\",\"CertificateTimeLeft\":86400}\n");
}

static void a_ratio_is_never_rounded_up(void **state)
{
    (void)state;
    metrics_set(metrics, METRIC_SUCCESS_RATIO, METRICS_LABELS("a", "1h"), 999);
    render();
    assert_shows("{\"Name\":\"SuccessRatio\",\"Unit\":\"Percent\"}");
    assert_shows("\"Window\":\"1h\",\"SuccessRatio\":99}\n");
}

static void a_gauge_is_told_where_it_has_changed(void **state)
{
    (void)state;
    metrics_set(metrics, METRIC_MEMORY_LOCKED, NULL, 0);
    render();
    assert_shows("\"MemoryLocked\":0,");
    assert_null(strstr(render(), "MemoryLocked"));
    metrics_set(metrics, METRIC_MEMORY_LOCKED, NULL, 4096);
    render();
    assert_shows("\"MemoryLocked\":4096,");
}

static void nothing_is_lost_where_there_is_no_room(void **state)
{
    (void)state;
    metrics_add(metrics, METRIC_WAKEUPS, NULL, 4);
    metrics_observe(metrics, METRIC_HANDSHAKE_DURATION, METRICS_LABELS("a"), 9);
    assert_int_equal(buf_append_text(&out, "before"), 0);
    out.max = 400;
    assert_int_equal(metrics_render_emf(metrics, NOW_MS, &out), -1);
    assert_string_equal((const char *)out.data, "before");
    out.max = 0;
    render();
    assert_shows("\"Wakeups\":4,");
    assert_shows("\"HandshakeDuration\":[9]}");
}

/* The longest labels and as many samples as there may be: each line is JSON, and short enough. */
static void lines_are_json_within_the_bound(void **state)
{
    char label[2 * METRICS_LABEL_MAX], reason[JSON_REASON_MAX], *line, *end;
    size_t lines = 0;

    (void)state;
    memset(label, '"', sizeof label);
    label[sizeof label - 1] = '\0';
    for (int i = 0; i < 1000; i++)
        metrics_observe(metrics, METRIC_HANDSHAKE_DURATION, METRICS_LABELS(label), INT32_MAX);
    metrics_add(metrics, METRIC_HANDSHAKES, METRICS_LABELS(label, label, label), 1);
    render();
    for (line = (char *)out.data; (end = strchr(line, '\n')); line = end + 1, lines++) {
        struct json *json = json_parse(bytes_of(line, (size_t)(end - line)), reason);

        assert_non_null(json);
        json_free(json);
        assert_in_range(end - line, 2, 8192);
    }
    assert_int_equal(lines, 3);
}

static void without_emf_no_samples_are_kept(void **state)
{
    (void)state;
    metrics_free(metrics);
    metrics = metrics_new();
    metrics_observe(metrics, METRIC_HANDSHAKE_DURATION, METRICS_LABELS("a"), 9);
    assert_null(strstr(render(), "HandshakeDuration"));
}

static void what_was_before_is_no_increase(void **state)
{
    (void)state;
    metrics_free(metrics);
    metrics = metrics_new();
    metrics_add(metrics, METRIC_RETRIES, METRICS_LABELS("AWS"), 1000);
    metrics_observe(metrics, METRIC_HANDSHAKE_DURATION, METRICS_LABELS("a"), 9);
    metrics_use_emf(metrics, true);
    metrics_add(metrics, METRIC_RETRIES, METRICS_LABELS("AWS"), 2);
    metrics_observe(metrics, METRIC_HANDSHAKE_DURATION, METRICS_LABELS("a"), 11);
    assert_non_null(strstr(render(), "\"Retries\":2}"));
    assert_non_null(strstr((const char *)out.data, "\"HandshakeDuration\":[11]"));
}

static void what_is_gone_is_told_to_the_end(void **state)
{
    static const char *const left[] = {"b"};

    (void)state;
    metrics_add(metrics, METRIC_HANDSHAKES, METRICS_LABELS("a", "accepted"), 7);
    metrics_add(metrics, METRIC_HANDSHAKES, METRICS_LABELS("b", "accepted"), 1);
    metrics_retain(metrics, "endpoint", left, 1);
    assert_non_null(
        strstr(render(), "\"Endpoint\":\"a\",\"Result\":\"accepted\",\"Handshakes\":7}"));
    assert_null(strstr(render(), "\"Endpoint\":\"a\""));
    assert_non_null(strstr((const char *)out.data, "\"Endpoint\":\"b\""));
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(each_set_of_dimensions_has_a_line),
        test(counters_are_told_as_what_is_new),
        test(labels_that_are_no_dimension_are_added_up),
        test(two_metrics_of_the_same_dimensions_share_a_line),
        test(the_newest_hundred_samples_are_told_once),
        test(what_has_expired_has_less_than_no_time_left),
        test(a_ratio_is_never_rounded_up),
        test(a_gauge_is_told_where_it_has_changed),
        test(nothing_is_lost_where_there_is_no_room),
        test(lines_are_json_within_the_bound),
        test(without_emf_no_samples_are_kept),
        test(what_was_before_is_no_increase),
        test(what_is_gone_is_told_to_the_end),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
