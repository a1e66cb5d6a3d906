/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/document.h"

#include "attest/cbor.h"
#include "base/err.h"

/*
 * Readers return NULL, or a clause that says what is wrong. Each takes a value that is known to
 * stand there, and nothing behind it.
 */
enum { TAG_SIGN1 = 18, LABEL_ALGORITHM = 1, ES384 = 34 /* -35 */, SIGNATURE_SIZE = 96 };
enum { CERTIFICATE_MAX = 1024, FREE_FIELD_MAX = 1024 };

/* The last moment of the year 9999. */
#define TIMESTAMP_MAX_MS INT64_C(253402300799999)

enum field {
    FIELD_MODULE,
    FIELD_DIGEST,
    FIELD_TIMESTAMP,
    FIELD_PCRS,
    FIELD_CERTIFICATE,
    FIELD_BUNDLE,
    FIELD_NITROTPM_PCRS,
    FIELD_PUBLIC_KEY,
    FIELD_USER_DATA,
    FIELD_NONCE,
    FIELDS
};

static const char *const field_names[FIELDS] = {
    "module_id", "digest",        "timestamp",  "pcrs",      "certificate",
    "cabundle",  "nitrotpm_pcrs", "public_key", "user_data", "nonce",
};

static enum field find_field(struct bytes name)
{
    unsigned i = 0;

    while (i < FIELDS && !bytes_equal_text(name, field_names[i]))
        i++;
    return (enum field)i;
}

static const char *read_module(struct attest_document *out, const struct cbor *value)
{
    size_t i;

    if (value->type != CBOR_TEXT || value->text.len == 0 || value->text.len > ATTEST_MODULE_MAX)
        return "its module_id is no text of 1 to 128 bytes";
    for (i = 0; i < value->text.len; i++)
        if (value->text.data[i] <= ' ' || value->text.data[i] > '~')
            return "its module_id has other characters than visible ASCII";
    memcpy(out->module, value->text.data, value->text.len);
    return NULL;
}

static const char *read_timestamp(struct attest_document *out, const struct cbor *value)
{
    if (value->type != CBOR_UNSIGNED || value->number > TIMESTAMP_MAX_MS)
        return "its timestamp is no time in milliseconds";
    out->timestamp_ms = (int64_t)value->number;
    return NULL;
}

static const char *read_pcrs(struct attest_document *out, struct bytes *in, const struct cbor *map)
{
    struct cbor number, value;
    uint64_t taken = 0;

    if (map->type != CBOR_MAP)
        return "its PCRs are no map";
    while (cbor_more(in, map, &taken)) {
        if (!cbor_take_type(in, CBOR_UNSIGNED, &number) || number.number >= ATTEST_PCRS)
            return "it has a PCR of no number from 0 to 31";
        if (out->pcr[number.number].data)
            return "it has a PCR twice";
        if (!cbor_take_type(in, CBOR_BYTES, &value) || value.text.len != ATTEST_PCR_SIZE)
            return "it has a PCR that is not of 48 bytes";
        out->pcr[number.number] = value.text;
    }
    return NULL;
}

static const char *read_certificate(struct bytes *out, const struct cbor *value)
{
    if (value->type != CBOR_BYTES || value->text.len == 0 || value->text.len > CERTIFICATE_MAX)
        return "it has a certificate that is not of 1 to 1024 bytes";
    *out = value->text;
    return NULL;
}

static const char *read_bundle(struct attest_document *out, struct bytes *in,
                               const struct cbor *array)
{
    const char *why = NULL;
    struct cbor value;
    uint64_t taken = 0;

    if (array->type != CBOR_ARRAY)
        return "its cabundle is no array";
    while (!why && cbor_more(in, array, &taken)) {
        if (out->bundle_count == ATTEST_BUNDLE_MAX)
            return "its cabundle has more than 8 certificates";
        if (!cbor_take(in, &value))
            return "its cabundle is cut off";
        why = read_certificate(&out->bundle[out->bundle_count++], &value);
    }
    return why;
}

/* What the enclave may set at will. An empty one is not the same as none. */
static const char *read_free(struct bytes *out, const struct cbor *value)
{
    if (value->type == CBOR_SIMPLE && value->number == CBOR_NULL)
        return NULL;
    if (value->type != CBOR_BYTES || value->text.len > FREE_FIELD_MAX)
        return "its public_key, user_data or nonce is neither null nor of at most 1024 bytes";
    *out = value->text;
    return NULL;
}

static const char *read_field(struct attest_document *out, enum field field, struct bytes *in)
{
    struct cbor value;

    if (!cbor_take(in, &value))
        return "it is cut off";
    switch (field) {
    case FIELD_MODULE: return read_module(out, &value);
    case FIELD_DIGEST:
        return value.type == CBOR_TEXT && bytes_equal_text(value.text, "SHA384")
                   ? NULL
                   : "its digest is not SHA384";
    case FIELD_TIMESTAMP: return read_timestamp(out, &value);
    case FIELD_NITROTPM_PCRS: out->instance = true; return read_pcrs(out, in, &value);
    case FIELD_PCRS: return read_pcrs(out, in, &value);
    case FIELD_CERTIFICATE: return read_certificate(&out->certificate, &value);
    case FIELD_BUNDLE: return read_bundle(out, in, &value);
    case FIELD_PUBLIC_KEY: return read_free(&out->public_key, &value);
    case FIELD_USER_DATA: return read_free(&out->user_data, &value);
    default: return read_free(&out->nonce, &value);
    }
}

/* The three that the enclave may set may be left out, and of the kinds of PCRs one stands there. */
static const char *check_fields(const struct attest_document *out, unsigned seen)
{
    const unsigned pcrs = 1U << FIELD_PCRS | 1U << FIELD_NITROTPM_PCRS;
    const unsigned always = (1U << FIELD_PUBLIC_KEY) - 1 - pcrs;
    unsigned i;

    if ((seen & always) != always || (seen & pcrs) == 0 || (seen & pcrs) == pcrs)
        return "it lacks a field, or has both kinds of PCRs";
    if (out->bundle_count == 0)
        return "its cabundle is empty";
    for (i = 0; i < 3 && !out->instance; i++)
        if (!out->pcr[i].data)
            return "it lacks PCR0, PCR1 or PCR2";
    return NULL;
}

static const char *read_payload(struct attest_document *out)
{
    struct bytes in = out->payload;
    struct cbor map, name;
    const char *why = NULL;
    uint64_t taken = 0;
    unsigned seen = 0;

    if (!cbor_take_type(&in, CBOR_MAP, &map))
        return "its payload is no map";
    while (!why && cbor_more(&in, &map, &taken)) {
        enum field field;

        if (!cbor_take_type(&in, CBOR_TEXT, &name))
            return "its payload has a name that is no text, or is cut off";
        field = find_field(name.text);
        if (field == FIELDS)
            return "it has a field that is unknown";
        if (seen & 1U << field)
            return "it has a field twice";
        seen |= 1U << field;
        why = read_field(out, field, &in);
    }
    if (!why && in.len > 0)
        why = "bytes follow its payload's map";
    return why ? why : check_fields(out, seen);
}

/* {1: -35}, and nothing else. */
static bool is_es384(struct bytes header)
{
    struct cbor map, label, algorithm;
    uint64_t taken = 0;

    return cbor_take_type(&header, CBOR_MAP, &map) && cbor_more(&header, &map, &taken) &&
           cbor_take_type(&header, CBOR_UNSIGNED, &label) && label.number == LABEL_ALGORITHM &&
           cbor_take_type(&header, CBOR_NEGATIVE, &algorithm) && algorithm.number == ES384 &&
           !cbor_more(&header, &map, &taken) && header.len == 0;
}

static const char *read_sign1(struct attest_document *out, struct bytes in)
{
    struct cbor item, array, header, payload, signature;
    struct bytes untagged = in;
    uint64_t taken = 0, none = 0;

    if (cbor_take_type(&untagged, CBOR_TAG, &item) && item.number == TAG_SIGN1)
        in = untagged;
    if (!cbor_take_type(&in, CBOR_ARRAY, &array) || !cbor_more(&in, &array, &taken) ||
        !cbor_take_type(&in, CBOR_BYTES, &header) || !cbor_more(&in, &array, &taken) ||
        !cbor_take_type(&in, CBOR_MAP, &item) || cbor_more(&in, &item, &none) ||
        !cbor_more(&in, &array, &taken) || !cbor_take_type(&in, CBOR_BYTES, &payload) ||
        !cbor_more(&in, &array, &taken) || !cbor_take_type(&in, CBOR_BYTES, &signature) ||
        cbor_more(&in, &array, &taken))
        return "it is no COSE_Sign1 of four parts";
    if (in.len > 0)
        return "bytes follow it";
    if (!is_es384(header.text))
        return "its algorithm is not ES384";
    if (signature.text.len != SIGNATURE_SIZE)
        return "its signature is not of 96 bytes";
    out->header = header.text;
    out->payload = payload.text;
    out->signature = signature.text;
    return NULL;
}

int attest_document_read(struct attest_document *out, struct bytes cose, struct err *err)
{
    const char *why = NULL;

    *out = (struct attest_document){0};
    if (cose.len > ATTEST_DOCUMENT_MAX)
        why = "it is longer than 16384 bytes";
    if (!why)
        why = read_sign1(out, cose);
    if (!why)
        why = read_payload(out);
    return why ? err_set(err, ERR_ATTEST_MALFORMED, NULL, "%s", why) : 0;
}

bool attest_pcr_set(const struct attest_document *document, unsigned number)
{
    const struct bytes pcr = document->pcr[number];
    uint8_t any = 0;
    size_t i;

    for (i = 0; i < pcr.len; i++)
        any |= pcr.data[i];
    return any != 0;
}
