/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "metrics/metrics_internal.h"

static const char *const type_names[] = {
    [METRIC_COUNTER] = "counter",
    [METRIC_GAUGE] = "gauge",
    [METRIC_HISTOGRAM] = "histogram",
};

struct text {
    struct buf *out;
    bool failed;
};

static void put_text(struct text *text, const char *piece)
{
    if (!text->failed && buf_append_text(text->out, piece) < 0)
        text->failed = true;
}

/* "0.25": no zeros at the end, so that a bound is written as all others write it. */
static void put_number(struct text *text, int64_t value, int64_t scale)
{
    const char *sign = value < 0 ? "-" : "";
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    unsigned rest = scale == 1000 ? (unsigned)(size % 1000) : 0;
    unsigned digits = 3;
    char piece[32];

    while (rest > 0 && rest % 10 == 0) {
        rest /= 10;
        digits--;
    }
    (void)snprintf(piece, sizeof piece, rest ? "%s%llu.%0*u" : "%s%llu", sign,
                   (unsigned long long)(size / (uint64_t)scale), (int)digits, rest);
    put_text(text, piece);
}

/* name="value", where the value is printable ASCII. */
static void put_label(struct text *text, const char *name, const char *value)
{
    char piece[3] = {'\\'};

    put_text(text, name);
    put_text(text, "=\"");
    for (; *value; value++) {
        piece[1] = *value;
        put_text(text, *value == '"' || *value == '\\' ? piece : piece + 1);
    }
    put_text(text, "\"");
}

/* A sample's name and labels; le is the bound of a bucket, else NULL. */
static void put_head(struct text *text, const struct metric_series *series, const char *suffix,
                     const char *le)
{
    const struct metric_family *family = &metric_families[series->metric];
    const char *between = "{";
    size_t i;

    put_text(text, family->name);
    put_text(text, suffix);
    for (i = 0; i < METRIC_LABELS && family->labels[i]; i++) {
        put_text(text, between);
        put_label(text, family->labels[i], metric_label(series, i));
        between = ",";
    }
    if (le) {
        put_text(text, between);
        put_text(text, "le=\"");
        put_text(text, le);
    }
    put_text(text, le ? "" : i > 0 ? "} " : " ");
}

/* bound 0: no bound. */
static void put_bucket(struct text *text, const struct metric_series *series, int64_t bound,
                       int64_t count)
{
    put_head(text, series, "_bucket", bound > 0 ? "" : "+Inf");
    if (bound > 0)
        put_number(text, bound, metric_families[series->metric].scale);
    put_text(text, "\"} ");
    put_number(text, count, 1);
    put_text(text, "\n");
}

static void put_series(struct text *text, const struct metric_series *series)
{
    const struct metric_family *family = &metric_families[series->metric];
    int64_t count;
    size_t i;

    if (!series->histogram) {
        put_head(text, series, "", NULL);
        put_number(text, series->value, family->scale);
        put_text(text, "\n");
        return;
    }
    count = series->histogram->counts[0];
    for (i = 0; family->bounds[i] > 0; count += series->histogram->counts[++i])
        put_bucket(text, series, family->bounds[i], count);
    put_bucket(text, series, 0, count);
    put_head(text, series, "_sum", NULL);
    put_number(text, series->value, family->scale);
    put_text(text, "\n");
    put_head(text, series, "_count", NULL);
    put_number(text, count, 1);
    put_text(text, "\n");
}

static void put_family(struct text *text, const struct metric_family *family)
{
    put_text(text, "# HELP ");
    put_text(text, family->name);
    put_text(text, " ");
    put_text(text, family->help);
    put_text(text, "\n# TYPE ");
    put_text(text, family->name);
    put_text(text, " ");
    put_text(text, type_names[family->type]);
    put_text(text, "\n");
}

static int compare(const void *a, const void *b)
{
    return metric_compare(*(struct metric_series *const *)a, *(struct metric_series *const *)b);
}

static void put_all(struct text *text, const struct metrics *metrics)
{
    struct metric_series **all = metrics_all(metrics);
    int shown = METRICS; /* whose head is there: none's */
    size_t i;

    if (!all) {
        text->failed = true;
        return;
    }
    qsort(all, metrics->count, sizeof *all, compare);
    for (i = 0; i < metrics->count; i++) {
        if (all[i]->gone)
            continue;
        if ((int)all[i]->metric != shown)
            put_family(text, &metric_families[all[i]->metric]);
        shown = (int)all[i]->metric;
        put_series(text, all[i]);
    }
    free(all);
}

int metrics_render(struct metrics *metrics, struct buf *out)
{
    struct text text = {.out = out};
    size_t start = out->len;

    pthread_mutex_lock(&metrics->mutex);
    put_all(&text, metrics);
    pthread_mutex_unlock(&metrics->mutex);
    if (text.failed && out->data) {
        out->len = start;
        out->data[start] = '\0';
    }
    return text.failed ? -1 : 0;
}
