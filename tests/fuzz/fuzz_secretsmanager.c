/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets Manager, DescribeSecret and GetSecretValue: a byte of choices, then answers (answers.h).
 */
#include "aws/secretsmanager.h"

#include "answers.h"
#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/environment.h"
#include "aws/kept.h"
#include "config/options.h"
#include "fuzz.h"

static char key_id[] = "AKIDEXAMPLE", secret_key[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            token[] = "session-token-of-the-agent";

static void check_version(const struct secret_version *version)
{
    FUZZ_CHECK(memchr(version->arn, '\0', sizeof version->arn));
    FUZZ_CHECK(memchr(version->id, '\0', sizeof version->id));
}

/* What the agent does not hold is no secret of its own. */
static void check_result(const struct aws *aws, int result, const struct err *err)
{
    if (fuzz_result(result, err) < 0 && aws->environment->secret_access_key)
        FUZZ_CHECK(!strstr(err->reason, secret_key) && !strstr(err->reason, token));
}

static void ask(const struct aws *aws, unsigned how)
{
    static const char arn[] =
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:example-AbCdEf";
    struct secretsmanager *manager;
    struct secret_version version;
    struct secret secret;
    struct err err;
    int result;

    fuzz_err_open(&err);
    manager = secretsmanager_new(aws, &err);
    if (!manager) {
        fuzz_err_check(&err);
        return;
    }
    if (how & 1) {
        result = secretsmanager_describe(manager, arn, &version, &err);
        check_result(aws, result > 0 ? 0 : result, &err); /* 1: denied, which is no error */
        check_version(&version);
    }
    fuzz_err_open(&err);
    result = secretsmanager_get(manager, how & 2 ? "quoted\\name" : arn, &secret, &err);
    check_result(aws, result, &err);
    FUZZ_CHECK(result == 0 ? secret.version.id[0] : !secret.document.data);
    check_version(&secret.version);
    secret_free(&secret);
    secretsmanager_free(manager);
}

void fuzz(struct bytes input)
{
    const unsigned how = fuzz_byte(&input);
    const struct config_variable variables[] = {
        {"AWS_REGION", "eu-central-1"},
        {how & 64 ? "AWS_EC2_METADATA_DISABLED" : "-", "true"},
        {NULL, NULL},
    };
    const struct config config = {
        .variables = variables,
        .version_stage = how & 4 ? "AWSPENDING" : NULL,
        .version_id = how & 8 ? "EXAMPLE1-90ab-cdef-fedc-ba987SECRET1" : NULL,
        .role_arn = how & 32 ? "arn:aws:iam::123456789012:role/example" : NULL,
    };
    const struct environment keys = {
        .access_key_id = key_id, .secret_access_key = secret_key, .session_token = token};
    const struct environment nothing = {0};
    struct aws_kept kept = {0};
    const struct aws aws = {
        .config = &config,
        .environment = how & 64    ? &keys
                       : how & 128 ? &nothing
                                   : &keys,
        .deadline = 1000000 + 30000,
        .kept = how & 16 ? &kept : NULL,
    };

    answers_begin(input);
    ask(&aws, how);
    credentials_free(kept.credentials);
}
