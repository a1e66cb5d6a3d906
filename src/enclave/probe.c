/* SPDX-License-Identifier: Apache-2.0 */
#include "enclave/probe.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "config/config.h"
#include "identity/identity.h"
#include "net/http.h"

struct batch {
    const struct probe_request *request;
    struct probe *probes;
    size_t next;           /* from the first on */
    size_t asked, starved; /* how many there were, and for how many there was no room */
    enum http_result lack; /* and of what */
    int lack_error;
};

/* One endpoint's request with the text that it points to. */
struct question {
    size_t index;
    char url[640];
    char connect_to[288];
    struct tls_policy policy;
};

static bool is_ipv6(const char *host)
{
    return strchr(host, ':') != NULL;
}

static const char *path_of(const struct config *config, const struct endpoint *endpoint)
{
    if (config->request)
        return config->request;
    return endpoint->path[0] ? endpoint->path : config->health_path;
}

static void ask(const struct probe_request *request, const struct endpoint *endpoint,
                struct question *question, struct http_request *http)
{
    question->policy = (struct tls_policy){
        .name = endpoint->name,
        .anchors = request->identity->anchors,
        .profile = VERIFY_PRIVATE,
        .allow_cn = request->config->allow_cn,
        .compatible = request->config->compatible_suites,
        .identity = request->identity,
    };
    (void)snprintf(question->url, sizeof question->url,
                   is_ipv6(endpoint->name) ? "https://[%s]:%u%s" : "https://%s:%u%s",
                   endpoint->name, endpoint->port, path_of(request->config, endpoint));
    (void)snprintf(question->connect_to, sizeof question->connect_to,
                   is_ipv6(endpoint->address) ? "[%s]:%u" : "%s:%u", endpoint->address,
                   endpoint->port);
    *http = (struct http_request){
        .method = "GET",
        .url = question->url,
        .tls = &question->policy,
        .sessions = request->sessions,
        .connect_to = question->connect_to,
        .body_max = request->body_max,
        .connect_ms = PROBE_CONNECT_MS,
        .total_ms = PROBE_TOTAL_MS,
        .deadline = request->deadline,
    };
}

/*
 * Alerts by which a server says that it does not want the certificate, or the handshake as a whole.
 */
static bool alert_refuses(const struct http_response *response)
{
    enum { HANDSHAKE_FAILURE = 40, DECRYPT_ERROR = 51, CERTIFICATE_REQUIRED = 116 };
    int alert = response->alert;

    if (alert == HANDSHAKE_FAILURE) /* before a CertificateRequest it is about versions or suites */
        return response->tls.certificate_requested;
    return (alert > HANDSHAKE_FAILURE && alert <= DECRYPT_ERROR) || alert == CERTIFICATE_REQUIRED;
}

static bool status_doubts(int status)
{
    return status == 400 || status == 401 || status == 403 || status == 495 || status == 496;
}

static enum probe_verdict judge(const struct config *config, const struct http_response *response)
{
    const struct tls_record *tls = &response->tls;

    switch (response->result) {
    case HTTP_UNTRUSTED: return PROBE_UNTRUSTED;
    case HTTP_ALERT: return alert_refuses(response) ? PROBE_REFUSED : PROBE_UNREACHABLE;
    case HTTP_CLOSED:
    case HTTP_ANSWERED:
    case HTTP_BROKEN: /* it spoke after the handshake: what it said badly is the application's
                         affair */
    case HTTP_TOO_LARGE:
        if (!tls->certificate_requested && !config->allow_not_mutual)
            return PROBE_NOT_MUTUAL;
        if (tls->certificate_requested && !tls->certificate_sent)
            return PROBE_REFUSED;
        if (response->result == HTTP_CLOSED || status_doubts(response->status))
            return PROBE_DOUBTED;
        return PROBE_ACCEPTED;
    default: return PROBE_UNREACHABLE;
    }
}

/* A sentence for an exchange that broke off on its way. */
static void explain_break(const struct http_response *response, char *out, size_t size)
{
    static const char *const stages[] = {"the name lookup", "the TCP connection",
                                         "the TLS handshake", "the answer"};

    if (response->result == HTTP_UNTRUSTED && response->tls.verify_reason[0])
        (void)snprintf(out, size, "%s", response->tls.verify_reason);
    else if (response->result == HTTP_ALERT)
        (void)snprintf(out, size, "the server sent the alert %s (%d): %s",
                       tls_alert_name(response->alert), response->alert,
                       tls_alert_cause(response->alert, &response->tls));
    else if (response->tls.signing_failed)
        (void)snprintf(out, size, "the private key made a wrong signature, which was not sent");
    else if (response->tls_error)
        (void)snprintf(out, size, "%s: %s", http_result_text(response->result),
                       tls_error_text(response->tls_error));
    else if (response->result == HTTP_TIMEOUT)
        (void)snprintf(out, size, "timed out in %s", stages[response->stage]);
    else if (response->os_error)
        (void)snprintf(out, size, "%s: %s", http_result_text(response->result),
                       strerror(response->os_error));
    else
        (void)snprintf(out, size, "%s%s%s", http_result_text(response->result),
                       response->cause[0] ? ": " : "", response->cause);
}

static void explain(const struct http_response *response, enum probe_verdict verdict, char *out,
                    size_t size)
{
    bool answered = response->status != 0;

    if (verdict == PROBE_ACCEPTED)
        out[0] = '\0';
    else if (verdict == PROBE_NOT_MUTUAL)
        (void)snprintf(out, size, "the server asked for no client certificate: not mutual TLS");
    else if (answered && !response->tls.certificate_sent)
        (void)snprintf(out, size,
                       "the server accepts no SHA-2 signature of this key's type, so no "
                       "certificate was sent");
    else if (answered)
        (void)snprintf(out, size, "the server answered HTTP %d", response->status);
    else if (verdict == PROBE_DOUBTED && response->stage == HTTP_STAGE_ANSWER)
        (void)snprintf(out, size,
                       "the server closed the connection without an answer, as servers do that "
                       "refuse a certificate late");
    else if (verdict == PROBE_DOUBTED)
        (void)snprintf(out, size,
                       "the server closed the connection within the handshake: it refuses the "
                       "certificate without an alert, or insists on extended master secret "
                       "(RFC 7627), which this agent does not have");
    else
        explain_break(response, out, size);
}

/* libcurl counts every stage from the start; 0 means that it was not reached. */
static int64_t stage_ms(int64_t from, int64_t to)
{
    return to > 0 ? (to - from) / 1000 : -1;
}

static void read_answer(const struct config *config, const struct http_response *response,
                        struct probe *probe)
{
    const struct http_timing *timing = &response->timing;
    const struct tls_record *tls = &response->tls;

    probe->verdict = judge(config, response);
    probe->status = response->status;
    probe->cipher = tls->cipher_suite ? tls_cipher_name(tls->cipher_suite) : NULL;
    probe->handshake = tls->resumed ? "resumed" : timing->tls > 0 ? "full" : NULL;
    probe->signatures = tls->signatures;
    probe->signing_failed = tls->signing_failed;
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
              log_s("result", probe_verdict_name(probe->verdict)), log_s("cipher", probe->cipher),
              log_s("handshake", probe->handshake), log_n("signatures", probe->signatures),
              log_s("alert", response->alert >= 0 ? tls_alert_name(response->alert) : NULL),
              log_n("status", probe->status ? probe->status : INT64_MIN),
              log_n("dns_ms", probe->dns_ms), log_n("tcp_ms", probe->tcp_ms),
              log_n("tls_ms", probe->tls_ms), log_n("first_byte_ms", probe->first_byte_ms),
              log_s("reason", probe->reason[0] ? probe->reason : NULL));
}

static size_t index_of(const struct probe_request *request, size_t number)
{
    return (request->first + number) % request->count;
}

static bool next(void *user, struct http_request *http, void *note)
{
    struct batch *batch = user;
    const struct probe_request *request = batch->request;
    struct question *question = note;

    while (batch->next < request->count &&
           batch->probes[index_of(request, batch->next)].verdict != PROBE_UNASKED)
        batch->next++;
    if (batch->next == request->count || clock_left(request->deadline) == 0)
        return false;
    question->index = index_of(request, batch->next++);
    ask(request, &request->endpoints[question->index], question, http);
    return true;
}

/* Nothing is known of it, and it is nobody's fault. */
static void leave(struct probe *probe, const char *reason)
{
    *probe = (struct probe){
        .verdict = PROBE_UNASKED, .dns_ms = -1, .tcp_ms = -1, .tls_ms = -1, .first_byte_ms = -1};
    (void)snprintf(probe->reason, sizeof probe->reason, "%s", reason);
}

static void done(void *user, struct http_response *response, void *note)
{
    struct batch *batch = user;
    const struct probe_request *request = batch->request;
    size_t index = ((const struct question *)note)->index;
    const struct endpoint *endpoint = &request->endpoints[index];
    struct probe *probe = &batch->probes[index];
    const struct probe_answer answer = {
        .chain = response->chain,
        .chain_count = response->chain_count,
        .body = buf_bytes(&response->body),
        .cut = response->result == HTTP_TOO_LARGE || response->result == HTTP_BROKEN,
    };

    batch->asked++;
    if (response->result == HTTP_NO_MEMORY || response->result == HTTP_NO_DESCRIPTORS) {
        batch->starved++;
        batch->lack = response->result;
        batch->lack_error = response->os_error;
        leave(probe, http_result_text(response->result));
        return;
    }
    if (response->cut) {
        leave(probe, "the time was up before it had answered");
        return;
    }
    read_answer(request->config, response, probe);
    report(endpoint, response, probe);
    if (request->told)
        request->told(request->user, endpoint, probe, &answer);
}

static size_t count_unasked(const struct probe_request *request, const struct probe *probes)
{
    size_t i, count = 0;

    for (i = 0; i < request->count; i++)
        count += probes[i].verdict == PROBE_UNASKED;
    return count;
}

/* Whose turn did not come, or not for long enough. */
static void tell_unasked(const struct probe_request *request, struct probe *probes)
{
    static const struct probe_answer none = {0};
    const size_t count = count_unasked(request, probes);
    size_t i;

    if (count == 0)
        return;
    for (i = 0; i < request->count; i++) {
        if (probes[i].verdict != PROBE_UNASKED)
            continue;
        if (!probes[i].reason[0])
            leave(&probes[i], "the time was up before it was asked");
        if (request->told)
            request->told(request->user, &request->endpoints[i], &probes[i], &none);
    }
    log_event(LOG_LEVEL_WARNING, "unasked", log_n("endpoints", (int64_t)count),
              log_n("of", (int64_t)request->count),
              log_n("left_ms", clock_left(request->deadline)));
}

/* Else it would look as if no enclave could be reached, which lets an identity pass. */
static int lacks_all(const struct batch *batch, struct err *err)
{
    if (batch->lack == HTTP_NO_MEMORY)
        return err_set(err, ERR_MEMORY_FULL, NULL, "no room to ask an endpoint");
    return err_set(err, ERR_DESCRIPTORS_FULL, "socket", "%s", strerror(batch->lack_error));
}

int probe_endpoints(const struct probe_request *request, struct probe *probes, struct err *err)
{
    struct batch batch = {.request = request, .probes = probes};
    const struct http_batch run = {
        .next = next,
        .done = done,
        .user = &batch,
        .note_size = sizeof(struct question),
        .parallel = request->parallel,
        .count = count_unasked(request, probes),
    };
    struct http *http = http_new(false, err);
    int result = -1;

    if (http)
        result = http_run(http, &run, err);
    http_free(http);
    if (result == 0 && batch.asked > 0 && batch.starved == batch.asked)
        return lacks_all(&batch, err);
    if (result == 0)
        tell_unasked(request, probes);
    return result;
}

const char *probe_verdict_name(enum probe_verdict verdict)
{
    static const char *const names[PROBE_VERDICTS] = {
        [PROBE_UNASKED] = "unasked",         [PROBE_ACCEPTED] = "accepted",
        [PROBE_REFUSED] = "refused",         [PROBE_DOUBTED] = "refused",
        [PROBE_NOT_MUTUAL] = "not_mutual",   [PROBE_UNTRUSTED] = "untrusted",
        [PROBE_UNREACHABLE] = "unreachable",
    };

    return names[verdict];
}
