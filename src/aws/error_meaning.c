/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/error_meaning.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "aws/retry.h"
#include "net/http.h"

/*
 * AWS's errors with a meaning of their own here, by code and by AWS's own sentences: a message also
 * holds names, which may be any word. The first row that fits holds. young: it may come of a role,
 * a policy, a key or a secret that was made a minute ago and is not known everywhere yet.
 */
static const struct known_error {
    const char *code;
    const char *words; /* NULL: any */
    enum err_code means;
    bool young;
} known_errors[] = {
    {"AccessDeniedException", "Access to KMS is not allowed", ERR_KMS_DENIED, true},
    {"AccessDeniedException", "not authorized to perform: kms:", ERR_KMS_DENIED, true},
    {"AccessDeniedException", "The ciphertext refers to a", ERR_KMS_DENIED, true},
    {"AccessDeniedException", "explicit deny", ERR_AWS_DENIED_EXPLICITLY, false},
    {"AccessDeniedException", NULL, ERR_AWS_DENIED, true},
    {"AccessDenied", "explicit deny", ERR_AWS_DENIED_EXPLICITLY, false},
    {"AccessDenied", NULL, ERR_AWS_DENIED, true},
    {"AssumeRoleUnauthorizedAccess", NULL, ERR_CREDENTIALS_FAILED, true}, /* of metadata */
    {"NotAuthorized", NULL, ERR_AWS_DENIED, false},
    {"OptInRequired", NULL, ERR_AWS_DENIED, false},
    {"DecryptionFailure", NULL, ERR_KMS_FAILED, false},
    {"InvalidRequestException", "KMS key", ERR_KMS_FAILED, false},
    {"InvalidRequestException", "default KMS service key", ERR_KMS_FAILED, false},
    {"InvalidRequestException", "marked for deletion", ERR_SECRET_DELETED, false},
    {"InvalidRequestException", "marked deleted", ERR_SECRET_DELETED, false},
    {"InvalidRequestException", "scheduled for deletion", ERR_SECRET_DELETED, false},
    {"InvalidRequestException", "a VersionStage that", ERR_VERSION_UNKNOWN, false},
    {"ResourceNotFoundException", "staging label: AWSCURRENT", ERR_VERSION_MISSING, true},
    {"ResourceNotFoundException", "staging label: AWSPENDING", ERR_VERSION_PENDING, false},
    {"ResourceNotFoundException", "secret value for", ERR_VERSION_UNKNOWN, false},
    {"ResourceNotFoundException", NULL, ERR_SECRET_NOT_FOUND, true},
    {"ExpiredToken", NULL, ERR_CREDENTIALS_EXPIRED, false},
    {"ExpiredTokenException", NULL, ERR_CREDENTIALS_EXPIRED, false},
    {"AuthFailure", NULL, ERR_CREDENTIALS_UNKNOWN, true},
    {"InvalidAccessKeyId", NULL, ERR_CREDENTIALS_UNKNOWN, true},
    {"InvalidClientTokenId", NULL, ERR_CREDENTIALS_UNKNOWN, true},
    {"UnrecognizedClientException", NULL, ERR_CREDENTIALS_UNKNOWN, true},
    {"RequestExpired", NULL, ERR_CLOCK_SKEW, false},
    {"RequestInTheFuture", NULL, ERR_CLOCK_SKEW, false},
    {"RequestTimeTooSkewed", NULL, ERR_CLOCK_SKEW, false},
    {"InvalidSignatureException", "Signature expired", ERR_CLOCK_SKEW, false},
    {"InvalidSignatureException", "not yet current", ERR_CLOCK_SKEW, false},
    {"InvalidSignatureException", NULL, ERR_SIGNATURE_WRONG, false},
    {"SignatureDoesNotMatch", "Signature expired", ERR_CLOCK_SKEW, false},
    {"SignatureDoesNotMatch", "not yet current", ERR_CLOCK_SKEW, false},
    {"SignatureDoesNotMatch", NULL, ERR_SIGNATURE_WRONG, false},
    {"IncompleteSignature", NULL, ERR_SIGNATURE_WRONG, false},
    {"IncompleteSignatureException", NULL, ERR_SIGNATURE_WRONG, false},
    {"MissingAuthenticationToken", NULL, ERR_SIGNATURE_WRONG, false},
    {"MissingAuthenticationTokenException", NULL, ERR_SIGNATURE_WRONG, false},
};

/* Whose policies decide, in AWS's words and in ours. */
static const struct policy {
    const char *words, *kind;
    bool others; /* neither the role's nor the secret's: it was there before them */
} policies[] = {
    {"VPC endpoint policy", "the VPC endpoint's policy", true},
    {"service control policy", "a service control policy", true},
    {"resource control policy", "a resource control policy", true},
    {"permissions boundary", "the role's permissions boundary", false},
    {"session policy", "the session's policy", false},
    {"resource-based policy", "the secret's own policy", false},
    {"identity-based policy", "the role's own policies", false},
};

static const struct policy *find_policy(const char *message)
{
    size_t i;

    for (i = 0; i < sizeof policies / sizeof policies[0]; i++)
        if (strstr(message, policies[i].words))
            return &policies[i];
    return NULL;
}

const char *policy_kind(const char *message)
{
    const struct policy *policy = find_policy(message);

    return policy ? policy->kind : NULL;
}

static const struct known_error *find_error(const char *code, const char *message)
{
    size_t i;

    for (i = 0; i < sizeof known_errors / sizeof known_errors[0]; i++)
        if (strcmp(code, known_errors[i].code) == 0 &&
            (!known_errors[i].words || strstr(message, known_errors[i].words)))
            return &known_errors[i];
    return NULL;
}

enum err_code answer_means(int status, const char *code, const char *message)
{
    const struct http_response response = {.result = HTTP_ANSWERED, .status = status};
    const struct known_error *known = find_error(code, message);

    if (known)
        return known->means;
    if (retry_classify(&response, code) != RETRY_NEVER || status >= 500)
        return ERR_AWS_BUSY;
    if (status == 401 || status == 403)
        return ERR_AWS_DENIED;
    return status >= 400 ? ERR_AWS_REJECTED : ERR_AWS_ANSWER;
}

bool answer_is_young(const char *code, const char *message)
{
    const struct known_error *known = find_error(code, message);
    const struct policy *policy = find_policy(message);

    return known && known->young && !strstr(message, "explicit deny") &&
           !(policy && policy->others);
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
    case HTTP_UNTRUSTED:
        return response->tls.verify == VERIFY_EXPIRED ||
                       response->tls.verify == VERIFY_NOT_YET_VALID
                   ? CAUSE_AWS_DATES
                   : ERR_AWS_UNTRUSTED;
    case HTTP_TOO_LARGE: return ERR_AWS_ANSWER;
    case HTTP_ADDRESS_DENIED: return ERR_CONFIG;
    case HTTP_NO_MEMORY: return ERR_MEMORY_FULL;
    case HTTP_NO_DESCRIPTORS: return ERR_DESCRIPTORS_FULL;
    case HTTP_NO_THREADS: return ERR_THREADS_FULL;
    case HTTP_FAILED: return ERR_SYSTEM;
    default: return unreached(response);
    }
}
