/* SPDX-License-Identifier: Apache-2.0 */
#include "enclave/probe_verdict.h"

#include <stdio.h>

#include "base/err.h"
#include "config/config.h"
#include "enclave/probe.h"
#include "net/http.h"

/*
 * Alerts that are about the certificate, from a server that has it. Those that are not there speak
 * of a handshake that was disturbed (decrypt_error: our signatures are checked before they leave),
 * or of the server itself.
 */
static bool alert_refuses(const struct http_response *response)
{
    enum {
        HANDSHAKE_FAILURE = 40,
        ACCESS_DENIED = 49,
        DECODE_ERROR = 50,
        CERTIFICATE_REQUIRED = 116
    };
    const struct tls_record *tls = &response->tls;
    int alert = response->alert;

    if (tls->version == TLS_VERSION_13 && !tls->authenticated)
        return false;
    return tls->certificate_left && ((alert >= HANDSHAKE_FAILURE && alert <= ACCESS_DENIED) ||
                                     alert == DECODE_ERROR || alert == CERTIFICATE_REQUIRED);
}

static bool status_doubts(int status)
{
    return status == 400 || status == 401 || status == 403 || status == 495 || status == 496;
}

/*
 * Whether who says nothing may do so because of our certificate: it has it, and the handshake is
 * not over, or in TLS 1.3 not for the server before it answers.
 */
static bool silence_doubts(const struct http_response *response)
{
    const struct tls_record *tls = &response->tls;

    return tls->certificate_left && !tls->answered && !tls->passed &&
           (response->stage < HTTP_STAGE_ANSWER || tls->version == TLS_VERSION_13);
}

/* Of an exchange that came through the handshake. */
static enum probe_verdict judge_answer(const struct config *config,
                                       const struct http_response *response)
{
    const struct tls_record *tls = &response->tls;

    if (!tls->certificate_requested && !config->allow_not_mutual)
        return PROBE_NOT_MUTUAL;
    if (tls->certificate_requested && !tls->certificate_sent)
        return PROBE_UNREACHABLE; /* it has not seen the identity */
    if (response->result == HTTP_CLOSED || status_doubts(response->status))
        return PROBE_DOUBTED;
    return response->status ? PROBE_ACCEPTED : PROBE_UNREACHABLE;
}

/* The table of verdicts in docs/verification.md, row by row. */
static enum probe_verdict judge_response(const struct config *config,
                                         const struct http_response *response)
{
    const struct tls_record *tls = &response->tls;
    bool shaking = response->stage < HTTP_STAGE_ANSWER;

    if (tls->renegotiation && !tls->certificate_requested)
        return PROBE_NOT_MUTUAL;
    switch (response->result) {
    case HTTP_UNTRUSTED: return PROBE_UNTRUSTED;
    case HTTP_ALERT:
        if (response->status)
            return judge_answer(config, response);
        return alert_refuses(response) ? PROBE_REFUSED : PROBE_UNREACHABLE;
    case HTTP_TIMEOUT: return silence_doubts(response) ? PROBE_SILENT : PROBE_UNREACHABLE;
    case HTTP_CLOSED: /* in 1.3 the server looks at our certificate after its Finished */
        return shaking && tls->version != TLS_VERSION_13 ? PROBE_REFUSED
                                                         : judge_answer(config, response);
    case HTTP_ANSWERED:
    case HTTP_BROKEN: /* after its status: what it says badly is the application's affair */
    case HTTP_TOO_LARGE: return judge_answer(config, response);
    default: return PROBE_UNREACHABLE;
    }
}

static void explain(const struct http_response *response, enum probe_verdict verdict, char *out,
                    size_t size)
{
    const struct tls_record *tls = &response->tls;
    bool answered = response->status != 0 && response->result != HTTP_TIMEOUT;

    if (verdict == PROBE_ACCEPTED)
        out[0] = '\0';
    else if (verdict == PROBE_NOT_MUTUAL && tls->renegotiation)
        (void)snprintf(out, size,
                       "the server asks for the client certificate by renegotiation; let it ask "
                       "within the handshake (Apache: SSLVerifyClient "
                       "for the whole host, IIS: Negotiate Client Certificate)");
    else if (verdict == PROBE_NOT_MUTUAL)
        (void)snprintf(out, size, "the server asked for no client certificate: not mutual TLS");
    else if (answered && !tls->certificate_sent)
        (void)snprintf(out, size,
                       "the server accepts no SHA-2 signature of this key's type, so no "
                       "certificate was sent");
    else if (answered)
        (void)snprintf(out, size, "the server answered HTTP %d", response->status);
    else if (response->result == HTTP_UNTRUSTED && tls->verify_reason[0])
        (void)snprintf(out, size, "%s", tls->verify_reason);
    else if (response->result == HTTP_CLOSED && verdict == PROBE_REFUSED)
        (void)snprintf(
            out, size,
            "the server closed the connection within the handshake, each of %d times: it "
            "refuses the certificate without an alert",
            PROBE_CLOSES);
    else if (response->result == HTTP_CLOSED)
        (void)snprintf(out, size,
                       "the server closed the connection without an answer, each of %d times, as "
                       "servers do that refuse a certificate late",
                       PROBE_CLOSES);
    else
        http_reason(response, out, size);
}

static enum err_code cause_of(const struct http_response *response)
{
    if (tls_error_is_foreign(response->tls_error))
        return CAUSE_ENCLAVE_PLAIN;
    return response->stage == HTTP_STAGE_DNS ? CAUSE_ENCLAVE_DNS : ERR_NONE;
}

/* libcurl counts every stage from the start; 0 means that it was not reached. */
static int64_t stage_ms(int64_t from, int64_t to)
{
    return to > 0 ? (to - from) / 1000 : -1;
}

void probe_judge(const struct config *config, const struct http_response *response,
                 struct probe *probe)
{
    const struct http_timing *timing = &response->timing;
    const struct tls_record *tls = &response->tls;

    probe->verdict = judge_response(config, response);
    probe->authenticated = probe->verdict == PROBE_REFUSED
                               ? response->result == HTTP_ALERT && tls->version == TLS_VERSION_13
                               : probe->verdict == PROBE_DOUBTED && response->result != HTTP_CLOSED;
    probe->status = response->status;
    probe->alert = response->alert;
    probe->cipher = tls->cipher_suite ? tls_cipher_name(tls->cipher_suite) : NULL;
    probe->version = tls_version_name(tls->version);
    probe->group = tls_group_name(tls->curve);
    probe->resumed = tls->resumed;
    probe->handshake = tls->resumed ? "resumed" : timing->tls > 0 ? "full" : NULL;
    probe->signatures = tls->signatures;
    probe->signing_failed = tls->signing_failed;
    probe->verify = tls->verify;
    probe->cause = cause_of(response);
    probe->dns_ms = stage_ms(0, timing->dns);
    probe->tcp_ms = stage_ms(timing->dns, timing->tcp);
    probe->tls_ms = stage_ms(timing->tcp, timing->tls);
    probe->first_byte_ms = stage_ms(timing->tls, timing->first_byte);
    explain(response, probe->verdict, probe->reason, sizeof probe->reason);
}

int64_t probe_latency(const struct probe *probe)
{
    return probe->tls_ms < 0 ? -1 : (probe->tcp_ms > 0 ? probe->tcp_ms : 0) + probe->tls_ms;
}

const char *probe_verdict_name(enum probe_verdict verdict)
{
    static const char *const names[PROBE_VERDICTS] = {
        [PROBE_UNASKED] = "unasked",       [PROBE_ACCEPTED] = "accepted",
        [PROBE_REFUSED] = "refused",       [PROBE_DOUBTED] = "refused",
        [PROBE_NOT_MUTUAL] = "not_mutual", [PROBE_UNTRUSTED] = "untrusted",
        [PROBE_SILENT] = "unreachable",    [PROBE_UNREACHABLE] = "unreachable",
        [PROBE_UNATTESTED] = "unattested",
    };

    return names[verdict];
}
