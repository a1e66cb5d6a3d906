/* SPDX-License-Identifier: Apache-2.0 */
#include "net/lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"

enum {
    PACE_MS = 1000,  /* of silence: then the next server is asked, or the same again */
    PACKETS_MAX = 16 /* read from one server at a time */
};

static const int families[LOOKUP_FAMILIES] = {AF_INET, AF_INET6};

static enum dns_said *said(struct lookup *lookup, const struct question *question, size_t server)
{
    return &lookup->resolved->servers[server].said[question - lookup->questions];
}

static bool denies(enum dns_said said)
{
    return said == DNS_NO_NAME || said == DNS_NO_ADDRESS;
}

/* A server has failed: it is the next one's turn, unless all have had theirs, or one family is
 * enough. */
static void fail_question(struct lookup *lookup, struct question *question, size_t server,
                          enum dns_said what)
{
    *said(lookup, question, server) = what;
    if (!question->awaits[server])
        return; /* it says the same again */
    question->awaits[server] = false;
    question->failures++;
    if (lookup->resolved->found.count > 0 ||
        question->failures >= lookup->conf->attempts * lookup->conf->count)
        question->open = false;
    else if (question->last == server)
        question->next = 0;
}

/* Takes a server's answer in; a family that has addresses gives the other one a little time. */
static void take_answer(struct lookup *lookup, struct question *question, size_t server,
                        enum dns_said what)
{
    const int64_t soon = clock_ms() + PACE_MS;

    if (what != DNS_FOUND && !denies(what)) {
        fail_question(lookup, question, server, what);
        return;
    }
    *said(lookup, question, server) = what;
    if (what != DNS_FOUND)
        return;
    question->open = false;
    if (lookup->end > soon)
        lookup->end = soon;
    question = &lookup->questions[question == lookup->questions];
    question->open &= question->failures == 0;
}

static bool wait_for(int fd, short events, int64_t until)
{
    struct pollfd poll_fd = {fd, events, 0};

    return poll(&poll_fd, 1, (int)clock_left(until)) > 0;
}

/* Sends all that is asked, and reads as much of the answer as fits: its length; 0: none came. */
static size_t exchange_stream(int fd, const struct question *question, uint8_t *out, int64_t until)
{
    uint8_t framed[2 + DNS_QUERY_MAX] = {(uint8_t)(question->len >> 8), (uint8_t)question->len};
    uint8_t header[2];
    size_t got = 0, want = sizeof header;
    ssize_t len;

    memcpy(framed + 2, question->packet, question->len);
    if (!wait_for(fd, POLLOUT, until) ||
        send(fd, framed, question->len + 2, MSG_NOSIGNAL) != (ssize_t)question->len + 2)
        return 0;
    while (got < want && wait_for(fd, POLLIN, until)) {
        len = got < sizeof header ? recv(fd, header + got, sizeof header - got, 0)
                                  : recv(fd, out + got - 2, want - got, 0);
        if (len <= 0)
            return 0;
        got += (size_t)len;
        if (got == sizeof header)
            want = got + ((size_t)header[0] << 8 | header[1]);
        if (want > sizeof header + DNS_MESSAGE_MAX)
            want = sizeof header + DNS_MESSAGE_MAX;
    }
    return got == want ? got - sizeof header : 0;
}

int lookup_socket(const struct name_server *server, int type)
{
    int fd = socket(server->address.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && connect(fd, &server->address.any, server->size) < 0 && errno != EINPROGRESS) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void log_lookup(const struct lookup *lookup)
{
    if (lookup->told)
        lookup->told(lookup->name, lookup->resolved);
}

/* Over TCP; what is known otherwise, of a cut answer by UDP, holds where that fails. */
static void ask_by_stream(struct lookup *lookup, struct question *question, size_t server,
                          enum dns_said otherwise)
{
    const struct bytes query = bytes_of(question->packet, question->len);
    const int64_t until = clock_ms() + lookup->patience;
    int fd = lookup_socket(&lookup->conf->servers[server], SOCK_STREAM);
    uint8_t answer[DNS_MESSAGE_MAX];
    size_t len = 0;

    *said(lookup, question, server) = otherwise;
    log_lookup(lookup);
    if (fd >= 0) {
        len = exchange_stream(fd, question, answer, until < lookup->end ? until : lookup->end);
        (void)close(fd);
    }
    if (len > 0 && dns_answers(bytes_of(answer, len), query))
        otherwise = dns_read(bytes_of(answer, len), families[question - lookup->questions],
                             &lookup->resolved->found);
    take_answer(lookup, question, server, otherwise);
}

/* Asks the server whose turn it is; one that has denied keeps to it. */
static void ask_server(struct lookup *lookup, struct question *question)
{
    const struct resolv_conf *conf = lookup->conf;
    const int64_t now = clock_ms();
    size_t server, passed = 0;

    do
        server = lookup->order[question->turn++ % conf->count];
    while (denies(*said(lookup, question, server)) && ++passed < conf->count);
    question->last = server;
    question->awaits[server] = true;
    question->next = now + PACE_MS;
    if (*said(lookup, question, server) == DNS_UNASKED) {
        *said(lookup, question, server) = DNS_SILENT;
        question->asked[server] = now;
    }
    if (conf->use_tcp) {
        ask_by_stream(lookup, question, server, DNS_SILENT);
        return;
    }
    if (lookup->fds[server] < 0)
        lookup->fds[server] = lookup_socket(&conf->servers[server], SOCK_DGRAM);
    if (lookup->fds[server] < 0 ||
        send(lookup->fds[server], question->packet, question->len, MSG_NOSIGNAL) < 0)
        fail_question(lookup, question, server, DNS_UNREACHABLE);
}

/* Gives a packet to the question that it answers, if any. */
static void sort(struct lookup *lookup, size_t server, struct bytes packet)
{
    struct dns_addresses *found = &lookup->resolved->found;
    struct question *question;
    size_t i;

    for (i = 0; i < LOOKUP_FAMILIES; i++) {
        enum dns_said what;

        question = &lookup->questions[i];
        if (!question->open || *said(lookup, question, server) == DNS_UNASKED ||
            !dns_answers(packet, bytes_of(question->packet, question->len)))
            continue;
        what = dns_read(packet, families[i], found);
        if (dns_is_cut(packet))
            ask_by_stream(lookup, question, server, what == DNS_FOUND ? what : DNS_CUT);
        else
            take_answer(lookup, question, server, what);
        return;
    }
}

/* Reads what a server sent; an error of its socket is about what was asked last. */
static void receive(struct lookup *lookup, size_t server)
{
    uint8_t packet[DNS_MESSAGE_MAX];
    ssize_t len = 0;
    size_t i;

    for (i = 0; i < PACKETS_MAX && len >= 0; i++) {
        len = recv(lookup->fds[server], packet, sizeof packet, 0);
        if (len > 0)
            sort(lookup, server, bytes_of(packet, (size_t)len));
    }
    if (len >= 0 || errno == EAGAIN || errno == EINTR)
        return;
    for (i = 0; i < LOOKUP_FAMILIES; i++)
        if (lookup->questions[i].open && lookup->questions[i].last == server &&
            *said(lookup, &lookup->questions[i], server) != DNS_UNASKED)
            fail_question(lookup, &lookup->questions[i], server, DNS_UNREACHABLE);
}

/* Whether a denial holds: each server before has failed, or had its time. */
static bool is_denied(struct lookup *lookup, struct question *question)
{
    size_t i;

    for (i = 0; i < lookup->conf->count; i++) {
        const size_t server = lookup->order[i];
        const enum dns_said what = *said(lookup, question, server);

        if (denies(what))
            return true;
        if (what == DNS_SILENT && clock_ms() - question->asked[server] < lookup->patience)
            return false;
    }
    return false;
}

/* Asks what is due. */
static void move(struct lookup *lookup)
{
    size_t i;

    for (i = 0; i < LOOKUP_FAMILIES; i++) {
        struct question *question = &lookup->questions[i];

        if (question->open && is_denied(lookup, question))
            question->open = false;
        while (question->open && question->next <= clock_ms())
            ask_server(lookup, question);
    }
}

/* Waits for an answer, or until something is due. */
static void wait_all(struct lookup *lookup)
{
    struct pollfd fds[RESOLV_CONF_SERVERS];
    int64_t until = lookup->end;
    size_t i;

    for (i = 0; i < LOOKUP_FAMILIES; i++)
        if (lookup->questions[i].open && lookup->questions[i].next < until)
            until = lookup->questions[i].next;
    for (i = 0; i < lookup->conf->count; i++)
        fds[i] = (struct pollfd){lookup->fds[i], POLLIN, 0};
    if (poll(fds, (nfds_t)lookup->conf->count, (int)clock_left(until)) <= 0)
        return;
    for (i = 0; i < lookup->conf->count; i++)
        if (fds[i].revents)
            receive(lookup, i);
}

static void begin_lookup(struct lookup *lookup, const char *name)
{
    struct resolved *resolved = lookup->resolved;
    const struct resolv_conf *conf = lookup->conf;
    size_t i, dead, count = 0;

    (void)snprintf(resolved->name, sizeof resolved->name, "%s", name);
    resolved->server_count = conf->count;
    resolved->by_default = conf->silent;
    memset(resolved->servers, 0, sizeof resolved->servers);
    for (i = 0; i < conf->count; i++) {
        memcpy(resolved->servers[i].text, conf->servers[i].text, RESOLV_CONF_ADDRESS);
        lookup->fds[i] = -1;
    }
    /* Those that were not silent so far come first. */
    for (dead = 0; dead < 2; dead++)
        for (i = 0; i < conf->count; i++)
            if (lookup->dead[i] == dead)
                lookup->order[count++] = i;
}

/* Notes who was silent for too long, and closes all. */
static void end(struct lookup *lookup)
{
    const int64_t now = clock_ms();
    size_t i, j;

    for (i = 0; i < lookup->conf->count; i++) {
        for (j = 0; j < LOOKUP_FAMILIES; j++) {
            const struct question *question = &lookup->questions[j];

            lookup->dead[i] |= *said(lookup, question, i) == DNS_SILENT &&
                               now - question->asked[i] >= lookup->patience;
        }
        if (lookup->fds[i] >= 0)
            (void)close(lookup->fds[i]);
    }
    log_lookup(lookup);
}

bool lookup_ask(struct lookup *lookup, const char *name, int family, int64_t ms)
{
    uint16_t ids[LOOKUP_FAMILIES];
    size_t i;

    random_bytes(ids, sizeof ids);
    memset(lookup->questions, 0, sizeof lookup->questions);
    for (i = 0; i < LOOKUP_FAMILIES; i++) {
        struct question *question = &lookup->questions[i];

        question->len = dns_ask(question->packet, ids[i], name, families[i]);
        if (question->len == 0)
            return false;
        question->open = family == AF_UNSPEC || family == families[i];
    }
    lookup->end = clock_ms() + ms;
    begin_lookup(lookup, name);
    move(lookup);
    while ((lookup->questions[0].open || lookup->questions[1].open) && clock_ms() < lookup->end) {
        wait_all(lookup);
        log_lookup(lookup);
        move(lookup);
    }
    end(lookup);
    return true;
}
