/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/error_meaning.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/retry.h"
#include "net/http.h"

/*
 * AWS's errors with a meaning of their own here, by code and by words of the message. The first row
 * that fits holds.
 */
static const struct known_error {
    const char *code;
    const char *words; /* NULL: any */
    enum err_code means;
} known_errors[] = {
    {"AccessDeniedException", "KMS", ERR_KMS_DENIED},
    {"AccessDeniedException", "explicit deny", ERR_AWS_DENIED_EXPLICITLY},
    {"AccessDeniedException", NULL, ERR_AWS_DENIED},
    {"AccessDenied", "explicit deny", ERR_AWS_DENIED_EXPLICITLY},
    {"AccessDenied", NULL, ERR_AWS_DENIED},
    {"NotAuthorized", NULL, ERR_AWS_DENIED},
    {"OptInRequired", NULL, ERR_AWS_DENIED},
    {"DecryptionFailure", NULL, ERR_KMS_FAILED},
    {"InvalidRequestException", "KMS", ERR_KMS_FAILED},
    {"InvalidRequestException", "marked for deletion", ERR_SECRET_DELETED},
    {"InvalidRequestException", "marked deleted", ERR_SECRET_DELETED},
    {"InvalidRequestException", "scheduled for deletion", ERR_SECRET_DELETED},
    {"InvalidRequestException", "VersionStage", ERR_VERSION_UNKNOWN},
    {"ResourceNotFoundException", "staging label: AWSCURRENT", ERR_VERSION_MISSING},
    {"ResourceNotFoundException", "staging label: AWSPENDING", ERR_VERSION_PENDING},
    {"ResourceNotFoundException", "secret value for", ERR_VERSION_UNKNOWN},
    {"ResourceNotFoundException", NULL, ERR_SECRET_NOT_FOUND},
    {"ExpiredToken", NULL, ERR_CREDENTIALS_EXPIRED},
    {"ExpiredTokenException", NULL, ERR_CREDENTIALS_EXPIRED},
    {"AuthFailure", NULL, ERR_CREDENTIALS_UNKNOWN},
    {"InvalidAccessKeyId", NULL, ERR_CREDENTIALS_UNKNOWN},
    {"InvalidClientTokenId", NULL, ERR_CREDENTIALS_UNKNOWN},
    {"UnrecognizedClientException", NULL, ERR_CREDENTIALS_UNKNOWN},
    {"RequestExpired", NULL, ERR_CLOCK_SKEW},
    {"RequestInTheFuture", NULL, ERR_CLOCK_SKEW},
    {"RequestTimeTooSkewed", NULL, ERR_CLOCK_SKEW},
    {"InvalidSignatureException", "Signature expired", ERR_CLOCK_SKEW},
    {"InvalidSignatureException", "not yet current", ERR_CLOCK_SKEW},
    {"InvalidSignatureException", NULL, ERR_SIGNATURE_WRONG},
    {"SignatureDoesNotMatch", "Signature expired", ERR_CLOCK_SKEW},
    {"SignatureDoesNotMatch", "not yet current", ERR_CLOCK_SKEW},
    {"SignatureDoesNotMatch", NULL, ERR_SIGNATURE_WRONG},
    {"IncompleteSignature", NULL, ERR_SIGNATURE_WRONG},
    {"IncompleteSignatureException", NULL, ERR_SIGNATURE_WRONG},
    {"MissingAuthenticationToken", NULL, ERR_SIGNATURE_WRONG},
    {"MissingAuthenticationTokenException", NULL, ERR_SIGNATURE_WRONG},
};

enum err_code answer_means(int status, const char *code, const char *message)
{
    const struct http_response response = {.result = HTTP_ANSWERED, .status = status};
    size_t i;

    for (i = 0; i < sizeof known_errors / sizeof known_errors[0]; i++) {
        const struct known_error *known = &known_errors[i];

        if (strcmp(code, known->code) == 0 && (!known->words || strstr(message, known->words)))
            return known->means;
    }
    if (retry_classify(&response, code) != RETRY_NEVER || status >= 500)
        return ERR_AWS_BUSY;
    if (status == 401 || status == 403)
        return ERR_AWS_DENIED;
    return status >= 400 ? ERR_AWS_REJECTED : ERR_AWS_ANSWER;
}

const char *policy_kind(const char *message)
{
    static const struct {
        const char *words, *kind;
    } kinds[] = {
        {"VPC endpoint policy", "the VPC endpoint's policy"},
        {"service control policy", "a service control policy"},
        {"resource control policy", "a resource control policy"},
        {"permissions boundary", "the role's permissions boundary"},
        {"session policy", "the session's policy"},
        {"resource-based policy", "the secret's own policy"},
        {"identity-based policy", "the role's own policies"},
    };
    size_t i;

    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strstr(message, kinds[i].words))
            return kinds[i].kind;
    return NULL;
}

/* Whether "10.0.0.1:443" or "[fd00::1]:443" is an address of the Internet. */
static bool is_public(const char *peer)
{
    static const struct {
        uint32_t net, mask;
    } inside[] = {
        {0x0A000000, 0xFF000000}, /* 10.0.0.0/8 */
        {0x64400000, 0xFFC00000}, /* 100.64.0.0/10 */
        {0x7F000000, 0xFF000000}, /* 127.0.0.0/8 */
        {0xA9FE0000, 0xFFFF0000}, /* 169.254.0.0/16 */
        {0xAC100000, 0xFFF00000}, /* 172.16.0.0/12 */
        {0xC0A80000, 0xFFFF0000}, /* 192.168.0.0/16 */
    };
    char text[INET_ADDRSTRLEN] = "";
    struct in_addr address;
    size_t len = strcspn(peer, ":"), i;

    if (*peer == '[') /* global unicast */
        return peer[1] == '2' || peer[1] == '3';
    if (len == 0 || len >= sizeof text)
        return false;
    memcpy(text, peer, len);
    if (inet_pton(AF_INET, text, &address) != 1)
        return false;
    for (i = 0; i < sizeof inside / sizeof inside[0]; i++)
        if ((ntohl(address.s_addr) & inside[i].mask) == inside[i].net)
            return false;
    return true;
}

static enum err_code unreached(const struct http_response *response)
{
    bool unanswered = response->result == HTTP_TIMEOUT && response->stage == HTTP_STAGE_TCP;

    if (response->by_proxy && response->stage < HTTP_STAGE_TLS)
        return ERR_PROXY_UNREACHABLE;
    if (response->stage == HTTP_STAGE_DNS)
        return ERR_DNS_FAILED;
    if (response->os_error == ENETUNREACH || response->os_error == EHOSTUNREACH)
        return ERR_NO_ROUTE;
    return unanswered && is_public(response->peer) ? ERR_PRIVATE_DNS : ERR_AWS_UNREACHABLE;
}

enum err_code transport_means(const struct http_response *response)
{
    switch (response->result) {
    case HTTP_PROXY_REFUSED: return ERR_PROXY_REFUSED;
    case HTTP_UNTRUSTED: return ERR_AWS_UNTRUSTED;
    case HTTP_TOO_LARGE: return ERR_AWS_ANSWER;
    case HTTP_ADDRESS_DENIED: return ERR_CONFIG;
    case HTTP_NO_MEMORY: return ERR_MEMORY_FULL;
    case HTTP_NO_DESCRIPTORS: return ERR_DESCRIPTORS_FULL;
    case HTTP_FAILED: return ERR_SYSTEM;
    default: return unreached(response);
    }
}
