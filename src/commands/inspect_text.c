/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/secrecy.h"
#include "commands/inspect_print.h"
#include "identity/report.h"
#include "x509/general_name.h"

enum { LINE_MAX_BYTES = 2048, DAY_S = 24 * 60 * 60, NAME_TEXT_MAX = 512, DEPTH_MAX = 16 };

int64_t inspect_days(int64_t then, int64_t now)
{
    int64_t seconds = then - now;

    return seconds >= 0 ? seconds / DAY_S : -((DAY_S - 1 - seconds) / DAY_S);
}

void inspect_key_text(const struct cert *cert, char out[INSPECT_KEY_MAX])
{
    if (cert->key_bits > 0)
        (void)snprintf(out, INSPECT_KEY_MAX, "%s %u", cert->key_name, cert->key_bits);
    else
        (void)snprintf(out, INSPECT_KEY_MAX, "%s", cert->key_name);
}

void inspect_serial_text(const struct cert *cert, char out[INSPECT_SERIAL_MAX])
{
    size_t i, len = 0;

    for (i = 0; i < cert->serial.len && len + 3 <= INSPECT_SERIAL_MAX; i++)
        if (i > 0 || cert->serial.data[0] != 0 || cert->serial.len == 1)
            len +=
                (size_t)snprintf(out + len, INSPECT_SERIAL_MAX - len, "%02X", cert->serial.data[i]);
}

/* A line that does not fit is cut; one for which there is no memory is left out. */
__attribute__((format(printf, 2, 3))) static void put(struct buf *out, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    secrecy_mask(line, sizeof line);
    (void)buf_append_text(out, line);
}

static void put_cert(struct buf *out, const struct report_cert *entry, int64_t now)
{
    const struct cert *cert = &entry->cert;
    char text[NAME_TEXT_MAX], key[INSPECT_KEY_MAX], serial[INSPECT_SERIAL_MAX];
    char from[CLOCK_TEXT_MAX], to[CLOCK_TEXT_MAX], kept[CLOCK_TEXT_MAX];
    const int64_t days = inspect_days(cert->not_after, now);

    put(out, "\n%s%s\n", bundle_field_name(entry->field),
        entry->is_leaf ? ""
        : cert->is_ca  ? ": a CA"
                       : ": no CA");
    cert_subject_text(cert->subject, text, sizeof text);
    put(out, "  subject    %s\n", text);
    cert_subject_text(cert->issuer, text, sizeof text);
    put(out, "  issuer     %s\n", text);
    inspect_serial_text(cert, serial);
    put(out, "  serial     %s\n", serial);
    general_names_text(cert->san, text, sizeof text);
    if (text[0])
        put(out, "  names      %s\n", text);
    clock_format(from, cert->not_before);
    clock_format(to, cert->not_after);
    put(out, "  valid      %s to %s, ", from, to);
    if (days < 0)
        put(out, "expired %lld days ago\n", (long long)-days);
    else
        put(out, "%lld days left\n", (long long)days);
    if (entry->kept_until > 0) {
        clock_format(kept, entry->kept_until);
        put(out, "  kept until %s: it has left ca_cert\n", kept);
    }
    inspect_key_text(cert, key);
    put(out, "  key        %s\n  signature  %s\n  sha256     %s\n", key, cert->signature_name,
        entry->fingerprint);
}

/* Climbs from a leaf to its root, or as far as it goes; how many stand in path then. */
static int climb(const struct report *report, int leaf, int path[DEPTH_MAX])
{
    int count = 1;

    for (path[0] = leaf; count < DEPTH_MAX; count++) {
        path[count] = report->certs[path[count - 1]].issuer;
        if (path[count] < 0 || path[count] == path[count - 1])
            break;
    }
    return count;
}

/* The way from a leaf to its root, the root first. */
static void put_chain(struct buf *out, const struct report *report, const struct report_key *key)
{
    static const char *const ways[] = {[REPORT_NO_ANCHORS] = "",
                                       [REPORT_VERIFIED] = "",
                                       [REPORT_ELSEWHERE] = " (not to ca_cert)",
                                       [REPORT_REFUSED] = " (it does not verify)"};
    int path[DEPTH_MAX], count = climb(report, key->leaf, path), depth = 0;
    const struct report_cert *entry = &report->certs[path[count - 1]];
    char text[NAME_TEXT_MAX];

    put(out, "\nchain%s\n", ways[key->path]);
    if (entry->issuer < 0) {
        cert_subject_text(entry->cert.issuer, text, sizeof text);
        put(out, "  %s (not here)\n", text);
        depth++;
    }
    for (; count > 0; count--, depth++) {
        entry = &report->certs[path[count - 1]];
        cert_subject_text(entry->cert.subject, text, sizeof text);
        put(out, "  %*s%s%s (%s)\n", depth > 1 ? 3 * (depth - 1) : 0, "", depth ? "└─ " : "", text,
            bundle_field_name(entry->field));
    }
}

void inspect_print_text(struct buf *out, const struct inspected *inspected)
{
    static const enum bundle_field fields[] = {BUNDLE_CLIENT_KEY, BUNDLE_SERVER_KEY};
    const struct report *report = inspected->report;
    const struct err verdict = {.code = report->verdict, .cause = report->cause};
    size_t i;

    put(out, "%s: %s", inspected->source, report->problems > 0 ? "not good" : "good");
    if (report->verdict != ERR_NONE)
        put(out, ": %s", err_info(report->verdict)->name);
    put(out, "\n");
    if (inspected->purpose)
        put(out, "taken for a %s's, %s\n", inspected->purpose,
            inspected->assumed ? "as nothing in it says otherwise" : "by its extendedKeyUsage");
    for (i = 0; i < report->cert_count; i++)
        put_cert(out, &report->certs[i], inspected->now);
    for (i = 0; i < REPORT_SIDES; i++)
        if (report->keys[i].kind[0])
            put(out, "\n%s\n  kind       %s%s\n", bundle_field_name(fields[i]),
                report->keys[i].kind, report->keys[i].fits ? ", of the certificate" : "");
    for (i = 0; i < REPORT_SIDES; i++)
        if (report->keys[i].leaf >= 0)
            put_chain(out, report, &report->keys[i]);
    if (report->finding_count > 0)
        put(out, "\nfindings\n");
    for (i = 0; i < report->finding_count; i++)
        put(out, "  %-8s %s: %s\n",
            report->findings[i].level == REPORT_PROBLEM ? "problem" : "warning",
            report->findings[i].field, report->findings[i].text);
    if (report->verdict != ERR_NONE)
        put(out, "\nremedy\n  %s\n", err_remedy(&verdict));
}
