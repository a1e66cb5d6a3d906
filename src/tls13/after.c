/* SPDX-License-Identifier: Apache-2.0 */
#include "tls13/impl.h"

/* A NewSessionTicket (4.6.1): not used. */
static void ticket_end(struct tls13 *tls)
{
    reader_end(tls);
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
        reader_pass(tls, tls->reader.left, NULL, ticket_end);
    else if (type == KEY_UPDATE)
        reader_whole(tls, read_update);
    else
        tls13_fail(tls, BR_ERR_UNEXPECTED);
}
