/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/err.h"
#include "identity/expect.h"
#include "identity/report.h"
#include "x509/verify_parts.h"

/* What is wrong with an anchor that no chain needs may be so for a good reason. */
static enum report_level level_of(const struct report_cert *entry)
{
    return entry->field == BUNDLE_CA_CERT && !entry->in_chain ? REPORT_WARNING : REPORT_PROBLEM;
}

static void check_dates(struct report *report, const struct report_cert *entry, int64_t now)
{
    char title[VERIFY_TITLE_MAX], date[CLOCK_TEXT_MAX];

    verify_title(&entry->cert, title);
    if (entry->cert.not_after < now) {
        clock_format(date, entry->cert.not_after);
        report_add(report, level_of(entry), entry->field, "%s expired at %s", title, date);
    } else if (entry->cert.not_before > now) {
        clock_format(date, entry->cert.not_before);
        report_add(report, level_of(entry), entry->field, "%s is valid from %s only", title, date);
    }
}

static void check_place(struct report *report, const struct report_cert *entry)
{
    const struct report_cert *other = report->certs;
    char title[VERIFY_TITLE_MAX];

    verify_title(&entry->cert, title);
    for (; other < entry; other++)
        if (other->field == entry->field && strcmp(other->fingerprint, entry->fingerprint) == 0)
            report_add(report, REPORT_WARNING, entry->field, "%s stands in it twice", title);
    if (entry->field != BUNDLE_CA_CERT && !entry->in_chain)
        report_add(report, REPORT_WARNING, entry->field, "%s is not part of the chain", title);
    if (entry->field == BUNDLE_CA_CERT && !entry->in_chain && entry->cert.version == 3 &&
        !entry->cert.is_ca)
        report_add(report, REPORT_WARNING, entry->field, "%s is not a CA", title);
}

static void check_key(struct report *report, const struct report_cert *entry)
{
    char reason[VERIFY_REASON_MAX];

    if (verify_key(&entry->cert, reason) != VERIFY_OK)
        report_add(report, level_of(entry), entry->field, "%s", reason);
}

static struct anchors *collect_anchors(const struct report *report)
{
    struct bytes list[REPORT_CERTS_MAX];
    struct err none;
    size_t i, count = 0;

    for (i = 0; i < report->cert_count; i++)
        if (report->certs[i].field == BUNDLE_CA_CERT)
            list[count++] = report->certs[i].cert.der;
    return count > 0 ? anchors_new(list, count, &none) : NULL;
}

/* The leaf, and what stands beside it. */
static size_t collect_chain(const struct report *report, const struct report_cert *leaf,
                            struct bytes chain[VERIFY_CHAIN_MAX])
{
    size_t i, count = 0;

    chain[count++] = leaf->cert.der;
    for (i = 0; i < report->cert_count && count < VERIFY_CHAIN_MAX; i++)
        if (report->certs[i].field == leaf->field && &report->certs[i] != leaf)
            chain[count++] = report->certs[i].cert.der;
    return count;
}

/* A certificate by itself says what it is for; in an identity its field does. */
static bool is_servers(const struct report_request *request, const struct report_cert *leaf)
{
    if (request->complete || !leaf->cert.has_extended_usage)
        return leaf->field == BUNDLE_SERVER_CERT;
    return !(leaf->cert.extended_usage & (CERT_EKU_CLIENT_AUTH | CERT_EKU_ANY));
}

/* Dates are left to check_dates(), which names every certificate. */
static enum verify_status check_chain(struct report *report, const struct report_request *request,
                                      const struct report_cert *leaf, const struct anchors *anchors)
{
    struct bytes chain[VERIFY_CHAIN_MAX];
    bool server = is_servers(request, leaf);
    struct verify_request verification = {
        .chain = chain,
        .chain_count = collect_chain(report, leaf, chain),
        .anchors = anchors,
        .purpose = server ? VERIFY_SERVER : VERIFY_CLIENT,
        .profile = VERIFY_PRIVATE,
        .allow_v1_leaf = true,
        .now = request->now,
    };
    char reason[VERIFY_REASON_MAX] = "";
    enum verify_status status = verify(&verification, reason);
    bool foreign = status == VERIFY_NO_ISSUER && !(request->require_chain && !server);

    if (status != VERIFY_OK && status != VERIFY_EXPIRED && status != VERIFY_NOT_YET_VALID)
        report_add(report, foreign ? REPORT_WARNING : REPORT_PROBLEM, leaf->field, "%s", reason);
    return status;
}

static void check_usage(struct report *report, const struct report_request *request,
                        const struct report_cert *leaf)
{
    bool server = is_servers(request, leaf);
    unsigned purpose = (server ? CERT_EKU_SERVER_AUTH : CERT_EKU_CLIENT_AUTH) | CERT_EKU_ANY;
    char title[VERIFY_TITLE_MAX];

    verify_title(&leaf->cert, title);
    if (leaf->cert.has_extended_usage && !(leaf->cert.extended_usage & purpose))
        report_add(report, REPORT_PROBLEM, leaf->field,
                   "the extendedKeyUsage of %s does not allow %s authentication", title,
                   server ? "server" : "client");
}

void report_check(struct report *report, const struct report_request *request)
{
    struct anchors *anchors = collect_anchors(report);
    const struct report_cert *leaf, *first = NULL;
    struct err err;
    size_t i;

    for (i = 0; i < report->cert_count; i++) {
        check_dates(report, &report->certs[i], request->now);
        check_key(report, &report->certs[i]);
        check_place(report, &report->certs[i]);
    }
    for (i = 0; i < REPORT_SIDES; i++) {
        if (report->keys[i].leaf < 0)
            continue;
        leaf = &report->certs[report->keys[i].leaf];
        first = first ? first : leaf;
        if (!anchors || check_chain(report, request, leaf, anchors) == VERIFY_NO_ISSUER)
            check_usage(report, request, leaf);
    }
    if (first && expect_leaf(request->expected, &first->cert, NULL, &err) < 0)
        report_add(report, REPORT_PROBLEM, first->field, "%s", err.reason);
    anchors_free(anchors);
}
