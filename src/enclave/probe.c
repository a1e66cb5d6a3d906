/* SPDX-License-Identifier: Apache-2.0 */
#include "enclave/probe.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "config/config.h"
#include "identity/identity.h"
#include "net/http.h"

/* An answer's body is read only so that the exchange ends properly. */
enum { BODY_MAX = 65536 };

/* One endpoint's request with the text that it points to. */
struct question {
    char url[640];
    char connect_to[288];
    struct tls_policy policy;
};

static bool is_ipv6(const char *host)
{
    return strchr(host, ':') != NULL;
}

static void ask(const struct probe_request *request, const struct endpoint *endpoint,
                struct question *question, struct http_request *http)
{
    const char *path = endpoint->path[0] ? endpoint->path : request->config->health_path;

    question->policy = (struct tls_policy){
        .name = endpoint->name,
        .anchors = request->identity->anchors,
        .profile = VERIFY_PRIVATE,
        .allow_cn = request->config->allow_cn,
        .identity = request->identity,
    };
    (void)snprintf(question->url, sizeof question->url,
                   is_ipv6(endpoint->name) ? "https://[%s]:%u%s" : "https://%s:%u%s",
                   endpoint->name, endpoint->port, path);
    (void)snprintf(question->connect_to, sizeof question->connect_to,
                   is_ipv6(endpoint->address) ? "[%s]:%u" : "%s:%u", endpoint->address,
                   endpoint->port);
    *http = (struct http_request){
        .method = "GET",
        .url = question->url,
        .tls = &question->policy,
        .connect_to = question->connect_to,
        .body_max = BODY_MAX,
        .connect_ms = PROBE_CONNECT_MS,
        .total_ms = PROBE_TOTAL_MS,
        .deadline = request->deadline,
    };
}

/*
 * Alerts by which a server says that it does not want the certificate, or the handshake as a whole.
 */
static bool alert_refuses(int alert)
{
    return (alert >= 40 && alert <= 51) || alert == 116;
}

static bool status_doubts(int status)
{
    return status == 400 || status == 401 || status == 403 || status == 495 || status == 496;
}

static enum probe_verdict judge(const struct http_response *response)
{
    switch (response->result) {
    case HTTP_UNTRUSTED: return PROBE_UNTRUSTED;
    case HTTP_ALERT: return alert_refuses(response->alert) ? PROBE_REFUSED : PROBE_UNREACHABLE;
    case HTTP_CLOSED: return PROBE_DOUBTED;
    case HTTP_ANSWERED:
    case HTTP_BROKEN: /* it spoke after the handshake: what it said badly is the application's
                         affair */
    case HTTP_TOO_LARGE:
        if (!response->tls.certificate_sent)
            return PROBE_REFUSED;
        return status_doubts(response->status) ? PROBE_DOUBTED : PROBE_ACCEPTED;
    default: return PROBE_UNREACHABLE;
    }
}

/* The sentence for an alert that is about TLS itself, or about the certificate. */
static void explain_alert(const struct http_response *response, char *out, size_t size)
{
    static const int protocol_version = 70, handshake_failure = 40;
    const char *hint = "";

    if (response->alert == protocol_version)
        hint = ": it speaks TLS 1.3 only, and this agent TLS 1.2 only; allow TLS 1.2 there";
    else if (response->alert == handshake_failure && !response->tls.certificate_requested)
        hint = ": no common cipher suite; it must allow TLS 1.2 with ECDHE and AES-GCM or "
               "ChaCha20-Poly1305";
    (void)snprintf(out, size, "the server sent the alert %s (%d)%s",
                   tls_alert_name(response->alert), response->alert, hint);
}

static void explain(const struct http_response *response, enum probe_verdict verdict, char *out,
                    size_t size)
{
    static const char *const stages[] = {"the name lookup", "the TCP connection",
                                         "the TLS handshake", "the answer"};

    out[0] = '\0';
    if (verdict == PROBE_ACCEPTED)
        return;
    if (response->result == HTTP_UNTRUSTED)
        (void)snprintf(out, size, "%s", response->tls.verify_reason);
    else if (response->result == HTTP_ALERT)
        explain_alert(response, out, size);
    else if (response->tls.signing_failed)
        (void)snprintf(out, size, "the private key made a wrong signature, which was not sent");
    else if (response->result == HTTP_TIMEOUT)
        (void)snprintf(out, size, "timed out in %s", stages[response->stage]);
    else if (response->result == HTTP_ANSWERED && !response->tls.certificate_requested)
        (void)snprintf(out, size, "the server asked for no client certificate: not mutual TLS");
    else if (response->result == HTTP_ANSWERED && !response->tls.certificate_sent)
        (void)snprintf(out, size,
                       "the server accepts no SHA-2 signature of this key's type, so no "
                       "certificate was sent");
    else if (response->status)
        (void)snprintf(out, size, "the server answered HTTP %d", response->status);
    else
        (void)snprintf(out, size, "%s%s%s", http_result_text(response->result),
                       response->cause[0] ? ": " : "", response->cause);
}

/* libcurl counts every stage from the start; 0 means that it was not reached. */
static int64_t stage_ms(int64_t from, int64_t to)
{
    return to > 0 ? (to - from) / 1000 : -1;
}

static void read_answer(const struct http_response *response, struct probe *probe)
{
    const struct http_timing *timing = &response->timing;

    probe->verdict = judge(response);
    probe->status = response->status;
    probe->cipher = tls_cipher_name(response->tls.cipher_suite);
    probe->dns_ms = stage_ms(0, timing->dns);
    probe->tcp_ms = stage_ms(timing->dns, timing->tcp);
    probe->tls_ms = stage_ms(timing->tcp, timing->tls);
    probe->first_byte_ms = stage_ms(timing->tls, timing->first_byte);
    explain(response, probe->verdict, probe->reason, sizeof probe->reason);
}

static void report(const struct endpoint *endpoint, const struct http_response *response,
                   const struct probe *probe)
{
    bool accepted = probe->verdict == PROBE_ACCEPTED;

    log_event(accepted ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "handshake",
              log_s("endpoint", endpoint->text), log_s("peer", response->peer),
              log_s("result", probe_verdict_name(probe->verdict)),
              log_s("cipher", response->tls.cipher_suite ? probe->cipher : NULL),
              log_s("alert", response->alert >= 0 ? tls_alert_name(response->alert) : NULL),
              log_n("status", probe->status ? probe->status : INT64_MIN),
              log_n("dns_ms", probe->dns_ms), log_n("tcp_ms", probe->tcp_ms),
              log_n("tls_ms", probe->tls_ms), log_n("first_byte_ms", probe->first_byte_ms),
              log_s("reason", probe->reason[0] ? probe->reason : NULL));
}

static int perform(const struct probe_request *request, struct question *questions,
                   struct http_request *requests, struct http_response *responses, struct err *err)
{
    struct http *http = http_new(false, err);
    size_t i;
    int result;

    if (!http)
        return -1;
    for (i = 0; i < request->count; i++)
        ask(request, &request->endpoints[i], &questions[i], &requests[i]);
    result = http_perform(http, requests, responses, request->count, err);
    http_free(http);
    return result;
}

int probe_endpoints(const struct probe_request *request, struct probe *probes, struct err *err)
{
    size_t i, count = request->count;
    struct question *questions = arena_alloc(count * sizeof *questions, ARENA_WORK);
    struct http_request *requests = arena_alloc(count * sizeof *requests, ARENA_WORK);
    struct http_response *responses = arena_alloc(count * sizeof *responses, ARENA_WORK);
    int result = -1;

    if (!questions || !requests || !responses)
        (void)err_set(err, ERR_MEMORY_FULL, NULL, "no room to ask %zu endpoints", count);
    else
        result = perform(request, questions, requests, responses, err);
    for (i = 0; responses && i < count; i++) {
        if (result == 0) {
            read_answer(&responses[i], &probes[i]);
            report(&request->endpoints[i], &responses[i], &probes[i]);
        }
        http_response_free(&responses[i]);
    }
    arena_free(questions);
    arena_free(requests);
    arena_free(responses);
    return result;
}

const char *probe_verdict_name(enum probe_verdict verdict)
{
    static const char *const names[PROBE_VERDICTS] = {
        [PROBE_ACCEPTED] = "accepted",       [PROBE_REFUSED] = "refused",
        [PROBE_DOUBTED] = "refused",         [PROBE_UNTRUSTED] = "untrusted",
        [PROBE_UNREACHABLE] = "unreachable",
    };

    return names[verdict];
}
