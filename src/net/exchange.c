/* SPDX-License-Identifier: Apache-2.0 */
#include "net/exchange.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/secrecy.h"

/* The smallest that libcurl takes: its defaults cost 64 KiB of locked memory a transfer. */
enum { RECEIVE_BUFFER = 1024, UPLOAD_BUFFER = 16384 };

/* How much later than ours libcurl's clock of a connection ends. */
enum { LATER_MS = 1000 };

static void note_peer(struct http_response *response, const struct sockaddr *address)
{
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;
    char text[INET6_ADDRSTRLEN] = "";

    if (address->sa_family == AF_INET && inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text))
        (void)snprintf(response->peer, sizeof response->peer, "%s:%u", text, ntohs(v4->sin_port));
    if (address->sa_family == AF_INET6 && inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text))
        (void)snprintf(response->peer, sizeof response->peer, "[%s]:%u", text,
                       ntohs(v6->sin6_port));
}

/* Our own sockets: closed on exec, and never to an address that was not allowed. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct exchange *exchange = user;
    bool (*allowed)(const struct sockaddr *) = exchange->request.address_allowed;
    int fd;

    (void)purpose;
    if (exchange->turn == TURN_SECOND) /* it is for the first one's connection alone */
        return CURL_SOCKET_BAD;
    exchange->response.stage = HTTP_STAGE_TCP;
    note_peer(&exchange->response, &address->addr);
    if (allowed && !allowed(&address->addr)) {
        exchange->address_denied = true;
        return CURL_SOCKET_BAD;
    }
    fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            exchange->no_socket = errno;
        return CURL_SOCKET_BAD;
    }
    exchange->sockets[1] = exchange->sockets[0];
    exchange->sockets[0] = fd;
    if (exchange->session)
        tls_session_hold(exchange->session);
    return fd;
}

/* A connection may outlive its exchange, in the pool or while it is shut down. */
static int close_socket(void *session, curl_socket_t fd)
{
    tls_session_free(session);
    return close(fd);
}

bool exchange_take_place(struct exchange *exchange)
{
    struct places *places = exchange->places;

    if (exchange->has_place)
        return true;
    if (places->taken >= places->count)
        return false;
    places->taken++;
    exchange->has_place = true;
    return true;
}

static CURLcode hook(CURL *easy, void *context, void *user)
{
    struct exchange *exchange = user;

    if (!exchange_take_place(exchange)) {
        exchange->came_too_late = true;
        return CURLE_ABORTED_BY_CALLBACK;
    }
    exchange->response.stage = HTTP_STAGE_TLS;
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)INT_MAX);
    tls_hook(exchange->session, context);
    return CURLE_OK;
}

/* Another path than the URL's is asked: alone, or with half of the time that is left before it. */
static int set_path(struct exchange *exchange, const char *path)
{
    const int64_t waited = exchange->pace.waited_ms;

    if (curl_easy_setopt(exchange->easy, CURLOPT_REQUEST_TARGET, path) != CURLE_OK)
        return -1;
    if (!exchange->request.between)
        return 0;
    exchange->turn = TURN_FIRST;
    exchange->first_ms = waited + (exchange->request.total_ms - waited) / 2;
    return curl_easy_setopt(exchange->easy, CURLOPT_FORBID_REUSE, 0L) == CURLE_OK ? 0 : -1;
}

/* No private key travels: as carries_key(). */
static int choose_path(struct exchange *exchange)
{
    struct bytes leaf = {0};
    const char *path;

    if (exchange->session && tls_session_chain(exchange->session, exchange->chain) > 0)
        leaf = exchange->chain[0];
    path = exchange->request.path(exchange->note, leaf, &exchange->response.body.max);
    if (!path || (!secrecy_holds_key(bytes_of_text(path)) && set_path(exchange, path) == 0))
        return CURL_PREREQFUNC_OK;
    return CURL_PREREQFUNC_ABORT;
}

static int connected(void *user, char *peer, char *local, int peer_port, int local_port)
{
    struct exchange *exchange = user;

    (void)peer;
    (void)local;
    (void)peer_port;
    (void)local_port;
    if (exchange->turn == TURN_SECOND)
        return CURL_PREREQFUNC_OK;
    exchange->response.stage = HTTP_STAGE_ANSWER;
    if (exchange->session)
        tls_session_connected(exchange->session);
    return exchange->request.path ? choose_path(exchange) : CURL_PREREQFUNC_OK;
}

static size_t take_body(char *data, size_t one, size_t len, void *user)
{
    struct exchange *exchange = user;

    (void)one;
    if (buf_append(&exchange->response.body, data, len) == 0)
        return len;
    exchange->too_large = true;
    return CURL_WRITEFUNC_ERROR;
}

/* Copies a header's value, trimmed, if it is the one named. */
static void keep_header(struct bytes line, const char *name, char *out, size_t size)
{
    size_t name_len = strlen(name), len;
    const char *value = (const char *)line.data + name_len + 1;

    if (line.len <= name_len || line.data[name_len] != ':' ||
        strncasecmp((const char *)line.data, name, name_len) != 0)
        return;
    len = line.len - name_len - 1;
    while (len > 0 && (value[0] == ' ' || value[0] == '\t')) {
        value++;
        len--;
    }
    while (len > 0 && strchr(" \t\r\n", value[len - 1]))
        len--;
    if (len >= size)
        len = size - 1;
    memcpy(out, value, len);
    out[len] = '\0';
}

static size_t take_header(char *data, size_t one, size_t len, void *user)
{
    struct http_response *response = &((struct exchange *)user)->response;
    struct bytes line = bytes_of(data, len);

    (void)one;
    keep_header(line, "x-amzn-ErrorType", response->error_type, sizeof response->error_type);
    keep_header(line, "x-amzn-RequestId", response->request_id, sizeof response->request_id);
    keep_header(line, "Date", response->date, sizeof response->date);
    keep_header(line, "x-amz-retry-after", response->retry_after, sizeof response->retry_after);
    return len;
}

static int add_header(struct curl_slist **list, const char *name, const char *value)
{
    struct buf line = {.tag = ARENA_LIBRARY};
    struct curl_slist *longer = NULL;

    if (strpbrk(name, "\r\n:") || strpbrk(value, "\r\n"))
        return -1;
    if (buf_append_text(&line, name) == 0 && buf_append_text(&line, *value ? ": " : ";") == 0 &&
        buf_append_text(&line, value) == 0)
        longer = curl_slist_append(*list, (char *)line.data);
    buf_free(&line);
    if (!longer)
        return -1;
    *list = longer;
    return 0;
}

static int set_headers(struct exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    size_t i;

    for (i = 0; i < request->header_count; i++)
        if (add_header(&exchange->headers, request->headers[i].name, request->headers[i].value) < 0)
            return -1;
    return 0;
}

static int set_connect_to(struct exchange *exchange)
{
    char text[320];

    if (!exchange->request.connect_to)
        return 0;
    (void)snprintf(text, sizeof text, "::%s", exchange->request.connect_to);
    exchange->connect_to = curl_slist_append(NULL, text);
    return exchange->connect_to ? 0 : -1;
}

/* Stops at the first option that libcurl does not take: nothing is sent half configured. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (curl_easy_setopt(exchange->easy, option, value) != CURLE_OK)                           \
            return -1;                                                                             \
    } while (0)

static long until(int64_t deadline)
{
    const int64_t left = clock_left(deadline);

    return left > 0 ? (long)left : 1; /* 0 would mean never */
}

/* "" wherever there is none: libcurl would ask the environment. */
static int set_proxy(struct exchange *exchange)
{
    const struct http_proxy *proxy = exchange->request.proxy;

    SET(CURLOPT_PROXY, proxy ? proxy->url : "");
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (!proxy)
        return 0;
    SET(CURLOPT_PROXYTYPE, (long)CURLPROXY_HTTP);
    SET(CURLOPT_HTTPPROXYTUNNEL, 1L);
    SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    SET(CURLOPT_PROXYUSERPWD, proxy->password);
    return 0;
}

/*
 * Verification stays on with no anchor for libcurl: a connection that misses the hook fails closed.
 */
static int set_tls(struct exchange *exchange)
{
    char label[TLS_LABEL_MAX], own[TLS_LABEL_MAX + 24];

    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST,
        0L); /* libcurl refuses IP addresses; our verifier checks the name */
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_CAINFO, NULL);
    if (!exchange->session)
        return 0;
    tls_policy_label(exchange->request.tls, label);
    (void)snprintf(own, sizeof own, "%s:%llu", label, exchange->number);
    SET(CURLOPT_SSLCERT, own);
    SET(CURLOPT_SSL_CTX_FUNCTION, hook);
    SET(CURLOPT_SSL_CTX_DATA, exchange);
    SET(CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    SET(CURLOPT_CLOSESOCKETDATA, exchange->session);
    return 0;
}

/*
 * Whatever a URL, a header or a body was made of: no private key travels. (A proxy's password, and
 * the key of a handshake, are in none of these.)
 */
static bool carries_key(const struct http_request *request)
{
    size_t i;

    if (secrecy_holds_key(bytes_of_text(request->url)) || secrecy_holds_key(request->body))
        return true;
    for (i = 0; i < request->header_count; i++)
        if (secrecy_holds_key(bytes_of_text(request->headers[i].value)))
            return true;
    return false;
}

int exchange_configure(struct exchange *exchange, bool reuse)
{
    const struct http_request *request = &exchange->request;

    if (carries_key(request)) {
        (void)snprintf(exchange->response.cause, sizeof exchange->response.cause,
                       "it would carry a private key");
        return -1;
    }
    if (set_headers(exchange) < 0 || set_connect_to(exchange) < 0 || set_proxy(exchange) < 0 ||
        set_tls(exchange) < 0)
        return -1;
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* a resolver thread that hangs is not waited for */
    SET(CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(request->connect_ms + LATER_MS));
    SET(CURLOPT_TIMEOUT_MS, until(request->deadline));
    SET(CURLOPT_FRESH_CONNECT, reuse ? 0L : 1L);
    SET(CURLOPT_FORBID_REUSE, reuse ? 0L : 1L);
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
    SET(CURLOPT_ERRORBUFFER, exchange->error);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, exchange);
    SET(CURLOPT_PREREQFUNCTION, connected);
    SET(CURLOPT_PREREQDATA, exchange);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, exchange);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, exchange);
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_PROTOCOLS_STR, exchange->session ? "https" : "http");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_USERAGENT, "mtls-agent/" MTLS_AGENT_VERSION);
    if (strcmp(request->method, "GET") != 0) {
        SET(CURLOPT_POSTFIELDS, request->body.data ? (const char *)request->body.data : "");
        SET(CURLOPT_POSTFIELDSIZE, (long)request->body.len);
        SET(CURLOPT_CUSTOMREQUEST, request->method);
    }
    SET(CURLOPT_HTTPHEADER, exchange->headers);
    SET(CURLOPT_CONNECT_TO, exchange->connect_to);
    return 0;
}

int exchange_go_on(struct exchange *exchange)
{
    struct http_response *response = &exchange->response;

    exchange->turn = TURN_SECOND;
    exchange->before = response->timing;
    exchange->error[0] = '\0';
    http_response_free(response);
    response->body.max = exchange->request.body_max;
    response->date[0] = '\0';
    SET(CURLOPT_REQUEST_TARGET, NULL);
    SET(CURLOPT_FRESH_CONNECT, 0L);
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_TIMEOUT_MS, until(exchange->request.deadline));
    return 0;
}

void exchange_allow(struct exchange *exchange)
{
    const struct pace *pace = &exchange->pace;
    const int64_t passed = pace->looked_at - exchange->launched_at;

    if (exchange->response.stage < HTTP_STAGE_TLS)
        (void)curl_easy_setopt(
            exchange->easy, CURLOPT_CONNECTTIMEOUT_MS,
            (long)(passed + exchange->request.connect_ms - pace->waited_ms + LATER_MS));
}

int64_t exchange_time(const struct exchange *exchange)
{
    const struct http_request *request = &exchange->request;

    if (exchange->response.stage < HTTP_STAGE_ANSWER && request->connect_ms < request->total_ms)
        return request->connect_ms;
    return exchange->turn == TURN_FIRST ? exchange->first_ms : request->total_ms;
}
