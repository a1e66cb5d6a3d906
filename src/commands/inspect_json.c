/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/err.h"
#include "base/json_write.h"
#include "commands/inspect_print.h"
#include "identity/report.h"
#include "x509/general_name.h"

enum { NAME_TEXT_MAX = 512 };

static void put_name(struct json_writer *writer, const char *member, struct bytes name)
{
    char text[NAME_TEXT_MAX];

    cert_subject_text(name, text, sizeof text);
    json_put_text(writer, member, text);
}

static void put_time(struct json_writer *writer, const char *member, int64_t seconds)
{
    char text[CLOCK_TEXT_MAX];

    clock_format(text, seconds);
    json_put_text(writer, member, text);
}

static void put_names(struct json_writer *writer, struct bytes san)
{
    char text[NAME_TEXT_MAX];
    struct der name;

    json_open(writer, "names", '[');
    while (der_any(&san, &name)) {
        general_name_text(&name, text, sizeof text);
        json_put_text(writer, NULL, text);
    }
    json_close(writer, ']');
}

static void put_index(struct json_writer *writer, const char *member, int index)
{
    if (index >= 0)
        json_put_number(writer, member, index);
    else
        json_put_text(writer, member, NULL);
}

static void put_cert(struct json_writer *writer, const struct report_cert *entry, int64_t now)
{
    const struct cert *cert = &entry->cert;
    char key[INSPECT_KEY_MAX], serial[INSPECT_SERIAL_MAX];

    inspect_key_text(cert, key);
    inspect_serial_text(cert, serial);
    json_open(writer, NULL, '{');
    json_put_text(writer, "field", bundle_field_name(entry->field));
    json_put_bool(writer, "leaf", entry->is_leaf);
    json_put_bool(writer, "ca", cert->is_ca);
    put_name(writer, "subject", cert->subject);
    put_name(writer, "issuer", cert->issuer);
    json_put_text(writer, "serial", serial);
    put_names(writer, cert->san);
    put_time(writer, "not_before", cert->not_before);
    put_time(writer, "not_after", cert->not_after);
    json_put_number(writer, "days_left", inspect_days(cert->not_after, now));
    json_put_text(writer, "key", key);
    json_put_text(writer, "signature", cert->signature_name);
    json_put_text(writer, "sha256", entry->fingerprint);
    put_index(writer, "issued_by", entry->issuer);
    if (entry->kept_until > 0)
        put_time(writer, "kept_until", entry->kept_until);
    json_close(writer, '}');
}

static void put_key(struct json_writer *writer, enum bundle_field field,
                    const struct report_key *key)
{
    static const char *const ways[] = {[REPORT_NO_ANCHORS] = NULL,
                                       [REPORT_VERIFIED] = "verified",
                                       [REPORT_ELSEWHERE] = "not in ca_cert",
                                       [REPORT_REFUSED] = "refused"};

    if (!key->kind[0])
        return;
    json_open(writer, NULL, '{');
    json_put_text(writer, "field", bundle_field_name(field));
    json_put_text(writer, "key", key->kind);
    put_index(writer, "certificate", key->fits ? key->leaf : -1);
    json_put_text(writer, "chain", ways[key->path]);
    json_close(writer, '}');
}

void inspect_print_json(struct json_writer *writer, const struct inspected *inspected)
{
    const struct report *report = inspected->report;
    const struct report_finding *finding = report->findings, *end = finding + report->finding_count;
    const struct err verdict = {.code = report->verdict, .cause = report->cause};
    size_t i;

    json_open(writer, NULL, '{');
    json_put_text(writer, "source", inspected->source);
    json_put_bool(writer, "good", report->problems == 0);
    json_put_text(writer, "code", report->verdict ? err_info(report->verdict)->name : NULL);
    json_put_text(writer, "cause", report->verdict ? err_cause(&verdict) : NULL);
    json_put_text(writer, "remedy", report->verdict ? err_remedy(&verdict) : NULL);
    json_put_text(writer, "purpose", inspected->purpose);
    json_put_bool(writer, "assumed", inspected->assumed);
    json_open(writer, "certificates", '[');
    for (i = 0; i < report->cert_count; i++)
        put_cert(writer, &report->certs[i], inspected->now);
    json_close(writer, ']');
    json_open(writer, "keys", '[');
    put_key(writer, BUNDLE_CLIENT_KEY, &report->keys[REPORT_CLIENT]);
    put_key(writer, BUNDLE_SERVER_KEY, &report->keys[REPORT_SERVER]);
    json_close(writer, ']');
    json_open(writer, "findings", '[');
    for (; finding < end; finding++) {
        json_open(writer, NULL, '{');
        json_put_text(writer, "level", finding->level == REPORT_PROBLEM ? "problem" : "warning");
        json_put_text(writer, "field", finding->field);
        json_put_text(writer, "text", finding->text);
        json_close(writer, '}');
    }
    json_close(writer, ']');
    json_close(writer, '}');
}
