/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "net/exchange.h"
#include "net/resolve.h"

/* BearSSL counts alerts that were received from 0x0100 on, those that were sent from 0x0200 on. */
enum { ALERTS_RECEIVED = 0x100, ALERTS_SENT = 0x200 };

/* BearSSL's error, out of libcurl's words; 0 without. */
static int bearssl_error(const char *error)
{
    static const char words[] = "connection error 0x";
    const char *at = strstr(error, words);

    return at ? (int)strtoul(at + sizeof words - 1, NULL, 16) : 0;
}

/* Where libcurl could not begin a look-up it lacks a descriptor, or a thread; of memory the arena
 * tells. */
static enum http_result lookup_result(const struct exchange *exchange)
{
    int fd;

    if (!strstr(exchange->error, "thread failed to start"))
        return HTTP_UNRESOLVED;
    fd = dup(STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
    return fd < 0 && errno == EMFILE ? HTTP_NO_DESCRIPTORS : HTTP_NO_THREADS;
}

static enum http_result classify(const struct exchange *exchange, CURLcode code)
{
    const struct http_response *response = &exchange->response;

    if (code == CURLE_OK)
        return HTTP_ANSWERED;
    if (exchange->too_large)
        return HTTP_TOO_LARGE;
    if (response->tls.verify != VERIFY_OK)
        return HTTP_UNTRUSTED;
    if (response->alert >= 0)
        return HTTP_ALERT;
    if (exchange->turn == TURN_SECOND &&
        (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT))
        return HTTP_CLOSED; /* libcurl was about to make another one */
    if (exchange->no_socket && code == CURLE_COULDNT_CONNECT)
        return HTTP_NO_DESCRIPTORS;
    if (exchange->proxy_status >= 300)
        return HTTP_PROXY_REFUSED;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST: return lookup_result(exchange);
    case CURLE_COULDNT_CONNECT:
        return exchange->address_denied ? HTTP_ADDRESS_DENIED : HTTP_UNREACHABLE;
    case CURLE_OPERATION_TIMEDOUT: return HTTP_TIMEOUT;
    case CURLE_OUT_OF_MEMORY: return HTTP_NO_MEMORY;
    case CURLE_ABORTED_BY_CALLBACK: /* by choose_path(); else it is launched again */
    case CURLE_URL_MALFORMAT: return HTTP_FAILED;
    case CURLE_UNSUPPORTED_PROTOCOL: /* also libcurl's word for an answer that is not HTTP */
    case CURLE_WEIRD_SERVER_REPLY:
        return response->stage == HTTP_STAGE_ANSWER ? HTTP_BROKEN : HTTP_FAILED;
    case CURLE_PEER_FAILED_VERIFICATION: return HTTP_UNTRUSTED;
    case CURLE_SSL_CONNECT_ERROR:
        if (response->stage < HTTP_STAGE_ANSWER &&
            (response->tls.signing_failed || !strstr(exchange->error, "connection closed")))
            return HTTP_TLS_FAILED;
        break;
    default: break;
    }
    /* What a broken connection means depends on how far it had come. */
    if (response->stage == HTTP_STAGE_ANSWER)
        return response->status || response->tls_error ||
                       (response->tls.answered && exchange->turn != TURN_SECOND)
                   ? HTTP_BROKEN
                   : HTTP_CLOSED;
    if (response->stage == HTTP_STAGE_TLS)
        return response->tls.certificate_left ? HTTP_CLOSED : HTTP_TLS_FAILED;
    return HTTP_UNREACHABLE;
}

/* libcurl counts those of the second request from its own start. */
static void join_timing(struct http_timing *timing, const struct http_timing *before)
{
    timing->dns = before->dns;
    timing->tcp = before->tcp;
    timing->tls = before->tls;
    timing->first_byte += timing->first_byte > 0 ? before->tls : 0;
    timing->total += before->total;
}

static void fill_facts(struct exchange *exchange)
{
    struct http_response *response = &exchange->response;
    struct http_timing *timing = &response->timing;
    CURL *easy = exchange->easy;
    long status = 0, os_error = 0, used_proxy = 0;

    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    response->status = status >= 200 ? (int)status : 0; /* 1xx: the answer is still to come */
    (void)curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &exchange->proxy_status);
    (void)curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error);
    if (exchange->no_socket)
        response->os_error = exchange->no_socket;
    else if (response->stage == HTTP_STAGE_TCP) /* later it may be left from another address */
        response->os_error = (int)os_error;
    (void)curl_easy_getinfo(easy, CURLINFO_USED_PROXY, &used_proxy);
    response->by_proxy = used_proxy != 0;
    (void)curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &timing->dns);
    (void)curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &timing->tcp);
    (void)curl_easy_getinfo(easy, CURLINFO_APPCONNECT_TIME_T, &timing->tls);
    (void)curl_easy_getinfo(easy, CURLINFO_STARTTRANSFER_TIME_T, &timing->first_byte);
    (void)curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &timing->total);
    if (exchange->turn == TURN_SECOND)
        join_timing(timing, &exchange->before);
    if (exchange->session) {
        response->tls = *tls_session_record(exchange->session);
        response->chain = exchange->chain;
        response->chain_count = tls_session_chain(exchange->session, exchange->chain);
    }
}

/* libcurl's words, or ours where it has none or means something else. */
static const char *cause_of(const struct exchange *exchange, CURLcode code)
{
    if (code == CURLE_TOO_LARGE || strncmp(exchange->error, "Too large", 9) == 0)
        return "its head is too long";
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY)
        return "it is no HTTP";
    return exchange->error;
}

/* Of a name without an address libcurl says only that there is none. */
static void explain_lookup(struct exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    struct http_response *response = &exchange->response;
    char text[RESOLVE_TEXT_MAX];

    if (response->result != HTTP_UNRESOLVED &&
        (response->result != HTTP_TIMEOUT || response->stage != HTTP_STAGE_DNS))
        return;
    resolve_failure(response->by_proxy    ? request->proxy->url
                    : request->connect_to ? request->connect_to
                                          : request->url,
                    text);
    if (!*text)
        return;
    response->result = HTTP_UNRESOLVED;
    (void)snprintf(response->cause, sizeof response->cause, "%s", text);
}

void exchange_conclude(struct exchange *exchange, CURLcode code)
{
    struct http_response *response = &exchange->response;
    int error = bearssl_error(exchange->error);
    bool taken;

    fill_facts(exchange);
    if (error >= ALERTS_RECEIVED && error < ALERTS_SENT)
        response->alert = error - ALERTS_RECEIVED;
    else
        response->tls_error = error;
    response->result = classify(exchange, code);
    /* Servers that verify late refuse by an answer: a session with such a one is worth nothing. */
    taken = response->status != 0 &&
            (response->status < 400 || response->status == 404 || response->status >= 500);
    if (exchange->session)
        tls_session_settle(exchange->session, taken);
    if (response->result == HTTP_PROXY_REFUSED)
        response->status = (int)exchange->proxy_status;
    if (response->result != HTTP_ANSWERED)
        redact(response->cause, sizeof response->cause, bytes_of_text(cause_of(exchange, code)));
    explain_lookup(exchange);
}

const char *http_result_text(enum http_result result)
{
    static const char *const texts[] = {
        [HTTP_ANSWERED] = "answered",
        [HTTP_UNRESOLVED] = "the name was not resolved",
        [HTTP_UNREACHABLE] = "no connection",
        [HTTP_TIMEOUT] = "timed out",
        [HTTP_PROXY_REFUSED] = "the proxy refused to connect",
        [HTTP_ADDRESS_DENIED] = "plain http must not leave this host",
        [HTTP_UNTRUSTED] = "the server's certificate was refused",
        [HTTP_ALERT] = "the server ended the handshake with an alert",
        [HTTP_TLS_FAILED] = "the TLS handshake failed",
        [HTTP_CLOSED] = "the server closed the connection without an answer",
        [HTTP_BROKEN] = "the answer broke off",
        [HTTP_TOO_LARGE] = "the answer is too large",
        [HTTP_NO_MEMORY] = "the locked memory is full",
        [HTTP_NO_THREADS] = "no thread can be started to look the name up",
        [HTTP_NO_DESCRIPTORS] = "there is no descriptor for a connection",
        [HTTP_FAILED] = "the request could not be sent",
    };

    return texts[result];
}
