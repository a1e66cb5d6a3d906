/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/identity.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "base/hash.h"
#include "identity/expect.h"
#include "identity/identity_parts.h"
#include "x509/cert.h"
#include "x509/key.h"
#include "x509/pem.h"
#include "x509/verify.h"

/* What the parts of one identity_new() share. */
struct reading {
    const struct bundle *bundle;
    const struct identity_policy *policy;
    const char *subject;
    struct identity *identity;
    struct err *err;
};

/* A client's or a server's part of a set. */
static const struct side {
    enum bundle_field cert, key;
    enum verify_purpose purpose;
} sides[] = {
    {BUNDLE_CLIENT_CERT, BUNDLE_CLIENT_KEY, VERIFY_CLIENT},
    {BUNDLE_SERVER_CERT, BUNDLE_SERVER_KEY, VERIFY_SERVER},
};

/* "client_key of SECRET" */
static const char *subject_of(const struct reading *reading, enum bundle_field field,
                              char out[ERR_SUBJECT_MAX])
{
    const char *source = reading->bundle->source[field];

    (void)snprintf(out, ERR_SUBJECT_MAX, "%s of %s", bundle_field_name(field),
                   source[0] ? source : reading->subject);
    return out;
}

__attribute__((format(printf, 4, 5))) static int fail(const struct reading *reading,
                                                      enum bundle_field field, enum err_code code,
                                                      const char *format, ...)
{
    char subject[ERR_SUBJECT_MAX], reason[ERR_REASON_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return err_set(reading->err, code, subject_of(reading, field, subject), "%s", reason);
}

static bool has(const struct reading *reading, enum bundle_field field)
{
    return reading->bundle->field[field].len > 0;
}

/* A client's set needs all of its fields; a server's alone has no client's. */
static int check_complete(const struct reading *reading)
{
    bool server = has(reading, BUNDLE_SERVER_CERT) || has(reading, BUNDLE_SERVER_KEY);
    bool client = has(reading, BUNDLE_CLIENT_CERT) || has(reading, BUNDLE_CLIENT_KEY) || !server;
    const bool wanted[BUNDLE_FIELDS] = {
        [BUNDLE_CLIENT_CERT] = client, [BUNDLE_CLIENT_KEY] = client, [BUNDLE_CA_CERT] = client,
        [BUNDLE_SERVER_CERT] = server, [BUNDLE_SERVER_KEY] = server,
    };
    const struct bundle *bundle = reading->bundle;
    char reason[ERR_REASON_MAX] = "", names[128];
    size_t len = 0;
    int i;

    for (i = 0; i < BUNDLE_FIELDS; i++) {
        if (!wanted[i] || has(reading, (enum bundle_field)i) || len >= sizeof reason)
            continue;
        bundle_field_names((enum bundle_field)i, names, sizeof names);
        len +=
            (size_t)snprintf(reason + len, sizeof reason - len, "%s%s is missing (looked for %s)",
                             len ? "; " : "", bundle_field_name((enum bundle_field)i), names);
    }
    if (len == 0)
        return 0;
    if (client && !has(reading, BUNDLE_CA_CERT) && bundle->issuers[0])
        return err_set(reading->err, CAUSE_ISSUER_IS_NO_CA, reading->subject,
                       "%s; %s does not count: it holds the issuers of the client's certificate",
                       reason, bundle->issuers);
    return err_set(reading->err, ERR_FIELD_MISSING, reading->subject, "%s%s%s", reason,
                   bundle->strange[0] ? "; found " : "", bundle->strange);
}

/* Decodes a field's certificates into der, and views into it into list. How many, or -1. */
static int decode_certificates(const struct reading *reading, enum bundle_field field,
                               struct buf *der, struct bytes *certs, size_t max)
{
    const struct bytes text = buf_bytes(&reading->bundle->field[field]);
    struct pem_list list = {.cert = certs, .max = max};
    const enum pem_found found = pem_certificates(&list, text, der);
    char subject[ERR_SUBJECT_MAX];

    if (list.private_key)
        return fail(reading, field, CAUSE_WRONG_FIELD, "a private key stands in it");
    if (found == PEM_BLOCK)
        return fail(reading, field, CAUSE_CERTIFICATES_MANY, "it holds more than %zu certificates",
                    max);
    if (found < 0)
        return pem_fail(found, &list.bad, subject_of(reading, field, subject), reading->err);
    if (list.count == 0)
        return pem_lacks("CERTIFICATE", &list.other, text, subject_of(reading, field, subject),
                         reading->err);
    return (int)list.count;
}

/* Reads a field's certificates in their order, one that is there twice once. How many, or -1. */
static int read_certificates(const struct reading *reading, enum bundle_field field,
                             struct buf *der, struct bytes *list, size_t max)
{
    int count = decode_certificates(reading, field, der, list, max), kept = 0, i, k;
    char reason[CERT_REASON_MAX];
    struct bytes item;
    struct cert cert;

    for (i = 0; i < count; i++) {
        item = list[i];
        if (cert_parse(&cert, item, reason) < 0)
            return fail(reading, field,
                        strcmp(reason, CERT_TRAILING) == 0 ? CAUSE_TRUST_SETTINGS
                                                           : ERR_CERTIFICATE_INVALID,
                        "certificate %d of %d: %s", i + 1, count, reason);
        for (k = 0; k < kept && !bytes_equal(list[k], item); k++)
            ;
        list[k] = item;
        kept += k == kept;
    }
    return count < 0 ? -1 : kept;
}

/* Reads what was read before. */
static void parse_again(struct cert *cert, struct bytes der)
{
    char reason[CERT_REASON_MAX];

    (void)cert_parse(cert, der, reason);
}

static enum err_code cause_of(enum verify_status status, bool of_leaf)
{
    switch (status) {
    case VERIFY_EXPIRED: return of_leaf ? ERR_CERTIFICATE_EXPIRED : CAUSE_CA_EXPIRED;
    case VERIFY_NOT_YET_VALID: return ERR_CERTIFICATE_NOT_YET_VALID;
    case VERIFY_NO_ISSUER: return ERR_CHAIN_NOT_IN_CA;
    case VERIFY_USAGE: return CAUSE_LEAF_PURPOSE;
    case VERIFY_BAD_SIGNATURE: return CAUSE_CERTIFICATE_ALTERED;
    case VERIFY_WEAK: return CAUSE_SIGNATURE_UNSUPPORTED;
    case VERIFY_WEAK_KEY: return CAUSE_CA_KEY;
    case VERIFY_CONSTRAINTS: return CAUSE_NAME_CONSTRAINTS;
    case VERIFY_PATH_LENGTH: return CAUSE_PATH_LENGTH;
    case VERIFY_CRITICAL: return CAUSE_CRITICAL_EXTENSION;
    case VERIFY_NOT_CA: return CAUSE_NOT_A_CA;
    case VERIFY_CA_USAGE: return CAUSE_CA_USAGE;
    default: return ERR_CHAIN_INVALID;
    }
}

static int check_leaf(const struct reading *reading, const struct side *side,
                      const struct cert *leaf)
{
    char reason[VERIFY_REASON_MAX];
    enum verify_status status = leaf_check(leaf, side->purpose, reading->policy->now, reason);

    return status ? fail(reading, side->cert, cause_of(status, true), "%s", reason) : 0;
}

/*
 * The leaf's path to ca_cert, which is taken: sound, or absent, which is a matter of policy. It is
 * absent, too, where ca_cert has another CA of the issuer's name.
 */
static int check_chain(const struct reading *reading, const struct side *side,
                       const struct credential *credential, struct verify_path_taken *taken)
{
    enum verify_role blamed;
    struct verify_request request = {
        .chain = credential->chain,
        .chain_count = credential->chain_count,
        .anchors = reading->identity->anchors,
        .purpose = side->purpose,
        .now = reading->policy->now,
        .taken = taken,
        .blamed = &blamed,
    };
    bool client = side->purpose == VERIFY_CLIENT;
    char reason[VERIFY_REASON_MAX] = "";
    enum verify_status status;

    if (!request.anchors)
        return 0;
    status = chain_verify(&request, reason);
    if (status != VERIFY_OK &&
        (status != VERIFY_NO_ISSUER || (client && reading->policy->require_chain)))
        return fail(reading, blamed == VERIFY_ANCHOR ? BUNDLE_CA_CERT : side->cert,
                    cause_of(status, blamed == VERIFY_LEAF), "%s", reason);
    reading->identity->chain_not_in_ca |= client && status == VERIFY_NO_ISSUER;
    return 0;
}

static int out_of_memory(const struct reading *reading)
{
    return err_set(reading->err, ERR_MEMORY_FULL, reading->subject, "no memory for its files");
}

static int write_certificates(const struct reading *reading, enum bundle_field field,
                              const struct bytes *list, size_t count)
{
    struct buf *file = &reading->identity->file[field];
    size_t i;

    file->tag = ARENA_DOCUMENT;
    for (i = 0; i < count; i++)
        if (pem_append(file, "CERTIFICATE", list[i]) < 0)
            return out_of_memory(reading);
    return 0;
}

static int write_key(const struct reading *reading, enum bundle_field field, const struct key *key)
{
    struct buf *file = &reading->identity->file[field], der = {.tag = ARENA_KEY};
    int result = 0;

    file->tag = ARENA_KEY;
    if (key_encode(key, &der) < 0 || pem_append(file, "PRIVATE KEY", buf_bytes(&der)) < 0)
        result = out_of_memory(reading);
    buf_free(&der);
    return result;
}

/* The facts that logs and status show: of the first leaf, but dates that hold for both. */
static void note_leaf(struct identity *identity, const struct credential *credential,
                      const struct cert *leaf)
{
    uint8_t digest[HASH_SIZE];

    if (identity->fingerprint[0] == '\0') {
        hash_sha256(digest, leaf->der);
        hash_hex(identity->fingerprint, digest);
        cert_subject_text(leaf->subject, identity->subject, sizeof identity->subject);
        key_text(credential->key, identity->key_text);
        identity->not_before = leaf->not_before;
        identity->not_after = leaf->not_after;
    }
    if (leaf->not_before > identity->not_before)
        identity->not_before = leaf->not_before;
    if (leaf->not_after < identity->not_after)
        identity->not_after = leaf->not_after;
}

static int read_ca(const struct reading *reading)
{
    struct buf der = {.tag = ARENA_DOCUMENT};
    struct bytes list[IDENTITY_ANCHORS_MAX] = {{0}};
    int count, result = -1;

    if (!has(reading, BUNDLE_CA_CERT))
        return 0;
    count = read_certificates(reading, BUNDLE_CA_CERT, &der, list, IDENTITY_ANCHORS_MAX);
    if (count >= 0) {
        reading->identity->anchors = anchors_new(list, (size_t)count, reading->err);
        if (reading->identity->anchors)
            result = write_certificates(reading, BUNDLE_CA_CERT, list, (size_t)count);
    }
    buf_free(&der);
    return result;
}

static int read_side(const struct reading *reading, const struct side *side,
                     struct credential *credential)
{
    char subject[ERR_SUBJECT_MAX], kind[16];
    struct verify_path_taken taken = {.count = 0};
    struct cert leaf;
    int count;

    if (!has(reading, side->cert))
        return 0;
    credential->key = key_read(buf_bytes(&reading->bundle->field[side->key]),
                               subject_of(reading, side->key, subject), reading->err);
    if (!credential->key)
        return -1;
    credential->der.tag = ARENA_DOCUMENT;
    count = read_certificates(reading, side->cert, &credential->der, credential->chain,
                              IDENTITY_CHAIN_MAX);
    if (count < 0)
        return -1;
    credential->chain_count = (size_t)count;
    if (!chain_find_leaf(credential, side->purpose, reading->policy->now, &leaf)) {
        key_text(credential->key, kind);
        return fail(reading, side->cert, ERR_KEY_MISMATCH, KEY_MISMATCH_REASON,
                    bundle_field_name(side->key), kind);
    }
    if (check_leaf(reading, side, &leaf) < 0 || check_chain(reading, side, credential, &taken) < 0)
        return -1;
    chain_order(credential, &taken, reading->policy->now);
    note_leaf(reading->identity, credential, &leaf);
    if (write_certificates(reading, side->cert, credential->chain, credential->chain_count) < 0)
        return -1;
    return write_key(reading, side->key, credential->key);
}

struct identity *identity_new(const struct bundle *bundle, const struct identity_policy *policy,
                              const char *subject, struct err *err)
{
    struct identity *identity = arena_alloc(sizeof *identity, ARENA_WORK);
    const struct reading reading = {bundle, policy, subject, identity, err};

    if (!identity) {
        err_set(err, ERR_MEMORY_FULL, subject, "no memory for the identity");
        return NULL;
    }
    if (check_complete(&reading) < 0 || read_ca(&reading) < 0 ||
        read_side(&reading, &sides[0], &identity->client) < 0 ||
        read_side(&reading, &sides[1], &identity->server) < 0) {
        identity_free(identity);
        return NULL;
    }
    return identity;
}

int identity_add_anchor(struct identity *identity, struct bytes der, struct err *err)
{
    size_t count = anchors_count(identity->anchors), i;
    struct bytes list[IDENTITY_ANCHORS_MAX];
    struct anchors *anchors;

    if (count == IDENTITY_ANCHORS_MAX)
        return err_set(err, ERR_CERTIFICATE_INVALID, NULL, "there are %zu trust anchors already",
                       count);
    for (i = 0; i < count; i++)
        list[i] = anchors_at(identity->anchors, i)->der;
    list[count] = der;
    anchors = anchors_new(list, count + 1, err);
    if (!anchors)
        return -1;
    anchors_free(identity->anchors);
    identity->anchors = anchors;
    if (pem_append(&identity->file[BUNDLE_CA_CERT], "CERTIFICATE", der) < 0)
        return err_set(err, ERR_MEMORY_FULL, NULL, "no memory for another trust anchor");
    return 0;
}

int identity_expect(const struct identity *identity, const struct expected *expected,
                    const char *subject, struct err *err)
{
    const struct credential *client = &identity->client, *server = &identity->server;
    struct cert leaf;
    size_t i;

    parse_again(&leaf, client->chain_count > 0 ? client->chain[0] : server->chain[0]);
    if (expect_leaf(expected, &leaf, subject, err) < 0)
        return -1;
    for (i = 0; i < anchors_count(identity->anchors); i++)
        if (expect_anchor(expected, anchors_at(identity->anchors, i), subject, err) < 0)
            return -1;
    return 0;
}

void identity_free(struct identity *identity)
{
    int i;

    if (!identity)
        return;
    for (i = 0; i < BUNDLE_FIELDS; i++)
        buf_free(&identity->file[i]);
    buf_free(&identity->client.der);
    buf_free(&identity->server.der);
    key_free(identity->client.key);
    key_free(identity->server.key);
    anchors_free(identity->anchors);
    arena_free(identity);
}
