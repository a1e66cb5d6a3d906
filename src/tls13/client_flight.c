/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "tls13/impl.h"

enum step { CHAIN, LENGTH, DER, EXTENSIONS, PROOF, END, DONE };

static void set_part(struct tls13_writer *writer, const uint8_t *part, size_t len, enum step next)
{
    writer->part = part;
    writer->len = len;
    writer->at = 0;
    writer->step = (uint8_t)next;
}

/* Certificate (4.4.2): its head, with an empty context. */
static void make_chain_head(struct tls13 *tls)
{
    struct tls13_writer *writer = &tls->writer;
    size_t i, len = 0;

    for (i = 0; i < tls->chain_count; i++)
        len += 3 + tls->chain[i].data_len + 2;
    writer->scratch[0] = CERTIFICATE;
    put24(writer->scratch + 1, 1 + 3 + len);
    writer->scratch[4] = 0;
    put24(writer->scratch + 5, len);
    set_part(writer, writer->scratch, 8, LENGTH);
}

static void make_proof(struct tls13 *tls)
{
    struct tls13_writer *writer = &tls->writer;
    uint8_t transcript[TLS13_HASH_MAX], digest[64];
    size_t hash_len, len = 0;

    schedule_transcript(tls, transcript);
    hash_len =
        proof_digest(tls, tls->scheme, "TLS 1.3, client CertificateVerify", transcript, digest);
    if (hash_len > 0)
        len = (*tls->owner)->sign(tls->owner, tls->scheme, digest, hash_len, writer->scratch + 8);
    if (len == 0) {
        tls13_fail(tls, BR_ERR_INVALID_ALGORITHM);
        return;
    }
    writer->scratch[0] = CERTIFICATE_VERIFY;
    put24(writer->scratch + 1, 4 + len);
    put16(writer->scratch + 4, tls->scheme);
    put16(writer->scratch + 6, len);
    set_part(writer, writer->scratch, 8 + len, END);
}

static void make_finished(struct tls13 *tls)
{
    struct tls13_writer *writer = &tls->writer;
    uint8_t transcript[TLS13_HASH_MAX];

    schedule_transcript(tls, transcript);
    writer->scratch[0] = FINISHED;
    put24(writer->scratch + 1, tls->hash_len);
    schedule_finished(tls, tls->ours, transcript, writer->scratch + HEADER_SIZE);
    set_part(writer, writer->scratch, (size_t)HEADER_SIZE + tls->hash_len, DONE);
}

/* The next part of our flight, which the transcript takes in before the one behind it is made. */
static void make_part(struct tls13 *tls)
{
    static const uint8_t none[2];
    struct tls13_writer *writer = &tls->writer;
    const br_x509_certificate *certificate = &tls->chain[writer->certificate];

    if (writer->step == CHAIN && !tls->requested)
        writer->step = END;
    if (writer->step == LENGTH && writer->certificate == tls->chain_count)
        writer->step = tls->scheme ? PROOF : END;
    switch (writer->step) {
    case CHAIN: make_chain_head(tls); break;
    case LENGTH:
        put24(writer->scratch, certificate->data_len);
        set_part(writer, writer->scratch, 3, DER);
        break;
    case DER: set_part(writer, certificate->data, certificate->data_len, EXTENSIONS); break;
    case EXTENSIONS:
        set_part(writer, none, sizeof none, LENGTH);
        writer->certificate++;
        break;
    case PROOF: make_proof(tls); break;
    default: make_finished(tls); break;
    }
    if (br_ssl_engine_last_error(tls->engine) == BR_ERR_OK)
        br_multihash_update(&tls->engine->mhash, writer->part, writer->len);
}

/* As much as a record takes. */
static void write_part(struct tls13 *tls)
{
    struct tls13_writer *writer = &tls->writer;
    br_ssl_engine_context *engine = tls->engine;
    size_t n = writer->len - writer->at;

    if (n > engine->hlen_out)
        n = engine->hlen_out;
    memcpy(engine->hbuf_out, writer->part + writer->at, n);
    engine->hbuf_out += n;
    engine->hlen_out -= n;
    writer->at += n;
    if (engine->hlen_out == 0)
        br_ssl_engine_flush_record(engine);
}

/* The last record of the handshake is made, if not sent: the keys change. */
static void change_keys(struct tls13 *tls)
{
    br_ssl_engine_flush_record(tls->engine);
    if (tls->ticket)
        schedule_resumption(tls);
    record_keys_out(tls, tls->next_ours);
    memcpy(tls->ours, tls->next_ours, sizeof tls->ours);
    wipe(tls->next_ours, sizeof tls->next_ours);
    wipe(tls->secret, sizeof tls->secret);
    wipe(&tls->writer, sizeof tls->writer);
    tls->writer = (struct tls13_writer){.step = DONE};
}

static void write_flight(struct tls13 *tls)
{
    br_ssl_engine_context *engine = tls->engine;
    struct tls13_writer *writer = &tls->writer;

    if (writer->step == DONE && writer->len == 0) { /* and sent */
        tls->state = TLS13_OPEN;
        engine->application_data = 1;
        engine->record_type_out = APPLICATION_DATA;
        return;
    }
    engine->record_type_out = HANDSHAKE;
    while (engine->hlen_out > 0 && br_ssl_engine_last_error(engine) == BR_ERR_OK) {
        if (writer->at < writer->len)
            write_part(tls);
        else if (writer->step != DONE)
            make_part(tls);
        else {
            change_keys(tls);
            return;
        }
    }
}

static void write_record(struct tls13 *tls, unsigned type, const uint8_t *data, size_t len)
{
    br_ssl_engine_context *engine = tls->engine;

    engine->record_type_out = (uint8_t)type;
    memcpy(engine->hbuf_out, data, len);
    engine->hbuf_out += len;
    engine->hlen_out -= len;
    br_ssl_engine_flush_record(engine);
}

static void write_due(struct tls13 *tls)
{
    static const uint8_t change[] = {1}, close[] = {1, CLOSE_NOTIFY};

    if (tls->change_due) {
        write_record(tls, CHANGE_CIPHER_SPEC, change, sizeof change);
        if (!tls->hello_due)
            record_keys_out(tls, tls->ours);
        tls->change_due = false;
    } else if (tls->hello_due) {
        client_hello_again(tls);
    } else if (tls->close_due) {
        write_record(tls, ALERT, close, sizeof close);
        tls->close_due = false;
    } else if (tls->update_due) {
        static const uint8_t message[] = {KEY_UPDATE, 0, 0, 1, 0};

        /* Section 4.6.3: under the old keys still. */
        write_record(tls, HANDSHAKE, message, sizeof message);
        schedule_update(tls, tls->ours);
        record_keys_out(tls, tls->ours);
        tls->update_due = false;
    } else if (tls->state == TLS13_FLIGHT) {
        write_flight(tls);
    } else if (tls->state == TLS13_CLOSING) {
        tls13_fail(tls, BR_ERR_OK); /* theirs came and ours is out */
    } else {
        tls->engine->record_type_out = APPLICATION_DATA;
    }
}

static bool is_due(const struct tls13 *tls)
{
    if (tls->state == TLS13_OPEN && tls->engine->record_type_out != APPLICATION_DATA)
        return true;
    return tls->change_due || tls->hello_due || tls->close_due || tls->update_due ||
           tls->state == TLS13_FLIGHT || (tls->state == TLS13_CLOSING && tls->closed);
}

static bool has_room(const br_ssl_engine_context *engine)
{
    return engine->hbuf_out && engine->hlen_out > 0;
}

bool flight_write(struct tls13 *tls)
{
    br_ssl_engine_context *engine = tls->engine;

    if (!is_due(tls))
        return false;
    if (engine->hbuf_out && engine->hlen_out == 0)
        br_ssl_engine_flush_record(engine); /* what the application has gathered goes first */
    if (has_room(engine))
        write_due(tls);
    else if (engine->record_type_out == APPLICATION_DATA)
        engine->record_type_out = HANDSHAKE; /* so that we are called when there is room */
    return (is_due(tls) && has_room(engine)) ||
           (tls->state == TLS13_OPEN && engine->hlen_in > 0); /* came before ours was out */
}
