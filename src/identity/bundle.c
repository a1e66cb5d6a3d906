/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/bundle.h"

#include <stdio.h>

#include "base/err.h"
#include "base/json.h"
#include "base/slips.h"
#include "x509/cert.h"
#include "x509/key.h"
#include "x509/pem.h"

enum { DOCUMENT_MAX = 64 * 1024 };

/* The secret that is read, and where to say what is wrong with it. */
struct source {
    const char *secret;
    struct err *err;
};

void bundle_free(struct bundle *bundle)
{
    int i;

    for (i = 0; i < BUNDLE_FIELDS; i++) {
        buf_free(&bundle->field[i]);
        bundle->source[i][0] = '\0';
    }
    bundle->strange[0] = bundle->issuers[0] = '\0';
}

static int out_of_memory(const struct source *source)
{
    return err_set(source->err, ERR_MEMORY_FULL, source->secret, "no memory for its text");
}

/* Line ends that were escaped twice arrive as a backslash and a letter. PEM has no backslash. */
static void unescape(struct buf *text)
{
    size_t in, out = 0;
    uint8_t c;

    for (in = 0; in < text->len; in++) {
        c = text->data[in];
        if (c == '\\' && in + 1 < text->len && strchr("nr", text->data[in + 1]))
            c = text->data[++in] == 'n' ? '\n' : '\r';
        text->data[out++] = c;
    }
    if (out < text->len)
        wipe(text->data + out, text->len - out);
    text->len = out;
}

/* Decodes a string; what names it in errors. */
static int read_text(const struct json *json, json_value value, const char *what, struct buf *text,
                     const struct source *source)
{
    if (json_type(json, value) != JSON_STRING)
        return err_set(source->err, ERR_DOCUMENT_INVALID, source->secret, "%s is no string", what);
    if (buf_reserve(text, json_raw(json, value).len) < 0)
        return out_of_memory(source);
    if (json_string(json, value, text) < 0)
        return err_set(source->err, ERR_DOCUMENT_INVALID, source->secret, "%s is not Unicode",
                       what);
    if (memchr(text->data, '\0', text->len))
        return err_set(source->err, ERR_DOCUMENT_INVALID, source->secret, "%s holds a NUL", what);
    return 0;
}

/* A JSON document on its way into a bundle. */
struct document {
    const struct json *json;
    struct bundle *part;
    const char *given[BUNDLE_FIELDS]; /* by field, the name that it had before */
};

static int read_member(struct document *document, json_value name, json_value value,
                       const struct source *source)
{
    struct buf text = {.tag = ARENA_WORK};
    enum bundle_field field;
    const char *known = NULL;
    int result = read_text(document->json, name, "a name in it", &text, source);

    if (result == 0 && !(known = bundle_find_name(buf_bytes(&text), &field)))
        bundle_note_strange(document->part, buf_bytes(&text));
    buf_free(&text);
    if (!known || json_is_nothing(document->json, value))
        return result;
    if (document->given[field] && document->given[field] == known)
        return err_set(source->err, ERR_FIELD_REPEATED, source->secret, "%s stands in it twice",
                       known);
    if (document->given[field])
        return err_set(source->err, ERR_FIELD_REPEATED, source->secret,
                       "%s and %s are names of one field", document->given[field], known);
    document->given[field] = known;
    if (read_text(document->json, value, known, &document->part->field[field], source) < 0)
        return -1;
    unescape(&document->part->field[field]);
    return 0;
}

/* Another form than it should have: by mistake, or what is against it. */
static int fail_form(struct bytes document, const struct source *source, const char *what,
                     const char *why)
{
    const char *slip;
    const enum err_code cause = slips_find(document, &slip);

    if (cause != ERR_NONE)
        return err_set(source->err, cause, source->secret, "%s", slip);
    return err_set(source->err, ERR_DOCUMENT_INVALID, source->secret, "%s%s", what, why);
}

static int read_json(struct bundle *part, struct bytes text, const struct source *source)
{
    char reason[JSON_REASON_MAX];
    struct json *json = json_parse(text, reason);
    struct document document = {.json = json, .part = part};
    json_value name, value;
    int at = 0, result = 0;

    if (!json && strcmp(reason, JSON_NO_MEMORY) == 0)
        return out_of_memory(source);
    if (!json)
        return fail_form(text, source, "it is not JSON: ", reason);
    while (result == 0 && json_each(json, 0, &at, &name, &value))
        result = read_member(&document, name, value, source);
    json_free(json);
    return result;
}

static int append_block(struct buf *field, const struct pem_block *block,
                        const struct source *source)
{
    if (buf_append(field, block->text.data, block->text.len) < 0 || buf_append(field, "\n", 1) < 0)
        return out_of_memory(source);
    return 0;
}

/* Takes keys and certificates out of a bare bundle. */
static int collect(struct bundle *part, struct bytes text, const struct source *source)
{
    struct pem_reader reader = {text};
    struct pem_block block;
    struct buf der = {.tag = ARENA_KEY};
    enum pem_found found;
    int result = 0;

    while (result == 0 && (found = pem_next(&reader, &block, &der)) != PEM_END) {
        if (found < 0)
            result = pem_fail(found, &block, source->secret, source->err);
        else if (pem_is_private_key(&block))
            result = append_block(&part->field[BUNDLE_CLIENT_KEY], &block, source);
        else if (pem_is_certificate(&block))
            result = append_block(&part->field[BUNDLE_CLIENT_CERT], &block, source);
        buf_free(&der);
    }
    return result;
}

/* What tells the certificates of a bare bundle apart. */
struct sorting {
    const struct key *key; /* NULL: the bundle has none */
    bool leaf_for_key;     /* another CA has issued a certificate to the key */
    bool all_authorities;  /* no certificate is a leaf, and there is no key */
};

/* The next certificate of text that collect() made: 1; 0: no more; -1 with the source's err. */
static int next_cert(struct pem_reader *reader, struct pem_block *block, struct buf *der,
                     struct cert *cert, const struct source *source)
{
    char reason[CERT_REASON_MAX];
    enum pem_found found;

    buf_free(der);
    found = pem_next(reader, block, der);
    if (found == PEM_END)
        return 0;
    if (found == PEM_BLOCK && cert_parse(cert, buf_bytes(der), reason) == 0)
        return 1;
    if (found == PEM_BLOCK)
        (void)err_set(source->err, ERR_CERTIFICATE_INVALID, source->secret, "%s", reason);
    else
        (void)pem_fail(found, block, source->secret, source->err);
    return -1;
}

static bool is_self_issued(const struct cert *cert)
{
    return bytes_equal(cert->issuer, cert->subject);
}

static int look_over(struct sorting *sorting, struct bytes text, const struct source *source)
{
    struct buf der = {.tag = ARENA_DOCUMENT};
    struct pem_reader reader = {text};
    struct pem_block block;
    struct cert cert;
    int found;

    sorting->all_authorities = !sorting->key;
    while ((found = next_cert(&reader, &block, &der, &cert, source)) > 0) {
        if (is_self_issued(&cert))
            continue;
        sorting->leaf_for_key |= sorting->key && key_matches(sorting->key, &cert);
        sorting->all_authorities &= cert.is_ca;
    }
    buf_free(&der);
    return found;
}

/* openssl req -x509 makes leaves that are self-issued. */
static bool is_authority(const struct sorting *sorting, const struct cert *cert)
{
    if (!is_self_issued(cert))
        return sorting->all_authorities;
    return !sorting->key || sorting->leaf_for_key || !key_matches(sorting->key, cert);
}

/* Moves the certificates that the set is to trust from client_cert to ca_cert. */
static int split(struct bundle *part, const struct key *key, const struct source *source)
{
    struct buf all = part->field[BUNDLE_CLIENT_CERT], der = {.tag = ARENA_DOCUMENT};
    struct pem_reader reader = {buf_bytes(&all)};
    struct sorting sorting = {.key = key};
    enum bundle_field field;
    struct pem_block block;
    struct cert cert;
    int result;

    part->field[BUNDLE_CLIENT_CERT] = (struct buf){.tag = ARENA_DOCUMENT};
    result = look_over(&sorting, buf_bytes(&all), source);
    while (result == 0 && (result = next_cert(&reader, &block, &der, &cert, source)) > 0) {
        field = is_authority(&sorting, &cert) ? BUNDLE_CA_CERT : BUNDLE_CLIENT_CERT;
        if (field == BUNDLE_CLIENT_CERT && !cert.is_ca && cert.has_extended_usage)
            part->usage |= cert.extended_usage;
        result = append_block(&part->field[field], &block, source);
    }
    buf_free(&der);
    buf_free(&all);
    return result;
}

/* A quoted name and a colon: neither PEM has them, nor what tools write around it. */
static bool holds_members(struct bytes text)
{
    size_t i, next;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] != '"' && text.data[i] != '\'')
            continue;
        for (next = i + 1; next < text.len && memchr(" \t\r\n", text.data[next], 4); next++)
            ;
        if (next < text.len && text.data[next] == ':')
            return true;
    }
    return false;
}

/* Whether its first block begins a line: in JSON and its kin a quotation mark stands before it. */
static bool begins_line(struct bytes text)
{
    const uint8_t *at = memmem(text.data, text.len, "-----BEGIN ", 11);

    while (at && at > text.data && (at[-1] == ' ' || at[-1] == '\t'))
        at--;
    return at && (at == text.data || at[-1] == '\n' || at[-1] == '\r');
}

#define NEITHER "it is neither a JSON object nor PEM"

static int check_pem(struct bytes document, const struct source *source)
{
    if (holds_members(document))
        return fail_form(document, source, NEITHER,
                         ": it has JSON in it, but does not begin with {");
    return begins_line(document) ? 0 : fail_form(document, source, NEITHER, "");
}

static int read_pem(struct bundle *part, struct bytes document, const struct source *source)
{
    struct buf text = {.tag = ARENA_DOCUMENT};
    struct key *key = NULL;
    int result = -1;

    if (check_pem(document, source) < 0)
        return -1;
    if (buf_append(&text, document.data, document.len) < 0)
        return out_of_memory(source);
    unescape(&text);
    if (collect(part, buf_bytes(&text), source) < 0)
        goto out;
    if (part->field[BUNDLE_CLIENT_KEY].len == 0 && part->field[BUNDLE_CLIENT_CERT].len == 0) {
        err_set(source->err, ERR_DOCUMENT_INVALID, source->secret,
                NEITHER " of keys and certificates");
        goto out;
    }
    if (part->field[BUNDLE_CLIENT_KEY].len > 0) {
        key = key_read(buf_bytes(&part->field[BUNDLE_CLIENT_KEY]), source->secret, source->err);
        if (!key)
            goto out;
    }
    result = split(part, key, source);
out:
    key_free(key);
    buf_free(&text);
    return result;
}

/* Moves the parts of one document to the others', all or none. */
static int merge(struct bundle *bundle, struct bundle *part, const struct source *source)
{
    bool any = false;
    int i;

    for (i = 0; i < BUNDLE_FIELDS; i++) {
        any |= part->field[i].len > 0;
        if (part->field[i].len > 0 && bundle->field[i].len > 0)
            return err_set(source->err, ERR_FIELD_REPEATED, source->secret, "%s comes from %s too",
                           bundle_field_name((enum bundle_field)i), bundle->source[i]);
    }
    if (!any)
        return err_set(source->err, ERR_FIELD_MISSING, source->secret, "it has no known field%s%s",
                       part->strange[0] ? "; found " : "", part->strange);
    bundle->usage |= part->usage;
    if (bundle->strange[0] == '\0')
        memcpy(bundle->strange, part->strange, sizeof bundle->strange);
    if (bundle->issuers[0] == '\0')
        memcpy(bundle->issuers, part->issuers, sizeof bundle->issuers);
    for (i = 0; i < BUNDLE_FIELDS; i++) {
        if (part->field[i].len == 0)
            continue;
        buf_free(&bundle->field[i]);
        bundle->field[i] = part->field[i];
        part->field[i] = (struct buf){0};
        (void)snprintf(bundle->source[i], sizeof bundle->source[i], "%s", source->secret);
    }
    return 0;
}

/* Leaves out a byte order mark and white space. */
static struct bytes skip_start(struct bytes text)
{
    if (text.len >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0)
        text = bytes_of(text.data + 3, text.len - 3);
    while (text.len > 0 && memchr(" \t\r\n", text.data[0], 4))
        text = bytes_of(text.data + 1, text.len - 1);
    return text;
}

bool bundle_is_object(struct bytes document)
{
    struct bytes text = skip_start(document);

    return text.len > 0 && text.data[0] == '{';
}

int bundle_add(struct bundle *bundle, struct bytes document, const char *secret, struct err *err)
{
    const struct source source = {secret, err};
    struct bytes text = skip_start(document);
    struct bundle part = {0};
    int i, result;

    if (document.len > DOCUMENT_MAX)
        return err_set(err, ERR_DOCUMENT_TOO_LARGE, secret, "it has %zu bytes", document.len);
    if (text.len == 0)
        return err_set(err, ERR_DOCUMENT_INVALID, secret, "it is empty");
    if (memchr(text.data, '\0', text.len))
        return fail_form(text, &source, "it holds a NUL", "");
    for (i = 0; i < BUNDLE_FIELDS; i++)
        part.field[i].tag = ARENA_DOCUMENT;
    result = bundle_is_object(document) ? read_json(&part, text, &source)
                                        : read_pem(&part, text, &source);
    if (result == 0)
        result = merge(bundle, &part, &source);
    bundle_free(&part);
    return result;
}
