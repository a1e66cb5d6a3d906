/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "commands/inspect_print.h"
#include "identity/report.h"
#include "x509/general_name.h"

enum { TEXT_MAX = 1024, NAME_MAX_ = 256, NAMES_SHOWN = 400 };

struct comparison {
    struct buf *out;
    struct json_writer *writer; /* NULL: text */
    const struct inspected *both;
    const struct report_cert *leaf[2];
    bool good;
};

/* A row of it: a line, or a member of the object; NULL: of the list. */
static void put(const struct comparison *comparison, const char *label, const char *member,
                const char *text)
{
    char line[TEXT_MAX + 32];

    if (comparison->writer) {
        json_put_text(comparison->writer, member, text);
        return;
    }
    (void)snprintf(line, sizeof line, "%-12s %s\n", label, text);
    (void)buf_append_text(comparison->out, line);
}

static const char *role_of(const struct inspected *shown, const struct report_cert *leaf)
{
    return report_purpose(shown->report, leaf) == VERIFY_SERVER ? "server" : "client";
}

static void names_of(const struct cert *cert, char out[NAMES_SHOWN])
{
    struct bytes san = cert->san;
    char text[NAME_MAX_];
    struct der name;
    size_t len = 0;

    out[0] = '\0';
    while (len < NAMES_SHOWN && der_any(&san, &name)) {
        general_name_text(&name, text, sizeof text);
        len +=
            (size_t)snprintf(out + len, NAMES_SHOWN - len, "%s%s", len ? ", " : ", names ", text);
    }
}

/* "server.json: server CN=localhost, EC P-256, names DNS:localhost, until 2027-..." */
static void describe(const struct comparison *comparison, int i)
{
    const struct report_cert *leaf = comparison->leaf[i];
    char text[TEXT_MAX], subject[NAME_MAX_], names[NAMES_SHOWN], key[INSPECT_KEY_MAX];
    char until[CLOCK_TEXT_MAX];

    if (leaf) {
        cert_subject_text(leaf->cert.subject, subject, sizeof subject);
        names_of(&leaf->cert, names);
        inspect_key_text(&leaf->cert, key);
        clock_format(until, leaf->cert.not_after);
        (void)snprintf(text, sizeof text, "%s: %s%s %s, %s%s, until %s", comparison->both[i].source,
                       role_of(&comparison->both[i], leaf),
                       comparison->both[i].assumed ? " (assumed)" : "", subject, key, names, until);
    } else {
        (void)snprintf(text, sizeof text, "%s: no certificate but CAs'",
                       comparison->both[i].source);
    }
    put(comparison, i == 0 ? "A" : "B", i == 0 ? "a" : "b", text);
}

/* What the one that trusts makes of the other. */
static void judge(struct comparison *comparison, int trusting)
{
    const struct report_cert *leaf = comparison->leaf[!trusting];
    char reason[VERIFY_REASON_MAX] = "", text[TEXT_MAX];
    enum verify_status status = VERIFY_NO_ISSUER;

    if (leaf)
        status =
            report_accepts(comparison->both[trusting].report, comparison->both[!trusting].report,
                           leaf, comparison->both[0].now, reason);
    if (!leaf)
        (void)snprintf(text, sizeof text, "no: there is no certificate to show");
    else if (status == VERIFY_OK)
        (void)snprintf(text, sizeof text, "yes");
    else
        (void)snprintf(text, sizeof text, "no: %s: %s", verify_status_name(status),
                       reason[0] ? reason : "it has no CA to trust");
    comparison->good = comparison->good && status == VERIFY_OK;
    put(comparison, trusting == 0 ? "A accepts B" : "B accepts A",
        trusting == 0 ? "a_accepts_b" : "b_accepts_a", text);
}

static void count_cas(const struct comparison *comparison)
{
    const struct report *a = comparison->both[0].report, *b = comparison->both[1].report;
    size_t i, k, common = 0, of[2] = {0};
    char text[TEXT_MAX];

    for (k = 0; k < b->cert_count; k++)
        of[1] += b->certs[k].field == BUNDLE_CA_CERT;
    for (i = 0; i < a->cert_count; i++) {
        if (a->certs[i].field != BUNDLE_CA_CERT)
            continue;
        of[0]++;
        for (k = 0; k < b->cert_count; k++)
            if (b->certs[k].field == BUNDLE_CA_CERT &&
                strcmp(a->certs[i].fingerprint, b->certs[k].fingerprint) == 0)
                break;
        common += k < b->cert_count;
    }
    (void)snprintf(text, sizeof text, "%zu of A, %zu of B, %zu in both", of[0], of[1], common);
    put(comparison, "CAs", "cas", text);
}

static bool has_other_key(const struct inspected *shown, const struct report_cert *leaf)
{
    const bool server = leaf && leaf->field == BUNDLE_SERVER_CERT;
    const struct report_key *key = &shown->report->keys[server ? REPORT_SERVER : REPORT_CLIENT];

    return leaf && key->kind[0] && !key->fits;
}

/* What is strange between the two, whoever accepts whom. */
static void warn(const struct comparison *comparison)
{
    const struct report_cert *a = comparison->leaf[0], *b = comparison->leaf[1];
    int i;

    for (i = 0; i < 2; i++)
        if (has_other_key(&comparison->both[i], comparison->leaf[i]))
            put(comparison, "warning", NULL,
                i == 0 ? "the key in A is not its certificate's"
                       : "the key in B is not its certificate's");
    if (!a || !b)
        return;
    if (bytes_equal(a->cert.spki, b->cert.spki))
        put(comparison, "warning", NULL,
            "both have the same key: the holder of one can pass for the other");
    if (strcmp(role_of(&comparison->both[0], a), role_of(&comparison->both[1], b)) == 0)
        put(comparison, "warning", NULL,
            "both are for the same part: one is to be a server's, one a client's");
    for (i = 0; i < 2; i++)
        if (role_of(&comparison->both[i], comparison->leaf[i])[0] == 's' &&
            !comparison->leaf[i]->cert.san.data)
            put(comparison, "warning", NULL,
                "the server's certificate has no subjectAltName: clients refuse it, this agent "
                "without --allow-cn");
}

bool inspect_compare(struct buf *out, struct json_writer *writer, const struct inspected both[2])
{
    struct comparison comparison = {.out = out, .writer = writer, .both = both, .good = true};
    int i;

    for (i = 0; i < 2; i++)
        comparison.leaf[i] = report_leaf(both[i].report, both[!i].report);
    if (writer)
        json_open(writer, NULL, '{');
    describe(&comparison, 0);
    describe(&comparison, 1);
    count_cas(&comparison);
    judge(&comparison, 0);
    judge(&comparison, 1);
    if (writer)
        json_open(writer, "warnings", '[');
    warn(&comparison);
    if (writer)
        json_close(writer, ']');
    if (writer)
        json_put_bool(writer, "good", comparison.good);
    if (writer)
        json_close(writer, '}');
    return comparison.good;
}
