/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"
#include "identity/identity.h"
#include "x509/dn.h"
#include "x509/key.h"
#include "x509/pem.h"
#include "x509/verify.h"

enum { SIGNATURES_MAX = 256 };

static const struct side {
    enum bundle_field cert, key;
} sides[REPORT_SIDES] = {
    [REPORT_CLIENT] = {BUNDLE_CLIENT_CERT, BUNDLE_CLIENT_KEY},
    [REPORT_SERVER] = {BUNDLE_SERVER_CERT, BUNDLE_SERVER_KEY},
};

void report_add(struct report *report, enum report_level level, enum bundle_field field,
                const char *format, ...)
{
    struct report_finding finding = {.level = level, .field = bundle_field_name(field)};
    va_list arguments;
    size_t i;

    va_start(arguments, format);
    (void)vsnprintf(finding.text, sizeof finding.text, format, arguments);
    va_end(arguments);
    for (i = 0; i < report->finding_count; i++)
        if (strcmp(report->findings[i].text, finding.text) == 0)
            return;
    report->problems += level == REPORT_PROBLEM;
    if (report->finding_count < REPORT_FINDINGS_MAX)
        report->findings[report->finding_count++] = finding;
}

/* Decodes a field's certificates; only their lengths are kept, since der may move. */
static void decode(struct report *report, const struct bundle *bundle, enum bundle_field field)
{
    struct pem_reader reader = {buf_bytes(&bundle->field[field])};
    struct pem_block block;
    size_t len = report->der.len;
    int found = 0;

    while (report->cert_count < REPORT_CERTS_MAX &&
           (found = pem_next(&reader, &block, &report->der)) > 0) {
        if (strcmp(block.label, "CERTIFICATE") == 0) {
            report->certs[report->cert_count].field = field;
            report->certs[report->cert_count++].cert.der.len = report->der.len - len;
            len = report->der.len;
            continue;
        }
        if (pem_is_private_key(&block))
            report_add(report, REPORT_PROBLEM, field, "a private key stands in it");
        wipe(report->der.data + len, report->der.len - len);
        report->der.len = len;
    }
    if (found < 0)
        report_add(report, REPORT_PROBLEM, field, "the PEM block %s is damaged",
                   pem_label_name(&block));
    if (found > 0)
        report_add(report, REPORT_PROBLEM, field, "there are more than %d certificates",
                   REPORT_CERTS_MAX);
}

/* Reads what was decoded, and leaves out what is no certificate. */
static void parse(struct report *report)
{
    const uint8_t *at = report->der.data;
    char reason[CERT_REASON_MAX];
    uint8_t digest[HASH_SIZE];
    size_t i, count = report->cert_count, place = 0;
    enum bundle_field field = BUNDLE_FIELDS;

    report->cert_count = 0;
    for (i = 0; i < count; i++) {
        struct report_cert entry = report->certs[i];
        struct bytes der = bytes_of(at, entry.cert.der.len);

        at += der.len;
        place = entry.field == field ? place + 1 : 1;
        field = entry.field;
        if (cert_parse(&entry.cert, der, reason) < 0) {
            report_add(report, REPORT_PROBLEM, field, "certificate %zu: %s", place, reason);
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

static void link_issuers(struct report *report)
{
    size_t signatures = SIGNATURES_MAX;
    int i;

    for (i = 0; i < (int)report->cert_count; i++)
        report->certs[i].issuer = find_issuer(report, i, &signatures);
}

/* The certificate of the key; without a key that can be read, the first one that is no CA. */
static int find_leaf(const struct report *report, enum bundle_field field, const struct key *key)
{
    int i;

    for (i = 0; i < (int)report->cert_count; i++)
        if (report->certs[i].field == field &&
            (key ? key_matches(key, &report->certs[i].cert) : !report->certs[i].cert.is_ca))
            return i;
    return -1;
}

/* The leaf, its issuers, and where it is trusted as itself its copy in ca_cert. */
static void mark_chain(struct report *report, int leaf)
{
    int i, copy;

    if (leaf < 0)
        return;
    report->certs[leaf].is_leaf = true;
    for (i = leaf; i >= 0 && !report->certs[i].in_chain; i = report->certs[i].issuer)
        report->certs[i].in_chain = true;
    for (copy = leaf + 1; copy < (int)report->cert_count; copy++)
        if (strcmp(report->certs[copy].fingerprint, report->certs[leaf].fingerprint) == 0)
            report->certs[copy].in_chain = true;
}

static void read_side(struct report *report, const struct report_request *request, int which)
{
    const struct side *side = &sides[which];
    const struct buf *pem = &request->bundle->field[side->key];
    struct report_key *slot = &report->keys[which];
    struct key *key = NULL;
    struct err err;

    if (pem->len > 0) {
        key = key_read(buf_bytes(pem), NULL, &err);
        if (key)
            key_text(key, slot->kind);
        else
            report_add(report, REPORT_PROBLEM, side->key, "%s", err.reason);
    }
    slot->leaf = find_leaf(report, side->cert, key);
    slot->fits = key && slot->leaf >= 0;
    if (slot->leaf < 0)
        slot->leaf = find_leaf(report, side->cert, NULL);
    if (key && !slot->fits && slot->leaf >= 0)
        report_add(report, REPORT_PROBLEM, side->key, "no certificate has its public key (%s)",
                   slot->kind);
    mark_chain(report, slot->leaf);
    key_free(key);
}

/*
 * What the agent itself would say. That fields are missing is said at once, anything else where
 * nothing was found: so that a report without problems is one of an identity that it would install.
 */
static void ask_identity(struct report *report, const struct report_request *request, bool last)
{
    struct identity_policy policy = {.require_chain = request->require_chain, .now = request->now};
    struct identity *identity;
    struct err err = {.code = ERR_NONE};

    if (!request->complete || (last && report->problems > 0))
        return;
    identity = identity_new(request->bundle, &policy, "", &err);
    if (!identity && (last || err.code == ERR_FIELD_MISSING))
        report_add(report, REPORT_PROBLEM, BUNDLE_CLIENT_CERT, "%s", err.reason);
    identity_free(identity);
}

struct report *report_new(const struct report_request *request, const char *subject,
                          struct err *err)
{
    struct report *report = calloc(1, sizeof *report);
    int i;

    if (!report) {
        (void)err_set(err, ERR_MEMORY_FULL, subject, "no memory for a report");
        return NULL;
    }
    report->der.tag = ARENA_KEY; /* a key may stand where a certificate should */
    ask_identity(report, request, false);
    decode(report, request->bundle, BUNDLE_CLIENT_CERT);
    decode(report, request->bundle, BUNDLE_SERVER_CERT);
    decode(report, request->bundle, BUNDLE_CA_CERT);
    parse(report);
    link_issuers(report);
    for (i = 0; i < REPORT_SIDES; i++)
        read_side(report, request, i);
    report_check(report, request);
    ask_identity(report, request, true);
    return report;
}

void report_free(struct report *report)
{
    if (!report)
        return;
    buf_free(&report->der);
    free(report);
}
