/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/error_meaning.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_code_and_sentence),
        cmocka_unit_test(a_status_without_a_code_is_not_young),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
