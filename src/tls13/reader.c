/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tls13/impl.h"

void reader_want(struct tls13 *tls, size_t len, void (*then)(struct tls13 *))
{
    struct tls13_reader *reader = &tls->reader;

    if (len > reader->left || len > sizeof reader->item) {
        tls13_fail(tls, BR_ERR_BAD_HANDSHAKE);
        return;
    }
    reader->have = 0;
    reader->want = (uint16_t)len;
    reader->then = then;
    if (len == 0)
        then(tls);
}

void reader_whole(struct tls13 *tls, void (*then)(struct tls13 *))
{
    struct tls13_reader *reader = &tls->reader;

    if (reader->left > sizeof reader->item - HEADER_SIZE) {
        tls13_fail(tls, BR_ERR_BAD_HANDSHAKE);
        return;
    }
    reader->have = HEADER_SIZE;
    reader->want = (uint16_t)(HEADER_SIZE + reader->left);
    reader->then = then;
    if (reader->left == 0)
        then(tls);
}

void reader_pass(struct tls13 *tls, size_t len,
                 void (*sink)(struct tls13 *, const uint8_t *, size_t),
                 void (*then)(struct tls13 *))
{
    struct tls13_reader *reader = &tls->reader;

    if (len > reader->left) {
        tls13_fail(tls, BR_ERR_BAD_HANDSHAKE);
        return;
    }
    reader->have = reader->want = 0;
    reader->pass = (uint32_t)len;
    reader->sink = sink;
    reader->then = then;
    if (len == 0)
        then(tls);
}

void reader_end(struct tls13 *tls)
{
    if (tls->reader.left > 0)
        tls13_fail(tls, BR_ERR_BAD_HANDSHAKE);
    tls->reader.then = NULL;
    tls->reader.have = tls->reader.want = 0;
}

bool reader_within(const struct tls13 *tls)
{
    return tls->reader.then || tls->reader.have > 0;
}

/* Which message is read how, and when (section 4). */
static void begin_message(struct tls13 *tls, unsigned type)
{
    switch (tls->state) {
    case TLS13_SERVER_HELLO:
    case TLS13_RETRY: server_hello_begin(tls); return;
    case TLS13_EXTENSIONS:
        if (type == ENCRYPTED_EXTENSIONS) {
            extensions_begin(tls);
            return;
        }
        break;
    case TLS13_REQUEST:
        if (type == CERTIFICATE_REQUEST) {
            request_begin(tls);
            return;
        } /* fall through */
    case TLS13_CERTIFICATE:
        if (type == CERTIFICATE) {
            certificate_begin(tls);
            return;
        }
        break;
    case TLS13_VERIFY:
        if (type == CERTIFICATE_VERIFY) {
            verify_begin(tls);
            return;
        }
        break;
    case TLS13_FINISHED:
        if (type == FINISHED) {
            finished_begin(tls);
            return;
        }
        break;
    case TLS13_OPEN: after_begin(tls, type); return;
    default: break;
    }
    tls13_fail(tls, BR_ERR_UNEXPECTED);
}

/* What signs or seals the transcript does so without itself. */
static void take_header(struct tls13 *tls)
{
    struct tls13_reader *reader = &tls->reader;
    unsigned type = reader->item[0];

    reader->left = get24(reader->item + 1);
    reader->hashing = tls->state > TLS13_RETRY && tls->state < TLS13_OPEN;
    if (tls->state == TLS13_VERIFY || tls->state == TLS13_FINISHED)
        schedule_transcript(tls, tls->before);
    if (reader->hashing)
        br_multihash_update(&tls->engine->mhash, reader->item, HEADER_SIZE);
    reader->have = 0;
    begin_message(tls, type);
}

/* Takes bytes of the part in hand: how many. */
static size_t take_part(struct tls13_reader *reader, struct tls13 *tls, const uint8_t *data,
                        size_t len)
{
    size_t most = reader->pass > 0 ? reader->pass : (size_t)(reader->want - reader->have);
    size_t n = len < most ? len : most;

    if (reader->pass > 0) {
        if (reader->sink)
            reader->sink(tls, data, n);
        reader->pass -= (uint32_t)n;
    } else {
        memcpy(reader->item + reader->have, data, n);
        reader->have = (uint16_t)(reader->have + n);
    }
    if (reader->then) {
        reader->left -= (uint32_t)n;
        if (reader->hashing)
            br_multihash_update(&tls->engine->mhash, data, n);
    }
    return n;
}

void reader_feed(struct tls13 *tls)
{
    struct tls13_reader *reader = &tls->reader;
    br_ssl_engine_context *engine = tls->engine;
    size_t n;

    if (!reader->then && reader->want == 0)
        reader->want = HEADER_SIZE;
    n = take_part(reader, tls, engine->hbuf_in, engine->hlen_in);
    engine->hbuf_in += n;
    engine->hlen_in -= n;
    if (reader->pass > 0 || reader->have < reader->want)
        return;
    if (reader->then)
        reader->then(tls);
    else
        take_header(tls);
}
