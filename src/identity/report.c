/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"
#include "identity/identity.h"
#include "identity/identity_parts.h"
#include "x509/dn.h"
#include "x509/key.h"
#include "x509/pem.h"
#include "x509/verify.h"

enum { SIGNATURES_MAX = 256 };

static const struct side {
    enum bundle_field cert, key;
    enum verify_purpose purpose;
} sides[REPORT_SIDES] = {
    [REPORT_CLIENT] = {BUNDLE_CLIENT_CERT, BUNDLE_CLIENT_KEY, VERIFY_CLIENT},
    [REPORT_SERVER] = {BUNDLE_SERVER_CERT, BUNDLE_SERVER_KEY, VERIFY_SERVER},
};

/* Where a finding goes: where its words stand already, or behind the others; a problem where there
 * is no room, over the last warning. NULL: nowhere. */
static struct report_finding *place_for(struct report *report, const struct report_finding *finding)
{
    struct report_finding *warning = NULL;
    size_t i;

    for (i = 0; i < report->finding_count; i++) {
        if (strcmp(report->findings[i].text, finding->text) == 0)
            return &report->findings[i];
        if (report->findings[i].level == REPORT_WARNING)
            warning = &report->findings[i];
    }
    if (report->finding_count < REPORT_FINDINGS_MAX)
        return &report->findings[report->finding_count++];
    return finding->level == REPORT_PROBLEM ? warning : NULL;
}

void report_add(struct report *report, enum report_level level, enum bundle_field field,
                const char *format, ...)
{
    struct report_finding finding = {.level = level, .field = bundle_field_name(field)};
    struct report_finding *place;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(finding.text, sizeof finding.text, format, arguments);
    va_end(arguments);
    place = place_for(report, &finding);
    if (place && strcmp(place->text, finding.text) == 0 &&
        (place->level == REPORT_PROBLEM || level == REPORT_WARNING))
        return;
    report->problems += level == REPORT_PROBLEM;
    if (place)
        *place = finding;
}

/* Decodes a field's certificates; only their lengths are kept, since der may move. */
static int decode(struct report *report, const struct bundle *bundle, enum bundle_field field,
                  struct err *err)
{
    struct bytes certs[REPORT_CERTS_MAX] = {{NULL, 0}};
    struct pem_list list = {.cert = certs, .max = REPORT_CERTS_MAX - report->cert_count};
    const enum pem_found found =
        pem_certificates(&list, buf_bytes(&bundle->field[field]), &report->der);
    size_t i;

    for (i = 0; i < list.count; i++) {
        report->certs[report->cert_count].field = field;
        report->certs[report->cert_count++].cert.der.len = certs[i].len;
    }
    if (list.private_key)
        report_add(report, REPORT_PROBLEM, field, "a private key stands in it");
    if (found == PEM_NO_ROOM)
        return pem_fail(found, &list.bad, NULL, err);
    if (found == PEM_DAMAGED)
        report_add(report, REPORT_PROBLEM, field, "the PEM block %s is damaged",
                   pem_label_name(&list.bad));
    if (found == PEM_BLOCK)
        report_add(report, REPORT_PROBLEM, field, "there are more than %d certificates",
                   REPORT_CERTS_MAX);
    return 0;
}

static size_t count_field(const struct report *report, size_t count, enum bundle_field field)
{
    size_t i, found = 0;

    for (i = 0; i < count; i++)
        found += report->certs[i].field == field;
    return found;
}

/* Reads what was decoded, and leaves out what is no certificate. */
static void parse(struct report *report)
{
    const uint8_t *at = report->der.data;
    char reason[CERT_REASON_MAX];
    uint8_t digest[HASH_SIZE];
    size_t i, count = report->cert_count, place = 0, of = 0;
    enum bundle_field field = BUNDLE_FIELDS;

    report->cert_count = 0;
    for (i = 0; i < count; i++) {
        struct report_cert entry = report->certs[i];
        struct bytes der = bytes_of(at, entry.cert.der.len);

        at += der.len;
        place = entry.field == field ? place + 1 : 1;
        of = entry.field == field ? of : count_field(report, count, entry.field);
        field = entry.field;
        if (cert_parse(&entry.cert, der, reason) < 0) {
            report_add(report, REPORT_PROBLEM, field, "certificate %zu of %zu: %s", place, of,
                       reason);
            continue;
        }
        hash_sha256(digest, der);
        hash_hex(entry.fingerprint, digest);
        report->certs[report->cert_count++] = entry;
    }
}

static int find_issuer(const struct report *report, int i, size_t *signatures)
{
    const struct cert *cert = &report->certs[i].cert, *other;
    int k, candidate, count = (int)report->cert_count;

    for (k = -1; k < count; k++) {
        candidate = k < 0 ? i : k; /* a self-signed one is its own, whatever copies there are */
        other = &report->certs[candidate].cert;
        if (!dn_equal(cert->issuer, other->subject) || *signatures == 0)
            continue;
        --*signatures;
        if (cert_signed_by(cert, other))
            return candidate;
    }
    return -1;
}

/* The certificate that identity_new() takes for the key; without a key that can be read, the first
 * one that is no CA. */
static int find_leaf(const struct report *report, const struct side *side, const struct key *key,
                     int64_t now)
{
    unsigned rank, best = 0;
    int i, found = -1;

    for (i = 0; i < (int)report->cert_count; i++) {
        const struct cert *cert = &report->certs[i].cert;

        if (report->certs[i].field != side->cert || (key ? !key_matches(key, cert) : cert->is_ca))
            continue;
        rank = key ? leaf_rank(cert, side->purpose, now) : 0;
        if (found >= 0 && rank <= best)
            continue;
        found = i;
        best = rank;
    }
    return found;
}

static int read_side(struct report *report, const struct report_request *request, int which,
                     struct err *err)
{
    const struct side *side = &sides[which];
    const struct buf *pem = &request->bundle->field[side->key];
    struct report_key *slot = &report->keys[which];
    struct key *key = NULL;

    if (pem->len > 0) {
        key = key_read(buf_bytes(pem), NULL, err);
        if (!key && err->code == ERR_MEMORY_FULL)
            return -1;
        if (key)
            key_text(key, slot->kind);
        else
            report_add(report, REPORT_PROBLEM, side->key, "%s", err->reason);
    }
    slot->leaf = find_leaf(report, side, key, request->now);
    slot->fits = key && slot->leaf >= 0;
    if (slot->leaf < 0)
        slot->leaf = find_leaf(report, side, NULL, request->now);
    if (key && !slot->fits && slot->leaf >= 0)
        report_add(report, REPORT_PROBLEM, side->cert, KEY_MISMATCH_REASON,
                   bundle_field_name(side->key), slot->kind);
    key_free(key);
    return 0;
}

/* The field that an error of identity_new() is about. */
static enum bundle_field field_of(const struct err *err)
{
    int i;

    for (i = 0; i < BUNDLE_FIELDS; i++)
        if (strncmp(err->subject, bundle_field_name((enum bundle_field)i),
                    strlen(bundle_field_name((enum bundle_field)i))) == 0)
            return (enum bundle_field)i;
    return BUNDLE_CLIENT_CERT;
}

/* Asks those who decide. */
static int judge_side(struct report *report, const struct report_request *request, struct err *err)
{
    const struct identity_policy policy = {.require_chain = request->require_chain,
                                           .now = request->now};
    struct identity *identity = identity_new(request->bundle, &policy, "", err);

    report->judged = true;
    if (!identity && err->code == ERR_MEMORY_FULL)
        return -1;
    if (!identity && err->code == ERR_FIELD_MISSING && !request->complete)
        report->judged = false;
    else if (!identity || identity_expect(identity, request->expected, "", err) < 0) {
        report->verdict = err->code;
        report->cause = err->cause;
    }
    if (report->verdict != ERR_NONE)
        report_add(report, REPORT_PROBLEM, field_of(err), "%s", err->reason);
    identity_free(identity);
    return 0;
}

static int read_all(struct report *report, const struct report_request *request, struct err *err)
{
    size_t signatures = SIGNATURES_MAX, k;
    int i;

    if (judge_side(report, request, err) < 0 ||
        decode(report, request->bundle, BUNDLE_CLIENT_CERT, err) < 0 ||
        decode(report, request->bundle, BUNDLE_SERVER_CERT, err) < 0 ||
        decode(report, request->bundle, BUNDLE_CA_CERT, err) < 0)
        return -1;
    parse(report);
    for (i = 0; i < (int)report->cert_count; i++)
        report->certs[i].issuer = find_issuer(report, i, &signatures);
    for (i = 0; i < REPORT_SIDES; i++)
        if (read_side(report, request, i, err) < 0)
            return -1;
    if (report_check(report, request, err) < 0)
        return -1;
    if (!report->judged || report->verdict != ERR_NONE)
        return 0;
    /* What was found in an identity that is good is no problem. */
    for (k = 0; k < report->finding_count; k++)
        report->findings[k].level = REPORT_WARNING;
    report->problems = 0;
    return 0;
}

struct report *report_new(const struct report_request *request, const char *subject,
                          struct err *err)
{
    struct report *report = calloc(1, sizeof *report);

    if (!report) {
        (void)err_set(err, ERR_MEMORY_FULL, subject, "no memory for a report");
        return NULL;
    }
    report->der.tag = ARENA_KEY; /* a key may stand where a certificate should */
    if (read_all(report, request, err) < 0) {
        (void)err_set(err, ERR_MEMORY_FULL, subject, "no memory for a report");
        report_free(report);
        return NULL;
    }
    return report;
}

void report_free(struct report *report)
{
    if (!report)
        return;
    buf_free(&report->der);
    free(report);
}
