/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/log.h"
#include "metrics/metrics.h"

static const struct log_field *find_field(const struct log_field *fields, const char *key)
{
    while (fields->key && strcmp(fields->key, key) != 0)
        fields++;
    return fields;
}

static const char *text_of(const struct log_field *fields, const char *key)
{
    return find_field(fields, key)->text;
}

/* -1: a stage that was not reached. */
static int64_t ms_of(const struct log_field *fields, const char *key)
{
    const struct log_field *field = find_field(fields, key);

    return field->key && field->number >= 0 ? field->number : -1;
}

/* A refusal comes after a whole handshake, or breaks it off: only the first has a duration. */
static void on_handshake(struct metrics *metrics, const struct log_field *fields)
{
    const char *endpoint = text_of(fields, "endpoint");
    int64_t tcp = ms_of(fields, "tcp_ms"), tls = ms_of(fields, "tls_ms");

    metrics_add(metrics, METRIC_HANDSHAKES,
                METRICS_LABELS(endpoint, text_of(fields, "result"), text_of(fields, "alert")), 1);
    if (text_of(fields, "handshake"))
        metrics_add(metrics, METRIC_HANDSHAKES_COMPLETED,
                    METRICS_LABELS(endpoint, text_of(fields, "tls"), text_of(fields, "group"),
                                   text_of(fields, "handshake")),
                    1);
    if (text_of(fields, "attestation"))
        metrics_add(
            metrics, METRIC_ATTESTATIONS,
            METRICS_LABELS(endpoint, text_of(fields, "attestation"), text_of(fields, "root")), 1);
    if (tls >= 0)
        metrics_observe(metrics, METRIC_HANDSHAKE_DURATION, METRICS_LABELS(endpoint),
                        (tcp > 0 ? tcp : 0) + tls);
}

void metrics_event(void *metrics, const char *event, const struct log_field *fields)
{
    if (strcmp(event, "retry") == 0)
        metrics_add(metrics, METRIC_RETRIES, METRICS_LABELS(text_of(fields, "step")), 1);
    else if (strcmp(event, "handshake") == 0)
        on_handshake(metrics, fields);
}
