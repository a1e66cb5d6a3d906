/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl and all around it against a hostile server: bytes of choices for the client (client.h),
 * the server (peer.h) and the exchange, how many changes to the handshake, the changes, and what
 * the server says: a proxy's answer first where there is one, then HTTP. libcurl's socket is one
 * end of a pair, and the server moves when libcurl waits.
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "config/config.h"
#include "enclave/probe.h"
#include "fuzz.h"
#include "identity/identity.h"
#include "net/http.h"
#include "peer.h"

enum { PLAIN = 1, PROXY = 2, PROBE = 4, SMALL = 8, REUSE = 16, SILENT_MAX = 3 };

/* The server's side of the connection. */
static struct {
    int fd; /* -1: none */
    unsigned choices, kind, how;
    struct bytes changes, text; /* what it is to say */
    struct bytes said;          /* and what is left of it, in the clear */
    bool tunnel;                /* a proxy's answer was sent */
    unsigned silent;            /* how often it had nothing to do */
    struct peer peer;
} server = {.fd = -1};

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *len);
int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *len);
CURLMcode __real_curl_multi_poll(CURLM *multi, struct curl_waitfd *fds, unsigned count, int ms,
                                 int *ready);
CURLMcode __wrap_curl_multi_poll(CURLM *multi, struct curl_waitfd *fds, unsigned count, int ms,
                                 int *ready);

static void hang_up(void)
{
    if (server.fd >= 0)
        (void)close(server.fd);
    server.fd = -1;
}

/* A connection begins. */
int __wrap_socket(int family, int type, int protocol)
{
    int ends[2];

    if (!(type & SOCK_STREAM) || type & SOCK_DGRAM)
        return __real_socket(family, type, protocol);
    hang_up();
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    server.fd = ends[1];
    server.tunnel = false;
    server.silent = 0;
    server.said = server.text;
    if (!(server.how & PLAIN)) {
        struct bytes text = server.text;

        if (server.how & PROXY)
            server.said = fuzz_part(&text);
        peer_open(&server.peer, server.kind, server.choices, server.changes, text);
    }
    return ends[0];
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    (void)fd, (void)address, (void)len;
    return 0;
}

int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *len)
{
    const struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(443)};

    (void)fd;
    memcpy(address, &name, sizeof name < *len ? sizeof name : *len);
    *len = sizeof name;
    return 0;
}

int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *len)
{
    return __wrap_getpeername(fd, address, len);
}

/* Says what is left in the clear, once somebody has asked. */
static size_t speak(void)
{
    ssize_t n = send(server.fd, server.said.data, server.said.len, MSG_NOSIGNAL);

    if (n <= 0)
        return 0;
    server.said = bytes_of(server.said.data + n, server.said.len - (size_t)n);
    return (size_t)n;
}

static size_t move_clear(void)
{
    char request[4096];
    ssize_t n = read(server.fd, request, sizeof request);

    if (n > 0)
        server.tunnel = true;
    if (server.tunnel && server.said.len > 0)
        return speak();
    return n > 0 ? (size_t)n : 0;
}

static size_t move_tls(void)
{
    uint8_t data[4096];
    struct bytes given;
    ssize_t n = recv(server.fd, data, sizeof data, MSG_PEEK);
    size_t moved = 0;

    if (n > 0)
        moved = peer_take(&server.peer, data, (size_t)n);
    if (moved > 0)
        FUZZ_CHECK(read(server.fd, data, moved) == (ssize_t)moved);
    given = peer_give(&server.peer);
    n = given.len ? send(server.fd, given.data, given.len, MSG_NOSIGNAL) : 0;
    if (n <= 0)
        return moved;
    peer_sent(&server.peer, (size_t)n);
    return moved + (size_t)n;
}

/* Where the server has no more to say, it hangs up. */
static void move(void)
{
    const bool clear =
        server.how & PLAIN || (server.how & PROXY && (server.said.len > 0 || !server.tunnel));

    if (server.fd < 0)
        return;
    server.silent = (clear ? move_clear() : move_tls()) > 0 ? 0 : server.silent + 1;
    if (server.silent > SILENT_MAX)
        hang_up();
}

CURLMcode __wrap_curl_multi_poll(CURLM *multi, struct curl_waitfd *fds, unsigned count, int ms,
                                 int *ready)
{
    (void)ms;
    move();
    return __real_curl_multi_poll(multi, fds, count, 0, ready);
}

static void check_response(const struct http_response *response)
{
    FUZZ_CHECK((unsigned)response->result <= HTTP_FAILED);
    FUZZ_CHECK(*http_result_text(response->result));
    FUZZ_CHECK(memchr(response->error_type, '\0', sizeof response->error_type));
    FUZZ_CHECK(memchr(response->date, '\0', sizeof response->date));
    FUZZ_CHECK(memchr(response->cause, '\0', sizeof response->cause));
    FUZZ_CHECK(response->body.max == 0 || response->body.len <= response->body.max);
    FUZZ_CHECK(response->result != HTTP_ANSWERED || response->stage == HTTP_STAGE_ANSWER);
    /* Nobody answers who was not believed. */
    FUZZ_CHECK(response->result != HTTP_ANSWERED || server.how & PLAIN || response->tls.verified);
}

/* Only of who was believed, or sends no certificate since a session is resumed. */
static const char *choose(void *note, struct bytes leaf, size_t *body_max)
{
    FUZZ_CHECK(note && (!leaf.data || leaf.len > 0));
    *body_max = 16;
    return leaf.len % 2 ? NULL : "/chosen?by=leaf";
}

static void take_first(void *note, const struct http_response *response)
{
    FUZZ_CHECK(note && response->result == HTTP_ANSWERED && response->status >= 200);
    check_response(response);
}

static void request(const struct tls_policy *policy, struct tls_cache *sessions)
{
    const bool plain = server.how & PLAIN;
    const struct http_header header = {"X-Test", "yes"};
    const struct http_proxy proxy = {.url = "http://127.0.0.1:3128",
                                     .password = "user:pass%20word"};
    const struct http_request one = {
        .method = plain ? "POST" : "GET",
        .url = plain ? "http://127.0.0.1/path" : "https://" CLIENT_SERVER "/path",
        .headers = &header,
        .header_count = 1,
        .body = plain ? bytes_of_text("{}") : bytes_of(NULL, 0),
        .tls = plain ? NULL : policy,
        .proxy = !plain && server.how & PROXY ? &proxy : NULL,
        .sessions = sessions,
        .connect_to = server.how & PROXY ? NULL : "127.0.0.1:443",
        .path = server.how & SMALL ? choose : NULL,
        .between = server.how & REUSE ? NULL : take_first,
        .body_max = server.how & SMALL ? 16 : 10000,
        .connect_ms = 5000,
        .total_ms = 10000,
        .deadline = 1000000 + 10000,
    };
    struct http_response response;
    struct http *http;
    struct err err;

    fuzz_err_open(&err);
    http = http_new(server.how & REUSE, &err);
    if (!http) {
        fuzz_err_check(&err);
        return;
    }
    if (fuzz_result(http_perform(http, &one, &response, 1, &err), &err) == 0)
        check_response(&response);
    http_response_free(&response);
    http_free(http);
}

static void probe(const struct tls_policy *policy, struct tls_cache *sessions)
{
    const struct endpoint endpoint = {
        .text = CLIENT_SERVER ":443", .name = CLIENT_SERVER, .address = "127.0.0.1", .port = 443};
    const struct config config = {.health_path = "/health",
                                  .attest = server.how & REUSE ? ATTEST_REPORT : ATTEST_OFF,
                                  .attest_profile = ATTEST_NITRIDING_DAEMON,
                                  .allow_cn = policy->allow_cn,
                                  .compatible_suites = policy->compatible,
                                  .allow_not_mutual = server.how & SMALL};
    const struct probe_request request = {
        .config = &config,
        .endpoints = &endpoint,
        .count = 1,
        .identity = policy->identity ? policy->identity : peer_identity(0),
        .sessions = sessions,
        .parallel = 1,
        .body_max = 1000,
        .deadline = 1000000 + 10000,
    };
    struct probe probe = {0};
    struct err err;

    fuzz_err_open(&err);
    if (fuzz_result(probe_endpoints(&request, &probe, &err), &err) < 0)
        return;
    FUZZ_CHECK((unsigned)probe.verdict < PROBE_VERDICTS && *probe_verdict_name(probe.verdict));
    FUZZ_CHECK(probe.verdict == PROBE_ACCEPTED || probe.reason[0]);
}

void fuzz_begin(void)
{
    unsigned kind;
    struct err err;

    for (kind = 0; kind < PEER_KINDS; kind++)
        (void)peer_identity(kind);
    http_free(http_new(false, &err)); /* what libcurl keeps for good */
}

void fuzz(struct bytes input)
{
    const unsigned choices = fuzz_byte(&input);
    const struct tls_policy policy = client_policy(choices);
    struct tls_cache *sessions =
        choices & CLIENT_RESUMES ? tls_cache_new(TLS_CACHE_MAX, TLS_CACHE_EVERY) : NULL;
    size_t changes;

    peer_forget();
    server.choices = fuzz_byte(&input);
    server.kind = server.choices >> 4;
    server.how = fuzz_byte(&input);
    changes = fuzz_byte(&input) % 16 * 5;
    server.changes = bytes_of(input.data, changes < input.len ? changes : input.len);
    server.text = bytes_of(input.data + server.changes.len, input.len - server.changes.len);
    if (server.how & PROBE && !(server.how & (PLAIN | PROXY)))
        probe(&policy, sessions);
    else
        request(&policy, sessions);
    hang_up();
    tls_cache_free(sessions);
}
