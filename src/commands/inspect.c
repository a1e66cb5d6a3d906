/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/target.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/json_write.h"
#include "base/log.h"
#include "commands/commands.h"
#include "commands/inspect_print.h"
#include "commands/output.h"
#include "config/config.h"
#include "identity/bundle.h"
#include "identity/report.h"
#include "process/supervise.h"
#include "x509/cert.h"

enum { DOCUMENT_MAX = 1 << 20, NOT_GOOD = 1 };

/* One run: what was asked for, and what comes of it. */
struct inspection {
    const struct config *config;
    int64_t now;
    struct buf out;
    struct json_writer writer; /* on out, with --json */
    bool good;
};

/* What is looked at. */
struct object {
    const char *source;
    struct bundle bundle;
    struct installed facts;
    bool complete; /* an identity, not just a file with a certificate */
    const char *purpose;
    bool assumed;
};

static void mark_kept(struct report *report, const struct installed *facts)
{
    size_t i, k;

    for (i = 0; i < report->cert_count; i++)
        for (k = 0; k < facts->overlap_count; k++)
            if (report->certs[i].field == BUNDLE_CA_CERT &&
                strcmp(report->certs[i].fingerprint, facts->overlap[k].digest) == 0)
                report->certs[i].kept_until = facts->overlap[k].until;
}

/* Anchors that are kept for a while are meant to go. */
static void find_expiring(const struct inspection *inspection, struct report *report)
{
    int64_t within = inspection->config->expires_within_ms / 1000;
    char subject[128], date[CLOCK_TEXT_MAX];
    size_t i;

    for (i = 0; i < report->cert_count; i++) {
        const struct report_cert *entry = &report->certs[i];
        int64_t left = entry->cert.not_after - inspection->now;

        if (left < 0 || left >= within || entry->kept_until > 0)
            continue;
        cert_subject_text(entry->cert.subject, subject, sizeof subject);
        clock_format(date, entry->cert.not_after);
        report_add(report, REPORT_PROBLEM, entry->field, "\"%s\" ends at %s, in %lld days", subject,
                   date, (long long)inspect_days(entry->cert.not_after, inspection->now));
    }
}

/* What installs sets the modes; who came after may have set others. */
static void check_modes(const struct config *config, const struct installed *facts,
                        struct report *report)
{
    int i;

    for (i = 0; i < BUNDLE_FIELDS; i++) {
        const enum bundle_field field = (enum bundle_field)i;
        const bool secret = field == BUNDLE_CLIENT_KEY || field == BUNDLE_SERVER_KEY;
        const mode_t wanted = secret ? config->key_mode : config->cert_mode;

        if (facts->modes[i] && facts->modes[i] != wanted)
            report_add(report, REPORT_WARNING, field, "%s has mode %04o; %s is %04o",
                       bundle_field_file(field), facts->modes[i], secret ? "key-mode" : "cert-mode",
                       wanted);
    }
}

static int inspect_object(struct inspection *inspection, const struct object *object,
                          struct err *err)
{
    const struct config *config = inspection->config;
    const struct expected expected = agent_expected(config);
    const struct report_request request = {
        .bundle = &object->bundle,
        .expected = &expected,
        .complete = object->complete,
        .require_chain = config->require_client_chain,
        .now = inspection->now,
    };
    struct report *report = report_new(&request, object->source, err);
    struct inspected inspected = {object->source, report, inspection->now, object->purpose,
                                  object->assumed};

    if (!report)
        return -1;
    mark_kept(report, &object->facts);
    check_modes(config, &object->facts, report);
    find_expiring(inspection, report);
    if (config->json)
        inspect_print_json(&inspection->writer, &inspected);
    else
        inspect_print_text(&inspection->out, &inspected);
    inspection->good = inspection->good && report->problems == 0;
    report_free(report);
    return 0;
}

static void move_field(struct bundle *bundle, enum bundle_field from, enum bundle_field to)
{
    bundle->field[to] = bundle->field[from];
    bundle->field[from] = (struct buf){0};
    memcpy(bundle->source[to], bundle->source[from], sizeof bundle->source[to]);
}

/* A bare file does not say whose it is; its leaf may: one for servers alone is no client's. */
static void settle_purpose(struct object *object)
{
    const unsigned usage =
        object->bundle.usage & (CERT_EKU_SERVER_AUTH | CERT_EKU_CLIENT_AUTH | CERT_EKU_ANY);

    if (object->complete || object->bundle.field[BUNDLE_CLIENT_CERT].len == 0)
        return;
    object->assumed = usage != CERT_EKU_SERVER_AUTH && usage != CERT_EKU_CLIENT_AUTH;
    object->purpose = usage == CERT_EKU_SERVER_AUTH ? "server" : "client";
    if (usage != CERT_EKU_SERVER_AUTH)
        return;
    move_field(&object->bundle, BUNDLE_CLIENT_CERT, BUNDLE_SERVER_CERT);
    move_field(&object->bundle, BUNDLE_CLIENT_KEY, BUNDLE_SERVER_KEY);
}

static int read_object(const char *path, struct object *object, struct err *err)
{
    struct buf text = {.tag = ARENA_DOCUMENT, .max = DOCUMENT_MAX};
    const bool stream = strcmp(path, "-") == 0;
    int result = stream ? fs_read_stream(STDIN_FILENO, &text) : fs_read(AT_FDCWD, path, &text);

    if (result < 0)
        (void)err_set_errno(err, CAUSE_FILE_UNREADABLE, path, "it cannot be read");
    object->source = stream ? "standard input" : path;
    object->complete = bundle_is_object(buf_bytes(&text));
    if (result == 0)
        result = bundle_add(&object->bundle, buf_bytes(&text), object->source, err);
    buf_free(&text);
    settle_purpose(object);
    return result;
}

static int inspect_document(struct inspection *inspection, const char *path, struct err *err)
{
    struct object object = {0};
    int result = read_object(path, &object, err);

    if (result == 0)
        result = inspect_object(inspection, &object, err);
    bundle_free(&object.bundle);
    return result;
}

/* Each by itself is not judged here: only what one makes of the other. */
static int compare_documents(struct inspection *inspection, struct err *err)
{
    const struct expected anybody = {0};
    const char *const paths[] = {inspection->config->operand, inspection->config->other};
    struct inspected both[2] = {{.now = inspection->now}, {.now = inspection->now}};
    struct report *reports[2] = {NULL, NULL};
    int i, result = 0;

    for (i = 0; i < 2 && result == 0; i++) {
        struct object object = {0};
        const struct report_request request = {
            .bundle = &object.bundle, .expected = &anybody, .now = inspection->now};

        result = read_object(paths[i], &object, err);
        if (result == 0)
            reports[i] = report_new(&request, object.source, err);
        result = reports[i] ? 0 : -1;
        both[i].source = object.source;
        both[i].assumed = object.assumed;
        both[i].report = reports[i];
        bundle_free(&object.bundle);
    }
    if (result == 0)
        inspection->good = inspect_compare(
            &inspection->out, inspection->config->json ? &inspection->writer : NULL, both);
    report_free(reports[0]);
    report_free(reports[1]);
    return result;
}

static int inspect_set(struct inspection *inspection, const struct work *work, const char *sub,
                       struct err *err)
{
    struct install_target target = agent_target(work->config, sub, work->deadline);
    char source[INSTALL_WHERE_MAX];
    struct object object = {.source = source, .complete = true};
    int result;

    (void)install_where(&target, source);
    result = install_read(&target, &object.bundle, &object.facts, err);
    if (result == 0)
        result = inspect_object(inspection, &object, err);
    bundle_free(&object.bundle);
    return result;
}

static int inspect(const struct work *work)
{
    const struct config *config = work->config;
    const size_t count = config->set_count && !config->operand ? config->set_count : 1;
    struct inspection inspection = {
        .config = config,
        .now = clock_wall(),
        .out = {.public = true},
        .writer = {.out = &inspection.out},
        .good = true,
    };
    struct err err;
    size_t i;
    int result;

    if (config->json)
        json_open(&inspection.writer, NULL, '[');
    for (i = 0; i < count; i++) {
        if (config->operand && config->other)
            result = compare_documents(&inspection, &err);
        else if (config->operand)
            result = inspect_document(&inspection, config->operand, &err);
        else
            result =
                inspect_set(&inspection, work, config->set_count ? config->sets[i].sub : "", &err);
        if (result == 0)
            continue;
        log_error(&err);
        inspection.good = false;
    }
    if (config->json) {
        json_close(&inspection.writer, ']');
        (void)buf_append_text(&inspection.out, "\n");
    }
    if (inspection.writer.failed)
        inspection.good = false;
    output_write(buf_bytes(&inspection.out));
    buf_free(&inspection.out);
    return output_status(inspection.good ? 0 : NOT_GOOD);
}

int command_inspect(const struct config *config, unsigned needs)
{
    return supervise(config, needs, inspect, NULL);
}
