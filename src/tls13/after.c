/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "tls13/impl.h"

/* ---- NewSessionTicket (4.6.1): the last one that has room counts */

enum { WEEK_S = 7 * 24 * 3600 };

static void ticket_end(struct tls13 *tls)
{
    tls->ticket_whole = tls->ticket_len > 0 && tls->psk.lifetime_s > 0;
    reader_end(tls);
}

static void ticket_extensions(struct tls13 *tls)
{
    if (get16(tls->reader.item) != tls->reader.left)
        tls13_fail(tls, BR_ERR_BAD_HANDSHAKE);
    else
        reader_pass(tls, tls->reader.left, NULL, ticket_end); /* early data's, which we do not do */
}

static void ticket_extensions_length(struct tls13 *tls)
{
    reader_want(tls, 2, ticket_extensions);
}

static void ticket_append(struct tls13 *tls, const uint8_t *data, size_t len)
{
    memcpy(tls->ticket + tls->ticket_len, data, len);
    tls->ticket_len += len;
}

static void ticket_length(struct tls13 *tls)
{
    size_t len = get16(tls->reader.item);

    tls->ticket_len = 0;
    if (len == 0)
        tls13_fail(tls, BR_ERR_BAD_HANDSHAKE);
    else
        reader_pass(tls, len, tls->ticket && len <= TLS13_TICKET_MAX ? ticket_append : NULL,
                    ticket_extensions_length);
}

static void ticket_nonce(struct tls13 *tls)
{
    if (tls->ticket)
        schedule_ticket(tls, tls->reader.item, tls->reader.have, tls->psk.key);
    reader_want(tls, 2, ticket_length);
}

static void ticket_head(struct tls13 *tls)
{
    struct view head = {tls->reader.item, tls->reader.have, false};
    struct tls13_psk *psk = &tls->psk;

    tls->ticket_whole = false;
    psk->lifetime_s = view_number(&head, 4);
    if (psk->lifetime_s > WEEK_S)
        psk->lifetime_s = WEEK_S;
    psk->age_add = view_number(&head, 4);
    psk->came_ms = clock_ms();
    psk->suite = tls->suite;
    reader_want(tls, head.data[0], ticket_nonce);
}

static void read_update(struct tls13 *tls)
{
    unsigned asks = tls->reader.item[HEADER_SIZE];

    if (tls->reader.have != HEADER_SIZE + 1) {
        tls13_fail(tls, BR_ERR_BAD_HANDSHAKE);
        return;
    }
    reader_end(tls);
    if (asks > 1) {
        tls13_fail(tls, BR_ERR_INVALID_ALGORITHM);
        return;
    }
    if (tls->engine->hlen_in > 0) {
        tls13_fail(tls, BR_ERR_UNEXPECTED); /* nothing may follow under the old keys */
        return;
    }
    schedule_update(tls, tls->theirs);
    record_keys_in(tls, tls->theirs);
    if (asks)
        tls->update_due = true;
}

/* We have not offered to send certificates after the handshake. */
void after_begin(struct tls13 *tls, unsigned type)
{
    if (type == NEW_SESSION_TICKET)
        reader_want(tls, 9, ticket_head);
    else if (type == KEY_UPDATE)
        reader_whole(tls, read_update);
    else
        tls13_fail(tls, BR_ERR_UNEXPECTED);
}
