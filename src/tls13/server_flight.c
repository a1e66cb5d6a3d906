/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tls13/impl.h"

/* The index of the protocol that the server chose among those that we offered, from 1; 0: none. */
static size_t find_protocol(const br_ssl_engine_context *engine, struct view name)
{
    size_t i;

    for (i = 0; i < engine->protocol_names_num; i++)
        if (strlen(engine->protocol_names[i]) == name.len &&
            memcmp(engine->protocol_names[i], name.data, name.len) == 0)
            return i + 1;
    return 0;
}

/* RFC 7301 section 3.1: one protocol. */
static int read_alpn(br_ssl_engine_context *engine, struct view body)
{
    struct view list = view_vector(&body, 2), name = view_vector(&list, 1);
    size_t index = find_protocol(engine, name);

    if (engine->protocol_names_num == 0)
        return BR_ERR_EXTRA_EXTENSION;
    if (name.bad || name.len == 0 || list.len > 0 || body.len > 0)
        return BR_ERR_BAD_HANDSHAKE;
    engine->selected_protocol = (uint16_t)index;
    return index ? 0 : BR_ERR_INVALID_ALGORITHM;
}

/* RFC 8449: counts the type of a record's content too. */
static int read_record_limit(br_ssl_engine_context *engine, struct view body)
{
    uint32_t limit = view_number(&body, 2);

    if (body.bad || body.len > 0)
        return BR_ERR_BAD_HANDSHAKE;
    if (limit < RECORD_LIMIT_MIN)
        return BR_ERR_INVALID_ALGORITHM;
    record_limit(engine, limit - 1);
    return 0;
}

/* An extension that answers one of ours (4.2): an error, or 0. */
static int read_extension(br_ssl_engine_context *engine, unsigned type, struct view body)
{
    switch (type) {
    case EXT_SERVER_NAME:
        if (!engine->server_name[0])
            return BR_ERR_EXTRA_EXTENSION;
        return body.len > 0 ? BR_ERR_BAD_SNI : 0;
    case EXT_SUPPORTED_GROUPS: return 0; /* what it likes better, another time */
    case EXT_ALPN: return read_alpn(engine, body);
    case EXT_RECORD_SIZE_LIMIT: return read_record_limit(engine, body);
    case EXT_SIGNATURE_ALGORITHMS:
    case EXT_SUPPORTED_VERSIONS:
    case EXT_PRE_SHARED_KEY:
    case EXT_COOKIE:
    case EXT_PSK_MODES:
    case EXT_KEY_SHARE: return BR_ERR_INVALID_ALGORITHM;
    default: return BR_ERR_EXTRA_EXTENSION;
    }
}

static void read_extensions(struct tls13 *tls)
{
    struct view all = {tls->reader.item + HEADER_SIZE, (size_t)tls->reader.have - HEADER_SIZE,
                       false};
    struct view extensions = view_vector(&all, 2), body;
    uint32_t seen = 0;
    unsigned type;
    int error = extensions.bad || all.len > 0 ? BR_ERR_BAD_HANDSHAKE : 0;

    while (extensions.len > 0 && error == 0) {
        type = view_number(&extensions, 2);
        body = view_vector(&extensions, 2);
        error = extensions.bad ? BR_ERR_BAD_HANDSHAKE : read_extension(tls->engine, type, body);
        if (error == 0 && seen >> type & 1)
            error = BR_ERR_INVALID_ALGORITHM;
        seen |= type < 32 ? (uint32_t)1 << type : 0;
    }
    if (error != 0)
        tls13_fail(tls, error);
    tls->state = tls->resumed ? TLS13_FINISHED : TLS13_REQUEST;
    reader_end(tls);
}

void extensions_begin(struct tls13 *tls)
{
    reader_whole(tls, read_extensions);
}

/* ---- CertificateRequest (4.3.2). Names of CAs may be many, and are passed over. */

static void request_next(struct tls13 *tls);

static void read_schemes(struct tls13 *tls)
{
    struct tls13_reader *reader = &tls->reader;
    struct view all = {reader->item, reader->have, false}, schemes = view_vector(&all, 2);

    if (schemes.bad || all.len > 0 || schemes.len == 0 || schemes.len % 2 != 0 || tls->requested) {
        tls13_fail(tls, BR_ERR_BAD_HANDSHAKE);
        return;
    }
    tls->requested = true;
    tls->scheme =
        (uint16_t)(*tls->owner)
            ->choose(tls->owner, schemes.data, schemes.len, &tls->chain, &tls->chain_count);
    request_next(tls);
}

static void request_extension(struct tls13 *tls)
{
    struct tls13_reader *reader = &tls->reader;
    unsigned type = get16(reader->item), len = get16(reader->item + 2);

    if (reader->list < len + 4U) {
        tls13_fail(tls, BR_ERR_BAD_HANDSHAKE);
        return;
    }
    reader->list -= len + 4U;
    if (type == EXT_SIGNATURE_ALGORITHMS)
        reader_want(tls, len, read_schemes);
    else
        reader_pass(tls, len, NULL, request_next);
}

static void request_next(struct tls13 *tls)
{
    if (tls->reader.list > 0) {
        reader_want(tls, 4, request_extension);
        return;
    }
    if (!tls->requested)
        tls13_fail(tls, BR_ERR_MISSING_EXTENSION);
    tls->state = TLS13_CERTIFICATE;
    reader_end(tls);
}

static void request_head(struct tls13 *tls)
{
    const uint8_t *head = tls->reader.item;

    tls->reader.list = get16(head + 1);
    if (head[0] != 0)
        tls13_fail(tls, BR_ERR_INVALID_ALGORITHM); /* a context is for later requests */
    else
        request_next(tls);
}

void request_begin(struct tls13 *tls)
{
    reader_want(tls, 3, request_head);
}

/* ---- Certificate (4.4.2), as it comes to the engine's X.509 engine */

static void certificate_next(struct tls13 *tls);

static void certificate_extensions(struct tls13 *tls)
{
    if (get16(tls->reader.item) != 0)
        tls13_fail(tls, BR_ERR_EXTRA_EXTENSION); /* we have offered none for certificates */
    else
        certificate_next(tls);
}

static void certificate_end(struct tls13 *tls)
{
    const br_x509_class **x509 = tls->engine->x509ctx;

    (*x509)->end_cert(x509);
    reader_want(tls, 2, certificate_extensions);
}

static void certificate_append(struct tls13 *tls, const uint8_t *data, size_t len)
{
    const br_x509_class **x509 = tls->engine->x509ctx;

    (*x509)->append(x509, data, len);
}

static void certificate_length(struct tls13 *tls)
{
    const br_x509_class **x509 = tls->engine->x509ctx;
    struct tls13_reader *reader = &tls->reader;
    uint32_t len = get24(reader->item);

    if (len == 0 || reader->list < len + 5) {
        tls13_fail(tls, BR_ERR_BAD_HANDSHAKE);
        return;
    }
    reader->list -= len + 5;
    (*x509)->start_cert(x509, len);
    reader_pass(tls, len, certificate_append, certificate_end);
}

static void certificate_next(struct tls13 *tls)
{
    const br_x509_class **x509 = tls->engine->x509ctx;
    unsigned error;

    if (tls->reader.list > 0) {
        reader_want(tls, 3, certificate_length);
        return;
    }
    reader_end(tls);
    error = (*x509)->end_chain(x509);
    if (error != 0)
        tls13_fail(tls, (int)error);
    tls->state = TLS13_VERIFY;
}

static void certificate_head(struct tls13 *tls)
{
    const br_x509_class **x509 = tls->engine->x509ctx;
    const uint8_t *head = tls->reader.item;

    tls->reader.list = get24(head + 1);
    if (head[0] != 0) {
        tls13_fail(tls, BR_ERR_INVALID_ALGORITHM);
    } else if (tls->reader.list == 0 || tls->reader.list != tls->reader.left) {
        tls13_fail(tls, BR_ERR_BAD_HANDSHAKE);
    } else {
        (*x509)->start_chain(x509, tls->engine->server_name);
        certificate_next(tls);
    }
}

void certificate_begin(struct tls13 *tls)
{
    reader_want(tls, 4, certificate_head);
}
