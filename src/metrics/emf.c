/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_write.h"
#include "metrics/metrics_internal.h"

#define NAMESPACE "mtls-agent"

/*
 * A line holds each metric at most once, with METRIC_SAMPLES values at most: under 80 KiB. Of
 * CloudWatch's own limits, 100 metrics and 30 dimensions, the table is far away.
 */
_Static_assert(METRICS <= 100 && METRIC_SAMPLES <= 100, "a line would break CloudWatch's limits");

/* A line: the series of one set of dimension values, sorted. */
struct line {
    struct json_writer json;
    struct metric_series **series;
    size_t count;
    int64_t now; /* seconds since 1970 */
};

/* The series' next dimension from label index on; METRIC_LABELS: none. */
static size_t dimension(const struct metric_series *series, size_t index)
{
    const unsigned mask = metric_families[series->metric].emf.dimensions;

    while (index < METRIC_LABELS && !(mask >> index & 1U))
        index++;
    return index;
}

static const char *dimension_label(const struct metric_series *series, size_t index)
{
    return metric_families[series->metric].labels[index];
}

/* CloudWatch drops a dimension without a value, and with it what tells the metric from others. */
static const char *dimension_value(const struct metric_series *series, size_t index)
{
    const char *value = metric_label(series, index);

    return value[strspn(value, " ")] ? value : "-";
}

/* By dimensions, which have the same names in the same order where they are the same. */
static int compare_dimensions(const struct metric_series *a, const struct metric_series *b)
{
    size_t i = dimension(a, 0), k = dimension(b, 0);

    while (i < METRIC_LABELS && k < METRIC_LABELS) {
        int order = strcmp(dimension_label(a, i), dimension_label(b, k));

        if (order == 0)
            order = strcmp(dimension_value(a, i), dimension_value(b, k));
        if (order != 0)
            return order;
        i = dimension(a, i + 1);
        k = dimension(b, k + 1);
    }
    return (i < METRIC_LABELS) - (k < METRIC_LABELS);
}

static int compare(const void *a, const void *b)
{
    const struct metric_series *one = *(struct metric_series *const *)a;
    const struct metric_series *other = *(struct metric_series *const *)b;
    int order = compare_dimensions(one, other);

    return order != 0 ? order : metric_compare(one, other);
}

static bool has_news(const struct metric_series *series)
{
    const enum emf_mode mode = metric_families[series->metric].emf.mode;

    if (series->histogram)
        return mode != EMF_OFF && series->histogram->sampled > 0;
    return mode > EMF_CHANGED || (mode == EMF_CHANGED && series->value != series->told);
}

/* How many series from the line's first one on are of its metric too: other labels differ. */
static size_t run_of(const struct line *line, size_t first)
{
    size_t end = first + 1;

    while (end < line->count && line->series[end]->metric == line->series[first]->metric)
        end++;
    return end - first;
}

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0 ? 1 : 0);
}

/* Of a run of counters the sum of what they grew by; of gauges the last. */
static int64_t value_of(const struct line *line, size_t first, size_t run)
{
    const struct metric_series *series = line->series[first + run - 1];
    const struct metric_family *family = &metric_families[series->metric];
    int64_t sum = 0;

    if (family->emf.mode == EMF_LEFT)
        return series->value - line->now;
    if (family->emf.mode == EMF_AGE)
        return line->now - series->value;
    if (family->type == METRIC_GAUGE)
        return floor_div(series->value, family->emf.scale);
    for (; run > 0; run--, first++)
        sum += line->series[first]->value - line->series[first]->told;
    return sum;
}

static void put_samples(struct line *line, const char *name, size_t first, size_t run)
{
    size_t room = METRIC_SAMPLES;

    json_open(&line->json, name, '[');
    for (; run > 0; run--, first++) {
        const struct metric_histogram *histogram = line->series[first]->histogram;
        size_t n = histogram->sampled < room ? histogram->sampled : room;

        room -= n;
        for (; n > 0; n--)
            json_put_number(&line->json, NULL,
                            histogram->samples[(histogram->sampled - n) % METRIC_SAMPLES]);
    }
    json_close(&line->json, ']');
}

static void put_dimensions(struct line *line, bool targets)
{
    const struct metric_series *series = line->series[0];
    char name[32];
    size_t i;

    for (i = dimension(series, 0); i < METRIC_LABELS; i = dimension(series, i + 1)) {
        const char *from = dimension_label(series, i);

        /* "endpoint" is "Endpoint" to CloudWatch. */
        (void)snprintf(name, sizeof name, "%c%s", toupper(*from), from + 1);
        if (targets)
            json_put_text(&line->json, name, dimension_value(series, i));
        else
            json_put_text(&line->json, NULL, name);
    }
}

static void put_metadata(struct line *line, int64_t now_ms)
{
    struct json_writer *json = &line->json;
    size_t i;

    json_open(json, "_aws", '{');
    json_put_number(json, "Timestamp", now_ms);
    json_open(json, "CloudWatchMetrics", '[');
    json_open(json, NULL, '{');
    json_put_text(json, "Namespace", NAMESPACE);
    json_open(json, "Dimensions", '[');
    json_open(json, NULL, '[');
    put_dimensions(line, false);
    json_close(json, ']');
    json_close(json, ']');
    json_open(json, "Metrics", '[');
    for (i = 0; i < line->count; i += run_of(line, i)) {
        const struct metric_family *family = &metric_families[line->series[i]->metric];

        json_open(json, NULL, '{');
        json_put_text(json, "Name", family->emf.name);
        json_put_text(json, "Unit", family->emf.unit);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
    json_close(json, ']');
    json_close(json, '}');
}

static int put_line(struct line *line, int64_t now_ms)
{
    size_t i, run;

    json_open(&line->json, NULL, '{');
    put_metadata(line, now_ms);
    put_dimensions(line, true);
    for (i = 0; i < line->count; i += run) {
        const struct metric_family *family = &metric_families[line->series[i]->metric];

        run = run_of(line, i);
        if (family->type == METRIC_HISTOGRAM)
            put_samples(line, family->emf.name, i, run);
        else
            json_put_number(&line->json, family->emf.name, value_of(line, i, run));
    }
    json_close(&line->json, '}');
    return line->json.failed ? -1 : buf_append_text(line->json.out, "\n");
}

static int put_lines(struct metric_series **series, size_t count, int64_t now_ms, struct buf *out)
{
    size_t i, n;

    for (i = 0; i < count; i += n) {
        struct line line = {.json = {.out = out}, .series = series + i, .now = now_ms / 1000};

        for (n = 1; i + n < count && compare_dimensions(series[i], series[i + n]) == 0;)
            n++;
        line.count = n;
        if (put_line(&line, now_ms) < 0)
            return -1;
    }
    return 0;
}

int metrics_render_emf(struct metrics *metrics, int64_t now_ms, struct buf *out)
{
    struct metric_series **series;
    size_t i, count = 0, start = out->len;
    int result = -1;

    pthread_mutex_lock(&metrics->mutex);
    series = metrics_all(metrics);
    for (i = 0; series && i < metrics->count; i++)
        if (has_news(series[i]))
            series[count++] = series[i];
    if (series) {
        qsort(series, count, sizeof *series, compare);
        result = put_lines(series, count, now_ms, out);
    }
    for (i = 0; result == 0 && i < count; i++) {
        series[i]->told = series[i]->value;
        if (series[i]->histogram)
            series[i]->histogram->sampled = 0;
    }
    if (result == 0)
        metrics_sweep(metrics);
    pthread_mutex_unlock(&metrics->mutex);
    free(series);
    if (result < 0 && out->data) {
        out->len = start;
        out->data[start] = '\0';
    }
    return result;
}
