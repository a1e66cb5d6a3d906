/* SPDX-License-Identifier: Apache-2.0 */
#include "tls13/tls13.h"

#include <string.h>

#include "base/arena.h"
#include "tls13/impl.h"

void tls13_fail(struct tls13 *tls, int error)
{
    br_ssl_engine_fail(tls->engine, error);
}

static void begin_closing(struct tls13 *tls)
{
    if (tls->state == TLS13_CLOSING)
        return;
    /* What still comes is passed over until their close_notify does. */
    tls->engine->application_data = tls->state == TLS13_OPEN && !tls->closed ? 2 : 0;
    tls->state = TLS13_CLOSING;
    tls->close_due = true;
}

/* Section 6: all alerts but two are fatal, whatever their level. */
static void take_alert(struct tls13 *tls)
{
    br_ssl_engine_context *engine = tls->engine;

    while (engine->hlen_in > 0 && tls->alert_len < sizeof tls->alert) {
        tls->alert[tls->alert_len++] = *engine->hbuf_in++;
        engine->hlen_in--;
    }
    if (engine->incrypt && (tls->alert_len < sizeof tls->alert || engine->hlen_in > 0)) {
        tls13_fail(tls, BR_ERR_BAD_ALERT);
        return;
    }
    if (tls->alert_len < sizeof tls->alert)
        return;
    tls->alert_len = 0;
    if (tls->alert[1] == CLOSE_NOTIFY) {
        tls->closed = true;
        engine->shutdown_recv = 1;
        begin_closing(tls);
    } else if (tls->alert[1] != USER_CANCELED) {
        tls13_fail(tls, BR_ERR_RECV_FATAL_ALERT + tls->alert[1]);
    }
}

/* ChangeCipherSpecs are there for middleboxes alone (D.4). */
static void take_change(struct tls13 *tls)
{
    br_ssl_engine_context *engine = tls->engine;

    if (engine->hlen_in != 1 || *engine->hbuf_in != 1 || !br_ssl_engine_recvrec_finished(engine))
        tls13_fail(tls, BR_ERR_UNEXPECTED);
    engine->hbuf_in += engine->hlen_in;
    engine->hlen_in = 0;
}

/* Takes in some of what has come: whether it did. */
static bool read_input(struct tls13 *tls)
{
    br_ssl_engine_context *engine = tls->engine;

    if (engine->hlen_in == 0)
        return false;
    if (tls->state == TLS13_SERVER_HELLO && engine->record_type_in != HANDSHAKE) {
        br_ssl_engine_run_handshake(engine);
        if (engine->shutdown_recv)
            tls->state = TLS13_LEGACY; /* their close_notify came: BearSSL ends it */
        return false;
    }
    if (engine->record_type_in != HANDSHAKE && reader_within(tls)) {
        tls13_fail(tls, BR_ERR_UNEXPECTED);
        return false;
    }
    switch (engine->record_type_in) {
    case CHANGE_CIPHER_SPEC: take_change(tls); return true;
    case ALERT: take_alert(tls); return true;
    case HANDSHAKE:
        if (tls->state == TLS13_FLIGHT || tls->hello_due)
            return false; /* not before ours is out */
        if (tls->state == TLS13_CLOSING)
            engine->hlen_in = 0;
        else
            reader_feed(tls);
        return true;
    default: tls13_fail(tls, BR_ERR_UNEXPECTED); return false;
    }
}

/* All of the handshake, and what comes after it, whenever there is something to read or room. */
static void run(const br_ssl_handshake_class **class, br_ssl_engine_context *engine)
{
    struct tls13 *tls = (struct tls13 *)(void *)class;
    bool moved;

    if (tls->state == TLS13_SERVER_HELLO && engine->action != 0)
        tls->state = TLS13_LEGACY; /* closed before the server has chosen */
    if (tls->state == TLS13_BEGIN || tls->state == TLS13_LEGACY) {
        br_ssl_engine_run_handshake(engine);
        return;
    }
    if (engine->action == 1)
        begin_closing(tls);
    do {
        moved = read_input(tls);
        if (tls->state == TLS13_LEGACY || br_ssl_engine_current_state(engine) == BR_SSL_CLOSED)
            return;
        moved |= flight_write(tls);
    } while (moved && br_ssl_engine_current_state(engine) != BR_SSL_CLOSED);
}

static void flush(const br_ssl_handshake_class **class, br_ssl_engine_context *engine)
{
    struct tls13 *tls = (struct tls13 *)(void *)class;

    if (tls->state != TLS13_BEGIN || engine->hbuf_out == engine->saved_hbuf_out)
        return;
    tls->state = TLS13_SERVER_HELLO;
    client_hello_extend(tls);
}

static const br_ssl_handshake_class handshake_class = {run, flush};

void tls13_attach(struct tls13 *tls, br_ssl_engine_context *engine, const tls13_owner_class **owner,
                  bool only)
{
    *tls = (struct tls13){0};
    tls->handshake = &handshake_class;
    tls->engine = engine;
    tls->owner = owner;
    tls->only = only;
    br_ssl_engine_set_handshake(engine, &tls->handshake);
}

void tls13_offer(struct tls13 *tls, const struct tls13_psk *psk, const uint8_t *ticket, size_t len)
{
    if (!schedule_suite(tls, psk->suite) || len == 0)
        return;
    tls->psk = *psk;
    tls->offered = ticket;
    tls->offered_len = len;
    schedule_begin(tls, psk->key);
    wipe(tls->psk.key, sizeof tls->psk.key);
}

void tls13_collect(struct tls13 *tls, uint8_t *room)
{
    tls->ticket = room;
}

size_t tls13_ticket(const struct tls13 *tls, struct tls13_psk *psk)
{
    if (!tls->ticket_whole)
        return 0;
    *psk = tls->psk;
    return tls->ticket_len;
}

bool tls13_resumed(const struct tls13 *tls)
{
    return tls->resumed;
}

bool tls13_chosen(const struct tls13 *tls)
{
    return tls->state > TLS13_RETRY;
}
