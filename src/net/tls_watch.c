/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "net/tls_impl.h"

/* RFC 5246 section 6.2.1 */
enum {
    CHANGE_CIPHER_SPEC = 20,
    ALERT = 21,
    HANDSHAKE = 22,
    APPLICATION_DATA = 23,
    HEADER_SIZE = 5
};

static struct tls_session *of_watch(const br_ssl_watch_class **class)
{
    return (struct tls_session *)(void *)((char *)class - offsetof(struct tls_session, watch));
}

/*
 * Empty records, alerts that end nothing, ChangeCipherSpecs, and handshakes after the first one
 * move nothing on. So do HelloRequests within the handshake, which its bound on bytes covers.
 */
static bool carries_nothing(const struct tls_watch *watched, int type, size_t len)
{
    return len == 0 || type == ALERT || type == CHANGE_CIPHER_SPEC ||
           (watched->connected && type == HANDSHAKE);
}

static int received(const br_ssl_watch_class **class, int type, size_t len)
{
    struct tls_session *session = of_watch(class);
    struct tls_watch *watched = &session->watched;

    session->record.spoke = true;
    if (watched->connected && type == HANDSHAKE && tls13_chosen(&session->tls13))
        session->record.passed = true;
    else if (watched->connected && type == HANDSHAKE)
        session->record.renegotiation = true;
    if (type == ALERT)
        session->record.authenticated = session->tls13.proven;
    if (type == APPLICATION_DATA && len > 0)
        session->record.answered = true;
    if (carries_nothing(watched, type, len) && ++watched->nothing > TLS_NOTHING_MAX)
        return BR_ERR_NO_PROGRESS;
    if (watched->connected) {
        watched->answer += len;
        return watched->answer_max && watched->answer > watched->answer_max ? BR_ERR_NO_PROGRESS
                                                                            : 0;
    }
    watched->handshake += HEADER_SIZE + len;
    return watched->handshake > TLS_HANDSHAKE_MAX ? BR_ERR_NO_PROGRESS : 0;
}

/* The first handshake record after the certificate was chosen begins with it. */
static void sent(const br_ssl_watch_class **class, int type)
{
    struct tls_record *record = &of_watch(class)->record;

    if (type == HANDSHAKE && record->certificate_sent)
        record->certificate_left = true;
}

void tls_session_bound(struct tls_session *session, size_t answer_max)
{
    session->watched.answer_max = answer_max;
}

const br_ssl_watch_class tls_watch_class = {received, sent};
