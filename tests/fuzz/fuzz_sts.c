/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STS, JSON and XML: a byte of choices, a web identity token, then answers (answers.h). The first
 * answer's body is read as XML by itself, too.
 */
#include "aws/sts.h"

#include "answers.h"
#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/credentials/sources.h"
#include "aws/shortage.h"
#include "aws/sts_answer.h"
#include "aws/xml.h"
#include "base/buf.h"
#include "config/options.h"
#include "fuzz.h"

static const char role_arn[] = "arn:aws:iam::123456789012:role/example";

/* What AWS is shown, and what no error may show. */
static const char secret_key[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

static bool give(struct credentials *credentials)
{
    struct err err;

    return source_set(&credentials->access_key_id, bytes_of_text("AKIDEXAMPLE"), "fuzz", "id",
                      &err) == 0 &&
           source_set(&credentials->secret_access_key, bytes_of_text(secret_key), "fuzz", "key",
                      &err) == 0 &&
           source_set(&credentials->session_token, bytes_of_text("session-token-of-the-caller"),
                      "fuzz", "token", &err) == 0;
}

/* A failure, blamed on a shortage as who asks for credentials does. */
static void check_failure(size_t before, struct err *err)
{
    (void)shortage_blame(before, NULL, err);
    fuzz_err_check(err);
}

static void check_result(int result, size_t before, struct err *err)
{
    if (result == 0)
        return;
    check_failure(before, err);
    FUZZ_CHECK(!strstr(err->reason, secret_key));
}

static void assume(const struct aws *aws, unsigned how, const char *token_file)
{
    const struct sts_role role = {
        .arn = role_arn,
        .session_name = how & 2 ? "session" : NULL,
        .external_id = how & 4 ? "external/+ id" : NULL,
        .duration = how & 8 ? "3600" : NULL,
    };
    const size_t before = shortage_look();
    struct credentials credentials = {.source = "environment"};
    struct err err;

    fuzz_err_open(&err);
    if (!give(&credentials))
        FUZZ_CHECK(fuzz_starved());
    else if (how & 1)
        check_result(sts_assume_with_token(aws, &role, token_file, &credentials, &err), before,
                     &err);
    else
        check_result(sts_assume_role(aws, &role, &credentials, &err), before, &err);
    credentials_clear(&credentials);
}

/* As the chain of sources comes to it, by variables. */
static void ask_source(const struct aws *aws)
{
    const size_t before = shortage_look();
    struct credentials credentials = {0};
    struct err err;

    fuzz_err_open(&err);
    if (source_web_identity(aws, &credentials, &err) != SOURCE_FOUND)
        check_failure(before, &err);
    credentials_clear(&credentials);
}

static void read_alone(struct bytes body, unsigned how)
{
    static const char *const paths[] = {
        "ErrorResponse/Error/Code", "AssumeRoleResponse/AssumeRoleResult/Credentials/Expiration",
        "a", "a/b"};
    struct credentials credentials = {0};
    struct buf text = {.tag = ARENA_WORK};
    size_t before;
    struct err err;

    if (xml_text(body, paths[how >> 4 & 3], &text) != 1)
        FUZZ_CHECK(text.len == 0 || text.data);
    buf_free(&text);
    fuzz_err_open(&err);
    before = shortage_look();
    if (sts_answer_read(&credentials, body, "AssumeRole", role_arn, &err) < 0)
        check_failure(before, &err);
    credentials_clear(&credentials);
}

static struct bytes body_of(struct bytes answer)
{
    const uint8_t *end = answer.len ? memmem(answer.data, answer.len, "\n\n", 2) : NULL;

    return end ? bytes_of(end + 2, (size_t)(answer.data + answer.len - end - 2)) : answer;
}

void fuzz(struct bytes input)
{
    const unsigned how = fuzz_byte(&input);
    const char *token_file = fuzz_file(0, fuzz_part(&input));
    const struct config_variable variables[] = {
        {"AWS_REGION", how & 64 ? "cn-north-1" : "us-east-1"},
        {how & 128 ? "AWS_STS_REGIONAL_ENDPOINTS" : "-", "legacy"},
        {how & 2 ? "AWS_ROLE_ARN" : "-", role_arn},
        {how & 4 ? "AWS_WEB_IDENTITY_TOKEN_FILE" : "-", token_file},
        {NULL, NULL},
    };
    const struct config config = {.variables = variables};
    const struct aws aws = {.config = &config, .deadline = 1000000 + 20000};
    struct bytes answers = input;

    answers_begin(input);
    if (how & 1)
        ask_source(&aws);
    assume(&aws, how, token_file);
    read_alone(body_of(fuzz_part(&answers)), how);
}
