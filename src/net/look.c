/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/tcp.h> /* newer than a C library's */
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "net/exchange.h"

/*
 * Whether libcurl itself has something to do at once: one of them has bytes that were read and not
 * yet looked at, and nobody knows which.
 */
static bool has_work(struct http *http)
{
    long ms = -1;

    return curl_multi_timeout(http->multi, &ms) == CURLM_OK && ms == 0;
}

/* Asks the kernel which of those in flight have something for us: EXCHANGE_SOCKETS of each. */
static void ask_kernel(const struct http *http, struct pollfd *sockets)
{
    const struct exchange *exchange;
    nfds_t n = 0;
    size_t i;

    for (exchange = http->flying; exchange; exchange = exchange->next)
        for (i = 0; i < EXCHANGE_SOCKETS; i++)
            sockets[n++] = (struct pollfd){
                .fd = exchange->sockets[i],
                .events = exchange->response.stage < HTTP_STAGE_TLS ? POLLIN | POLLOUT : POLLIN,
            };
    if (poll(sockets, n, 0) < 0)
        memset(sockets, 0, n * sizeof *sockets);
}

/* How much has come from the peer; libcurl may have taken it between two looks. */
static uint64_t received(const struct exchange *exchange)
{
    struct tcp_info info;
    uint64_t bytes = 0;
    size_t i;

    for (i = 0; i < EXCHANGE_SOCKETS; i++) {
        socklen_t len = sizeof info;

        memset(&info, 0, sizeof info);
        if (exchange->sockets[i] >= 0 &&
            getsockopt(exchange->sockets[i], IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
            bytes += info.tcpi_bytes_received;
    }
    return bytes;
}

/* Whether anything has come since the last look: bytes, or a connection. */
static bool has_moved(struct exchange *exchange)
{
    const uint64_t bytes = received(exchange);
    const bool moved =
        bytes != exchange->received || exchange->response.stage != exchange->stage_seen;

    exchange->received = bytes;
    exchange->stage_seen = exchange->response.stage;
    return moved;
}

/* A look-up has no socket to be looked at. */
void http_look(struct http *http)
{
    struct pollfd sockets[HTTP_FLYING_MAX * EXCHANGE_SOCKETS];
    const struct pollfd *socket = sockets;
    const int64_t now = clock_ms();
    const bool work = has_work(http);
    struct exchange *exchange;
    size_t i;

    ask_kernel(http, sockets);
    for (exchange = http->flying; exchange; exchange = exchange->next) {
        const bool unknown = work || exchange->response.stage == HTTP_STAGE_DNS;
        bool come = has_moved(exchange);

        for (i = 0; i < EXCHANGE_SOCKETS; i++)
            come = (socket++->revents & ~POLLNVAL) != 0 || come;
        pace_look(&exchange->pace, now,
                  come      ? PACE_SOMETHING
                  : unknown ? PACE_UNKNOWN
                            : PACE_NOTHING);
        exchange_allow(exchange);
    }
}
