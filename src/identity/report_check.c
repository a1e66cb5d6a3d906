/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "identity/expect.h"
#include "identity/identity_parts.h"
#include "identity/report.h"
#include "x509/verify_parts.h"

/* What no chain needs may be wrong, in an anchor for a good reason. */
static enum report_level level_of(const struct report *report, const struct report_cert *entry)
{
    return !entry->in_chain && (report->judged || entry->field == BUNDLE_CA_CERT) ? REPORT_WARNING
                                                                                  : REPORT_PROBLEM;
}

/* NULL with ERR_NONE where there are none. */
static struct anchors *collect_anchors(const struct report *report, struct err *err)
{
    struct bytes list[REPORT_CERTS_MAX];
    size_t i, count = 0;

    err->code = ERR_NONE;
    for (i = 0; i < report->cert_count; i++)
        if (report->certs[i].field == BUNDLE_CA_CERT)
            list[count++] = report->certs[i].cert.der;
    return count > 0 ? anchors_new(list, count, err) : NULL;
}

/* The leaf, and what stands beside it, one that is there twice once. */
static size_t collect_chain(const struct report *report, const struct report_cert *leaf,
                            struct bytes chain[VERIFY_CHAIN_MAX])
{
    size_t i, k, count = 0;

    chain[count++] = leaf->cert.der;
    for (i = 0; i < report->cert_count && count < VERIFY_CHAIN_MAX; i++) {
        for (k = 0; k < count && !bytes_equal(chain[k], report->certs[i].cert.der); k++)
            ;
        if (report->certs[i].field == leaf->field && k == count)
            chain[count++] = report->certs[i].cert.der;
    }
    return count;
}

/* A certificate by itself says what it is for; in an identity its field does. */
enum verify_purpose report_purpose(const struct report *report, const struct report_cert *leaf)
{
    bool server = leaf->field == BUNDLE_SERVER_CERT;

    if (!report->judged && leaf->cert.has_extended_usage)
        server = !(leaf->cert.extended_usage & (CERT_EKU_CLIENT_AUTH | CERT_EKU_ANY));
    return server ? VERIFY_SERVER : VERIFY_CLIENT;
}

static int find_cert(const struct report *report, enum bundle_field field, struct bytes der)
{
    int i;

    for (i = 0; i < (int)report->cert_count; i++)
        if (report->certs[i].field == field && bytes_equal(report->certs[i].cert.der, der))
            return i;
    return -1;
}

/* Of several issuers the ones on the path that was taken; its last is an anchor, or the leaf. */
static void link_path(struct report *report, int leaf, const struct verify_path_taken *taken)
{
    enum bundle_field field;
    int at = leaf, issuer;
    size_t i;

    for (i = 1; i < taken->count; i++, at = issuer) {
        field = i + 1 < taken->count ? report->certs[leaf].field : BUNDLE_CA_CERT;
        issuer = find_cert(report, field, taken->der[i]);
        report->certs[at].issuer = issuer;
    }
}

static void check_chain(struct report *report, const struct report_request *request, int side,
                        const struct anchors *anchors)
{
    const struct report_cert *leaf = &report->certs[report->keys[side].leaf];
    struct verify_path_taken taken = {.count = 0};
    struct bytes chain[VERIFY_CHAIN_MAX];
    enum verify_role blamed;
    struct verify_request verification = {
        .chain = chain,
        .chain_count = collect_chain(report, leaf, chain),
        .anchors = anchors,
        .purpose = report_purpose(report, leaf),
        .now = request->now,
        .taken = &taken,
        .blamed = &blamed,
    };
    char reason[VERIFY_REASON_MAX];
    enum verify_status status = chain_verify(&verification, reason);
    const enum bundle_field field = blamed == VERIFY_ANCHOR ? BUNDLE_CA_CERT : leaf->field;
    bool client = verification.purpose == VERIFY_CLIENT;
    bool foreign = status == VERIFY_NO_ISSUER && !(request->require_chain && client);

    report->keys[side].path = foreign               ? REPORT_ELSEWHERE
                              : status == VERIFY_OK ? REPORT_VERIFIED
                                                    : REPORT_REFUSED;
    link_path(report, report->keys[side].leaf, &taken);
    if (status != VERIFY_OK)
        report_add(report, foreign ? REPORT_WARNING : REPORT_PROBLEM, field, "%s", reason);
}

static void check_side(struct report *report, const struct report_request *request, int side,
                       const struct anchors *anchors)
{
    struct report_cert *leaf = &report->certs[report->keys[side].leaf], *copy;
    char reason[VERIFY_REASON_MAX];
    int i;

    if (leaf_check(&leaf->cert, report_purpose(report, leaf), request->now, reason) != VERIFY_OK)
        report_add(report, REPORT_PROBLEM, leaf->field, "%s", reason);
    if (anchors)
        check_chain(report, request, side, anchors);
    /* The leaf, its issuers, and where it is trusted as itself its copy in ca_cert. */
    leaf->is_leaf = true;
    for (i = report->keys[side].leaf; i >= 0 && !report->certs[i].in_chain;
         i = report->certs[i].issuer)
        report->certs[i].in_chain = true;
    for (copy = leaf + 1; copy < report->certs + report->cert_count; copy++)
        if (strcmp(copy->fingerprint, leaf->fingerprint) == 0)
            copy->in_chain = true;
}

static void check_cert(struct report *report, const struct report_request *request,
                       const struct report_cert *entry)
{
    const struct report_cert *other = report->certs;
    const char *flaw = cert_go_flaw(&entry->cert);
    char title[VERIFY_TITLE_MAX], reason[VERIFY_REASON_MAX];
    struct err err;

    verify_title(&entry->cert, title);
    if (flaw)
        report_add(report, REPORT_WARNING, entry->field, "programs in Go refuse %s: %s", title,
                   flaw);
    if (verify_dates(&entry->cert, request->now, 0, reason) != VERIFY_OK)
        report_add(report, level_of(report, entry), entry->field, "%s", reason);
    if (verify_key(&entry->cert, reason) != VERIFY_OK)
        report_add(report, level_of(report, entry), entry->field, "%s", reason);
    for (; other < entry; other++)
        if (other->field == entry->field && strcmp(other->fingerprint, entry->fingerprint) == 0)
            report_add(report, REPORT_WARNING, entry->field, "%s stands in it twice", title);
    if (entry->field != BUNDLE_CA_CERT && !entry->in_chain)
        report_add(report, REPORT_WARNING, entry->field, "%s is not part of the chain", title);
    if (entry->field == BUNDLE_CA_CERT && !entry->in_chain && entry->cert.version == 3 &&
        !entry->cert.is_ca)
        report_add(report, REPORT_WARNING, entry->field, "%s is not a CA", title);
    if (entry->field == BUNDLE_CA_CERT &&
        expect_anchor(request->expected, &entry->cert, NULL, &err) < 0)
        report_add(report, REPORT_PROBLEM, entry->field, "%s", err.reason);
}

int report_check(struct report *report, const struct report_request *request, struct err *err)
{
    struct anchors *anchors = collect_anchors(report, err);
    const struct report_cert *leaf = NULL;
    size_t i;

    if (err->code == ERR_MEMORY_FULL)
        return -1;
    for (i = REPORT_SIDES; i-- > 0;) {
        if (report->keys[i].leaf < 0)
            continue;
        leaf = &report->certs[report->keys[i].leaf];
        check_side(report, request, (int)i, anchors);
    }
    for (i = 0; i < report->cert_count; i++)
        check_cert(report, request, &report->certs[i]);
    if (leaf && expect_leaf(request->expected, &leaf->cert, NULL, err) < 0)
        report_add(report, REPORT_PROBLEM, leaf->field, "%s", err->reason);
    anchors_free(anchors);
    return 0;
}

const struct report_cert *report_leaf(const struct report *report, const struct report *other)
{
    const int server = report->keys[REPORT_SERVER].leaf, client = report->keys[REPORT_CLIENT].leaf;
    const bool others_client = other->keys[REPORT_CLIENT].leaf >= 0;
    const int leaf = server >= 0 && (client < 0 || others_client) ? server : client;

    return leaf < 0 ? NULL : &report->certs[leaf];
}

enum verify_status report_accepts(const struct report *trusting, const struct report *shown,
                                  const struct report_cert *leaf, int64_t now,
                                  char reason[VERIFY_REASON_MAX])
{
    struct bytes chain[VERIFY_CHAIN_MAX];
    struct err err;
    struct anchors *anchors = collect_anchors(trusting, &err);
    const struct verify_request request = {
        .chain = chain,
        .chain_count = collect_chain(shown, leaf, chain),
        .anchors = anchors,
        .purpose = report_purpose(shown, leaf),
        .profile = VERIFY_PRIVATE,
        .allow_cn = true, /* a v1 leaf, too: whether it has a name is another question */
        .allow_v1_leaf = true,
        .now = now,
    };
    enum verify_status status = err.code == ERR_NONE ? VERIFY_NO_ISSUER : VERIFY_LIMIT;

    reason[0] = '\0';
    if (anchors)
        status = verify(&request, reason);
    anchors_free(anchors);
    return status;
}
