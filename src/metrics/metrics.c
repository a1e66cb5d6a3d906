/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/secrecy.h"
#include "metrics/metrics_internal.h"

/* What tells a series from others. */
struct key {
    enum metric metric;
    size_t len;
    char labels[METRIC_LABELS * METRICS_LABEL_MAX];
};

/* Never half an escape: a cut value stays readable. */
static void put_label(struct key *key, const char *value)
{
    static const char digits[] = "0123456789abcdef";
    const size_t end = key->len + METRICS_LABEL_MAX - 1;
    char shown[METRICS_LABEL_MAX];

    for (value = secrecy_shown(value, shown, sizeof shown); *value; value++) {
        const unsigned char c = (unsigned char)*value;
        const bool plain = c >= 0x20 && c <= 0x7E;
        const char escape[] = {'\\', 'x', digits[c >> 4], digits[c & 15]};
        const size_t len = plain ? 1 : sizeof escape;

        if (len > end - key->len)
            break;
        memcpy(key->labels + key->len, plain ? value : escape, len);
        key->len += len;
    }
    key->labels[key->len++] = '\0';
}

static void make_key(struct key *key, enum metric metric, const struct metrics_labels *labels)
{
    const struct metric_family *family = &metric_families[metric];
    size_t i;

    key->metric = metric;
    key->len = 0;
    for (i = 0; i < METRIC_LABELS; i++)
        put_label(key, family->labels[i] && labels && labels->value[i] ? labels->value[i] : "");
}

static size_t slot_of(const struct key *key)
{
    const uint64_t hash = hash_fnv(HASH_FNV ^ (uint64_t)key->metric, key->labels, key->len);

    return (hash ^ hash >> 32) % METRIC_SLOTS;
}

static struct metric_histogram *new_histogram(bool emf)
{
    const size_t room = emf ? METRIC_SAMPLES : 0;
    struct metric_histogram *histogram =
        calloc(1, sizeof *histogram + room * sizeof *histogram->samples);

    if (histogram)
        histogram->room = room;
    return histogram;
}

static struct metric_series *new_series(const struct metrics *metrics, const struct key *key)
{
    const struct metric_family *family = &metric_families[key->metric];
    struct metric_series *series = calloc(1, sizeof *series + key->len);

    if (!series)
        return NULL;
    series->metric = key->metric;
    series->told = family->type == METRIC_GAUGE ? INT64_MIN : 0;
    series->len = key->len;
    memcpy(series->labels, key->labels, key->len);
    if (family->type == METRIC_HISTOGRAM) {
        series->histogram = new_histogram(metrics->emf);
        if (!series->histogram) {
            free(series);
            return NULL;
        }
    }
    return series;
}

/* The series, a new one where there is none yet; NULL where there is no room for one. */
static struct metric_series *find_series(struct metrics *metrics, enum metric metric,
                                         const struct metrics_labels *labels)
{
    struct metric_series **place;
    struct key key;

    make_key(&key, metric, labels);
    for (place = &metrics->slots[slot_of(&key)]; *place; place = &(*place)->next)
        if ((*place)->metric == metric && (*place)->len == key.len &&
            memcmp((*place)->labels, key.labels, key.len) == 0) {
            (*place)->gone = false;
            return *place;
        }
    if (metrics->count == METRICS_SERIES_MAX)
        return NULL;
    *place = new_series(metrics, &key);
    if (*place)
        metrics->count++;
    return *place;
}

/* What has no labels is there from the start: a rate needs the 0 before the first event. */
static int add_unlabelled(struct metrics *metrics)
{
    int i;

    for (i = 0; i < METRICS; i++)
        if (metric_families[i].type != METRIC_GAUGE && !metric_families[i].labels[0] &&
            !find_series(metrics, (enum metric)i, NULL))
            return -1;
    return 0;
}

struct metrics *metrics_new(void)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);

    if (!metrics)
        return NULL;
    if (pthread_mutex_init(&metrics->mutex, NULL) != 0) {
        free(metrics);
        return NULL;
    }
    if (add_unlabelled(metrics) == 0)
        return metrics;
    metrics_free(metrics);
    return NULL;
}

void metrics_free(struct metrics *metrics)
{
    int i;

    if (!metrics)
        return;
    for (i = 0; i < METRICS; i++)
        metrics_forget(metrics, (enum metric)i);
    pthread_mutex_destroy(&metrics->mutex);
    free(metrics);
}

/* What can have no room for samples goes on without. */
static void begin_emf(struct metric_series *series)
{
    struct metric_histogram *larger;

    series->told = metric_families[series->metric].type == METRIC_GAUGE ? INT64_MIN : series->value;
    if (!series->histogram)
        return;
    series->histogram->sampled = 0;
    larger = new_histogram(true);
    if (!larger)
        return;
    memcpy(larger->counts, series->histogram->counts, sizeof larger->counts);
    free(series->histogram);
    series->histogram = larger;
}

void metrics_use_emf(struct metrics *metrics, bool emf)
{
    struct metric_series *series;
    size_t i;

    pthread_mutex_lock(&metrics->mutex);
    for (i = 0; emf && !metrics->emf && i < METRIC_SLOTS; i++)
        for (series = metrics->slots[i]; series; series = series->next)
            begin_emf(series);
    metrics->emf = emf;
    metrics_sweep(metrics);
    pthread_mutex_unlock(&metrics->mutex);
}

static void observe(struct metric_series *series, int64_t ms, bool keep)
{
    const int64_t *bounds = metric_families[series->metric].bounds;
    struct metric_histogram *histogram = series->histogram;
    size_t i = 0;

    while (bounds[i] > 0 && ms > bounds[i])
        i++;
    histogram->counts[i]++;
    series->value += ms;
    if (keep && histogram->room > 0)
        histogram->samples[histogram->sampled++ % METRIC_SAMPLES] = ms;
}

static void apply(struct metrics *metrics, enum metric metric, const struct metrics_labels *labels,
                  int64_t value)
{
    struct metric_series *series;

    pthread_mutex_lock(&metrics->mutex);
    series = find_series(metrics, metric, labels);
    if (!series) {
        series = find_series(metrics, METRIC_DROPPED, NULL);
        if (series)
            series->value++;
    } else if (series->histogram) {
        observe(series, value, metrics->emf);
    } else if (metric_families[metric].type == METRIC_COUNTER) {
        series->value += value;
    } else {
        series->value = value;
    }
    pthread_mutex_unlock(&metrics->mutex);
}

void metrics_add(struct metrics *metrics, enum metric metric, const struct metrics_labels *labels,
                 int64_t by)
{
    if (metric_families[metric].type == METRIC_COUNTER && by >= 0)
        apply(metrics, metric, labels, by);
}

void metrics_set(struct metrics *metrics, enum metric metric, const struct metrics_labels *labels,
                 int64_t value)
{
    if (metric_families[metric].type == METRIC_GAUGE)
        apply(metrics, metric, labels, value);
}

void metrics_observe(struct metrics *metrics, enum metric metric,
                     const struct metrics_labels *labels, int64_t ms)
{
    if (metric_families[metric].type == METRIC_HISTOGRAM && ms >= 0)
        apply(metrics, metric, labels, ms);
}

/* Drops all that one says so of, with what it looks for. */
static void drop(struct metrics *metrics,
                 bool (*dropped)(const struct metrics *, const struct metric_series *, int),
                 int arg)
{
    size_t i;

    for (i = 0; i < METRIC_SLOTS; i++) {
        struct metric_series **place = &metrics->slots[i], *series;

        while ((series = *place)) {
            if (!dropped(metrics, series, arg)) {
                place = &series->next;
                continue;
            }
            *place = series->next;
            free(series->histogram);
            free(series);
            metrics->count--;
        }
    }
}

static bool is_of(const struct metrics *metrics, const struct metric_series *series, int metric)
{
    (void)metrics;
    return (int)series->metric == metric;
}

void metrics_forget(struct metrics *metrics, enum metric metric)
{
    pthread_mutex_lock(&metrics->mutex);
    drop(metrics, is_of, (int)metric);
    pthread_mutex_unlock(&metrics->mutex);
}

static bool is_done_with(const struct metrics *metrics, const struct metric_series *series, int arg)
{
    const struct metric_family *family = &metric_families[series->metric];

    (void)arg;
    if (!series->gone)
        return false;
    if (!metrics->emf || family->emf.mode == EMF_OFF)
        return true;
    return series->histogram ? series->histogram->sampled == 0
                             : family->type == METRIC_GAUGE || series->value == series->told;
}

void metrics_sweep(struct metrics *metrics)
{
    drop(metrics, is_done_with, 0);
}

/* Which of a series' labels has this name; METRIC_LABELS: none. */
static size_t label_named(const struct metric_series *series, const char *name)
{
    const char *const *labels = metric_families[series->metric].labels;
    size_t i = 0;

    while (i < METRIC_LABELS && labels[i] && strcmp(labels[i], name) != 0)
        i++;
    return i < METRIC_LABELS && labels[i] ? i : METRIC_LABELS;
}

static void mark_gone(struct metrics *metrics, const char *label, bool gone, const char *value)
{
    struct metric_series *series;
    size_t i, at;

    for (i = 0; i < METRIC_SLOTS; i++)
        for (series = metrics->slots[i]; series; series = series->next) {
            at = label_named(series, label);
            if (at < METRIC_LABELS && (!value || strcmp(metric_label(series, at), value) == 0))
                series->gone = gone;
        }
}

void metrics_retain(struct metrics *metrics, const char *label, const char *const *values,
                    size_t count)
{
    struct key key;
    size_t i;

    pthread_mutex_lock(&metrics->mutex);
    mark_gone(metrics, label, true, NULL);
    for (i = 0; i < count; i++) {
        key.len = 0;
        put_label(&key, values[i]);
        mark_gone(metrics, label, false, key.labels);
    }
    metrics_sweep(metrics);
    pthread_mutex_unlock(&metrics->mutex);
}

struct metric_series **metrics_all(const struct metrics *metrics)
{
    struct metric_series **all = calloc(metrics->count + 1, sizeof *all), *series;
    size_t i, n = 0;

    if (!all)
        return NULL;
    for (i = 0; i < METRIC_SLOTS; i++)
        for (series = metrics->slots[i]; series; series = series->next)
            all[n++] = series;
    return all;
}

const char *metric_label(const struct metric_series *series, size_t index)
{
    const char *label = series->labels;

    while (index-- > 0)
        label += strlen(label) + 1;
    return label;
}

int metric_compare(const struct metric_series *a, const struct metric_series *b)
{
    int order = (a->metric > b->metric) - (a->metric < b->metric);
    size_t i;

    for (i = 0; order == 0 && i < METRIC_LABELS; i++)
        order = strcmp(metric_label(a, i), metric_label(b, i));
    return order;
}
