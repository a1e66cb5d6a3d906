/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "aws/error.h"
#include "aws/error_meaning.h"
#include "net/http.h"

#define WHO                                                                                        \
    "User: arn:aws:sts::123456789012:assumed-role/KMSReader/i-0 is not authorized to perform: "
#define WHAT                                                                                       \
    "secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:::secret:prod/KMS/mtls"
#define KMS "Access to KMS is not allowed"

/* What is judged by AWS's code and sentences; names in a message are any words. */
static const struct {
    const char *code, *message;
    enum err_code means;
    bool young;
} cases[] = {
    {"AccessDeniedException", WHO WHAT, ERR_AWS_DENIED, true},
    {"AccessDeniedException", WHO WHAT " because no identity-based policy allows it",
     ERR_AWS_DENIED, true},
    {"AccessDeniedException", WHO WHAT " because no resource-based policy allows it",
     ERR_AWS_DENIED, true},
    {"AccessDeniedException", WHO WHAT " because no service control policy allows it",
     ERR_AWS_DENIED, false},
    {"AccessDeniedException", WHO WHAT " because no resource control policy allows it",
     ERR_AWS_DENIED, false},
    {"AccessDeniedException", WHO WHAT " because no VPC endpoint policy allows it", ERR_AWS_DENIED,
     false},
    {"AccessDeniedException", WHO WHAT " with an explicit deny in an identity-based policy",
     ERR_AWS_DENIED_EXPLICITLY, false},
    {"AccessDeniedException", KMS, ERR_KMS_DENIED, true},
    {"AccessDeniedException", WHO "kms:Decrypt on resource: arn:aws:kms:::key/k", ERR_KMS_DENIED,
     true},
    {"AccessDeniedException", WHO "kms:Decrypt on it with an explicit deny in a policy",
     ERR_KMS_DENIED, false},
    {"AccessDenied", WHO "sts:AssumeRole on resource: role/r", ERR_AWS_DENIED, true},
    {"AccessDenied", WHO "sts:AssumeRole with an explicit deny", ERR_AWS_DENIED_EXPLICITLY, false},
    {"AssumeRoleUnauthorizedAccess", "", ERR_CREDENTIALS_FAILED, true},
    {"UnrecognizedClientException", "", ERR_CREDENTIALS_UNKNOWN, true},
    {"InvalidClientTokenId", "", ERR_CREDENTIALS_UNKNOWN, true},
    {"ExpiredTokenException", "", ERR_CREDENTIALS_EXPIRED, false},
    {"ResourceNotFoundException", "Secrets Manager can't find the specified secret.",
     ERR_SECRET_NOT_FOUND, true},
    {"ResourceNotFoundException",
     "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
     ERR_VERSION_MISSING, true},
    {"ResourceNotFoundException",
     "Secrets Manager can't find the specified secret value for VersionId: 1", ERR_VERSION_UNKNOWN,
     false},
    {"InvalidRequestException", "The secret prod/KMS/mtls was marked for deletion.",
     ERR_SECRET_DELETED, false},
    {"InvalidRequestException", "You can't use the VersionStage secret", ERR_AWS_REJECTED, false},
    {"SignatureDoesNotMatch", "", ERR_SIGNATURE_WRONG, false},
    {"InvalidSignatureException", "", ERR_SIGNATURE_WRONG, false},
    {"ValidationException", "", ERR_AWS_REJECTED, false},
    {"", "", ERR_AWS_REJECTED, false},
};

static void by_code_and_sentence(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(answer_means(400, cases[i].code, cases[i].message), cases[i].means);
        assert_int_equal(answer_is_young(cases[i].code, cases[i].message), cases[i].young);
    }
}

/* Something before AWS. */
static void a_status_without_a_code_is_not_young(void **state)
{
    (void)state;
    assert_int_equal(answer_means(403, "", ""), ERR_AWS_DENIED);
    assert_false(answer_is_young("", ""));
}

static void a_status_without_a_code_has_a_meaning(void **state)
{
    static const struct {
        int status;
        enum err_code means;
    } rows[] = {
        {200, ERR_AWS_ANSWER},   {302, ERR_AWS_ANSWER},   {399, ERR_AWS_ANSWER},
        {400, ERR_AWS_REJECTED}, {401, ERR_AWS_DENIED},   {402, ERR_AWS_REJECTED},
        {403, ERR_AWS_DENIED},   {404, ERR_AWS_REJECTED}, {429, ERR_AWS_BUSY},
        {499, ERR_AWS_REJECTED}, {500, ERR_AWS_BUSY},     {503, ERR_AWS_BUSY},
        {599, ERR_AWS_BUSY},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (answer_means(rows[i].status, "", "") != rows[i].means)
            fail_msg("%d", rows[i].status);
}

/* A public address that is silent where AWS's own network is meant tells of the name servers. */
static void silence_is_judged_by_the_address(void **state)
{
    static const struct {
        const char *peer;
        bool public;
    } rows[] = {
        {"9.255.255.255:443", true},
        {"10.0.0.1:443", false},
        {"10.255.255.255:443", false},
        {"11.0.0.0:443", true},
        {"100.63.255.255:443", true},
        {"100.64.0.0:443", false},
        {"100.127.255.255:443", false},
        {"100.128.0.0:443", true},
        {"126.0.0.1:443", true},
        {"127.0.0.1:443", false},
        {"128.0.0.1:443", true},
        {"169.253.0.1:443", true},
        {"169.254.0.1:443", false},
        {"169.255.0.1:443", true},
        {"172.15.255.255:443", true},
        {"172.16.0.0:443", false},
        {"172.31.255.255:443", false},
        {"172.32.0.0:443", true},
        {"192.167.0.1:443", true},
        {"192.168.0.1:443", false},
        {"192.168.255.255:443", false},
        {"192.169.0.1:443", true},
        {"[2600:1f18::1]:443", true},
        {"[3fff::1]:443", true},
        {"[fd00::1]:443", false},
        {"[fe80::1]:443", false},
        {"[::1]:443", false},
        {"255.255.255.255:443", true},
        {"", false},
        {":443", false},
        {"no address:443", false},
        {"1.2.3:443", false},
    };
    struct http_response response = {.result = HTTP_TIMEOUT, .stage = HTTP_STAGE_TCP};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)snprintf(response.peer, sizeof response.peer, "%s", rows[i].peer);
        if (transport_means(&response) != (rows[i].public ? ERR_PRIVATE_DNS : ERR_AWS_UNREACHABLE))
            fail_msg("%s", rows[i].peer);
    }
}

static void why_no_answer_came(void **state)
{
    static const struct {
        struct http_response response;
        enum err_code means;
    } rows[] = {
        {{.result = HTTP_PROXY_REFUSED}, ERR_PROXY_REFUSED},
        {{.result = HTTP_UNTRUSTED}, ERR_AWS_UNTRUSTED},
        {{.result = HTTP_TOO_LARGE}, ERR_AWS_ANSWER},
        {{.result = HTTP_ADDRESS_DENIED}, ERR_CONFIG},
        {{.result = HTTP_NO_MEMORY}, ERR_MEMORY_FULL},
        {{.result = HTTP_NO_DESCRIPTORS}, ERR_DESCRIPTORS_FULL},
        {{.result = HTTP_NO_THREADS}, ERR_THREADS_FULL},
        {{.result = HTTP_FAILED}, ERR_SYSTEM},
        {{.result = HTTP_UNRESOLVED, .stage = HTTP_STAGE_DNS}, ERR_DNS_FAILED},
        {{.result = HTTP_TIMEOUT, .stage = HTTP_STAGE_DNS}, ERR_DNS_FAILED},
        {{.result = HTTP_UNREACHABLE, .stage = HTTP_STAGE_TCP, .os_error = ECONNREFUSED},
         ERR_AWS_UNREACHABLE},
        {{.result = HTTP_UNREACHABLE, .stage = HTTP_STAGE_TCP, .os_error = ENETUNREACH},
         ERR_NO_ROUTE},
        {{.result = HTTP_UNREACHABLE, .stage = HTTP_STAGE_TCP, .os_error = EHOSTUNREACH},
         ERR_NO_ROUTE},
        {{.result = HTTP_UNREACHABLE, .stage = HTTP_STAGE_TCP, .peer = "1.2.3.4:443"},
         ERR_AWS_UNREACHABLE},
        {{.result = HTTP_TIMEOUT, .stage = HTTP_STAGE_TLS, .peer = "1.2.3.4:443"},
         ERR_AWS_UNREACHABLE},
        {{.result = HTTP_TIMEOUT, .stage = HTTP_STAGE_ANSWER, .peer = "1.2.3.4:443"},
         ERR_AWS_UNREACHABLE},
        {{.result = HTTP_TIMEOUT, .stage = HTTP_STAGE_TCP, .by_proxy = true},
         ERR_PROXY_UNREACHABLE},
        {{.result = HTTP_UNRESOLVED, .stage = HTTP_STAGE_DNS, .by_proxy = true},
         ERR_PROXY_UNREACHABLE},
        {{.result = HTTP_TIMEOUT, .stage = HTTP_STAGE_TLS, .by_proxy = true}, ERR_AWS_UNREACHABLE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (transport_means(&rows[i].response) != rows[i].means)
            fail_msg("row %zu", i);
}

/* Zero counts: a clock that was wrong may be right by now. Two answers a call may teach. */
static void a_clock_is_learned(void **state)
{
    static const struct {
        int64_t known, told;
        bool dated, learned;
    } rows[] = {
        {0, 241, true, true},       {0, 240, true, false},     {0, -241, true, true},
        {0, -240, true, false},     {3600, 3600, true, false}, {3600, 0, true, true},
        {3600, 3841, true, true},   {3600, -3600, true, true}, {-3600, -3600, true, false},
        {3600, 3600, false, false}, {0, 3600, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct aws_error error = {.skew_s = rows[i].told, .dated = rows[i].dated};

        for (unsigned times = 0; times < 3; times++) {
            struct aws_clock clock = {rows[i].known, times};
            const bool learns = rows[i].learned && times < 2;

            if (aws_clock_learn(&clock, &error) != learns)
                fail_msg("row %zu", i);
            assert_int_equal(clock.skew_s, learns ? rows[i].told : rows[i].known);
            assert_int_equal(clock.learned, times + learns);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_code_and_sentence),
        cmocka_unit_test(a_status_without_a_code_is_not_young),
        cmocka_unit_test(a_status_without_a_code_has_a_meaning),
        cmocka_unit_test(silence_is_judged_by_the_address),
        cmocka_unit_test(why_no_answer_came),
        cmocka_unit_test(a_clock_is_learned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
