/* SPDX-License-Identifier: Apache-2.0 */
#ifndef METRICS_METRICS_INTERNAL_H
#define METRICS_METRICS_INTERNAL_H

#include <pthread.h>
#include <stddef.h>

#include "metrics/metrics.h"

/* What the parts of metrics share. */
enum {
    METRIC_LABELS = 5,
    METRIC_BOUNDS = 11,   /* most of a histogram, without +Inf */
    METRIC_SAMPLES = 100, /* most values of an EMF array */
    METRIC_SLOTS = 4096
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum emf_mode {
    EMF_OFF,
    EMF_CHANGED, /* only where it has changed */
    EMF_ALWAYS,  /* each time: an alarm needs data points */
    EMF_LEFT,    /* a moment, as seconds until then */
    EMF_AGE      /* a moment, as seconds since then */
};

/* metrics_families.c: the one table. */
struct metric_family {
    const char *name, *help;
    enum metric_type type;
    const char *labels[METRIC_LABELS]; /* NULL behind the last one */
    int64_t scale;                     /* this many make one of Prometheus' unit */
    const int64_t *bounds;             /* of a histogram, 0 behind the last one */
    struct {
        enum emf_mode mode;
        const char *name, *unit;
        int64_t scale;       /* this many make one of CloudWatch's unit; rounded down */
        unsigned dimensions; /* bit n: label n is one */
    } emf;
};
extern const struct metric_family metric_families[METRICS];

struct metric_histogram {
    int64_t counts[METRIC_BOUNDS + 1]; /* each bucket by itself; +Inf's behind the last */
    size_t sampled;                    /* since the last EMF */
    size_t room;                       /* METRIC_SAMPLES, or 0 where no EMF was asked for */
    int64_t samples[];                 /* a ring */
};

/* A metric with its label values. */
struct metric_series {
    struct metric_series *next; /* in its slot */
    enum metric metric;
    int64_t value; /* a histogram's sum */
    int64_t told;  /* the value that EMF has written */
    bool gone;     /* no longer configured: dropped after EMF has written it */
    struct metric_histogram *histogram;
    size_t len;
    char labels[]; /* METRIC_LABELS values, each with its NUL; len bytes in all */
};

struct metrics {
    pthread_mutex_t mutex;
    bool emf;
    size_t count;
    struct metric_series *slots[METRIC_SLOTS];
};

/* Under the mutex: all series in an array of metrics->count, which the caller frees. NULL: no
 * memory. */
struct metric_series **metrics_all(const struct metrics *metrics);

/* Under the mutex: drops series that are gone and have nothing left to write. */
void metrics_sweep(struct metrics *metrics);

const char *metric_label(const struct metric_series *series, size_t index);

/* By metric, then by label values. */
int metric_compare(const struct metric_series *a, const struct metric_series *b);

#endif
