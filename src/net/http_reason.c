/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "net/http.h"

/* Silence, by where it began. */
static const char *timeout_reason(const struct http_response *response)
{
    switch (response->stage) {
    case HTTP_STAGE_DNS: return "timed out in the name lookup";
    case HTTP_STAGE_TCP: return "timed out in the TCP connection";
    case HTTP_STAGE_ANSWER:
        if (response->tls.version != TLS_VERSION_13 || response->tls.answered ||
            response->tls.passed)
            return "timed out in the answer";
        break;
    case HTTP_STAGE_TLS: break;
    }
    if (response->tls.certificate_left)
        return "timed out after the server had our certificate; some servers "
               "fall silent when they refuse one, and so does one under load";
    if (response->stage == HTTP_STAGE_ANSWER)
        return "timed out in the answer";
    if (!response->tls.spoke)
        return "timed out in the TLS handshake: the connection was taken, and no byte came";
    return "timed out in the TLS handshake";
}

/* A connection that was closed or reset, without an alert. */
static const char *close_reason(const struct http_response *response)
{
    if (response->stage == HTTP_STAGE_ANSWER)
        return "the server closed the connection without an answer";
    if (response->tls.certificate_left)
        return "the server closed the connection within the handshake, after it had our "
               "certificate";
    if (!response->tls.spoke)
        return "the connection was taken and closed at once: a forwarder (socat, vsock-proxy, a "
               "load balancer) is up there, but not what it leads to";
    return "the server closed the connection within the handshake, before it had our certificate";
}

void http_reason(const struct http_response *response, char *out, size_t size)
{
    const char *result = http_result_text(response->result);

    if (response->result == HTTP_UNTRUSTED && response->tls.verify_reason[0])
        (void)snprintf(out, size, "%s: %s", result, response->tls.verify_reason);
    else if (response->result == HTTP_ALERT)
        (void)snprintf(out, size, "the server sent the alert %s (%d): %s",
                       tls_alert_name(response->alert), response->alert,
                       tls_alert_cause(response->alert, &response->tls));
    else if (response->tls.signing_failed)
        (void)snprintf(out, size, "the private key made a wrong signature, which was not sent");
    else if (response->tls_error)
        (void)snprintf(out, size, "%s: %s", result, tls_error_text(response->tls_error));
    else if (response->result == HTTP_TIMEOUT)
        (void)snprintf(out, size, "%s", timeout_reason(response));
    else if (response->os_error)
        (void)snprintf(out, size, "%s: %s", result, strerror(response->os_error));
    else if (response->result == HTTP_CLOSED || response->result == HTTP_TLS_FAILED)
        (void)snprintf(out, size, "%s", close_reason(response));
    else
        (void)snprintf(out, size, "%s%s%s", result, response->cause[0] ? ": " : "",
                       response->cause);
}
