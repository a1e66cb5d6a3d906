/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "aws/answer.h"
#include "aws/error.h"
#include "aws/secretsmanager.h"
#include "aws_fixture.h"
#include "base/arena.h"
#include "base/clock.h"
#include "little_memory.h"
#include "net/http.h"
#include "samples.h"

/* Reads an error answer of the service: what it is to the user. */
static enum err_code read_error(int status, const char *error_type, const char *body,
                                struct aws_error *error)
{
    struct http_response response = {.result = HTTP_ANSWERED, .status = status};

    response.body.tag = ARENA_DOCUMENT;
    assert_int_equal(buf_append_text(&response.body, body), 0);
    (void)snprintf(response.error_type, sizeof response.error_type, "%s", error_type);
    (void)snprintf(response.request_id, sizeof response.request_id, "id-1");
    aws_error_read(error, &response);
    assert_null(response.body.data);
    return error->means;
}

static void test_error_codes(void **state)
{
    static const struct {
        int status;
        const char *code;
        enum err_code means;
    } cases[] = {
        {400, "ResourceNotFoundException", ERR_SECRET_NOT_FOUND},
        {400, "AccessDeniedException", ERR_AWS_DENIED},
        {400, "ExpiredTokenException", ERR_CREDENTIALS_EXPIRED},
        {403, "InvalidClientTokenId", ERR_CREDENTIALS_UNKNOWN},
        {400, "UnrecognizedClientException", ERR_CREDENTIALS_UNKNOWN},
        {400, "InvalidSignatureException", ERR_SIGNATURE_WRONG},
        {403, "SomethingNew", ERR_AWS_DENIED},
        {400, "InvalidRequestException", ERR_AWS_REJECTED},
        {400, "InvalidParameterException", ERR_AWS_REJECTED},
        {400, "DecryptionFailure", ERR_KMS_FAILED},
        {400, "ValidationException", ERR_AWS_REJECTED},
        {400, "ThrottlingException", ERR_AWS_BUSY},
        {400, "InternalServiceError", ERR_AWS_BUSY},
        {503, "ServiceUnavailable", ERR_AWS_BUSY},
        {505, "", ERR_AWS_BUSY},
        {302, "", ERR_AWS_ANSWER},
        {204, "", ERR_AWS_ANSWER},
    };
    struct aws_error error;
    char body[128];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(body, sizeof body, "{\"__type\":\"%s\"}", cases[i].code);
        assert_int_equal(read_error(cases[i].status, "", body, &error), cases[i].means);
        assert_string_equal(error.code, cases[i].code);
    }
}

static void test_error_text(void **state)
{
    struct aws_error error;

    (void)state;
    (void)read_error(
        400, "",
        "{\"__type\":\"com.amazon.coral#AccessDeniedException\",\"Message\":\"no\\u000a2\"}",
        &error);
    assert_string_equal(error.text, "AccessDeniedException: no (HTTP 400, request id id-1)");
    (void)read_error(400, "ThrottlingException:http://internal/", "", &error);
    assert_string_equal(error.code, "ThrottlingException");
    (void)read_error(502, "", "<html>", &error);
    assert_string_equal(error.text, "HTTP 502, request id id-1");
    (void)read_error(400, "", "{\"__type\":7,\"message\":[]}", &error);
    assert_string_equal(error.text, "HTTP 400, request id id-1");
    (void)read_error(400, "a\x1b[31mb", "[]", &error);
    assert_string_equal(error.code, "a\\x1B[31mb");
}

/* AWS has echoed a session token in an error. */
static void test_error_text_masks_secrets(void **state)
{
    static const char token[] = "IQoJb3JpZ2luX2VjEXAMPLE";
    char *live = arena_alloc(sizeof token, ARENA_CREDENTIALS);
    struct aws_error error;

    (void)state;
    assert_non_null(live);
    memcpy(live, token, sizeof token);
    (void)read_error(
        400, "", "{\"__type\":\"X\",\"message\":\"token IQoJb3JpZ2luX2VjEXAMPLE is bad\"}", &error);
    assert_string_equal(error.text, "X: token [masked] is bad (HTTP 400, request id id-1)");
    arena_free(live);
}

static void read_dated_error(const char *code, int64_t time, struct aws_error *error)
{
    struct http_response response = {.result = HTTP_ANSWERED, .status = 400};
    time_t seconds = (time_t)time;
    struct tm tm;

    (void)snprintf(response.error_type, sizeof response.error_type, "%s", code);
    (void)strftime(response.date, sizeof response.date, "%a, %d %b %Y %H:%M:%S GMT",
                   gmtime_r(&seconds, &tm));
    aws_error_read(error, &response);
}

/* As long as one second lasts. */
static void read_skewed_error(const char *code, int64_t skew_s, struct aws_error *error)
{
    int64_t now;

    do {
        now = clock_wall();
        read_dated_error(code, now + skew_s, error);
    } while (clock_wall() != now);
}

static void test_wrong_clock_is_named(void **state)
{
    struct aws_error error;

    (void)state;
    read_skewed_error("InvalidSignatureException", 3600, &error);
    assert_non_null(strstr(error.text, "this host's clock is 3600 s behind AWS's"));
    read_skewed_error("RequestExpired", -3600, &error);
    assert_non_null(strstr(error.text, "this host's clock is 3600 s ahead of AWS's"));
    read_skewed_error("InvalidSignatureException", 200, &error);
    assert_null(strstr(error.text, "clock"));
    read_skewed_error("AccessDeniedException", 3600, &error);
    assert_null(strstr(error.text, "clock"));
}

static int read_answer(struct secret *secret, const char *text)
{
    *secret = (struct secret){0};
    return answer_read(secret, &config, bytes_of_text(text), "mtls/host", &err);
}

static void test_answer_with_text(void **state)
{
    struct secret secret;

    (void)state;
    assert_int_equal(read_answer(&secret,
                                 "{\"ARN\":\"" ARN "\",\"VersionId\":\"v1\",\"SecretString\":"
                                 "\"{\\\"client_cert\\\":\\\"\\u002d\\\\n\\\"}\"}"),
                     0);
    assert_string_equal((char *)secret.document.data, "{\"client_cert\":\"-\\n\"}");
    assert_string_equal(secret.version.arn, ARN);
    assert_string_equal(secret.version.id, "v1");
    secret_free(&secret);
    assert_null(secret.document.data);
}

static void test_answer_with_bytes(void **state)
{
    struct secret secret;

    (void)state;
    assert_int_equal(
        read_answer(&secret, "{\"ARN\":\"a\",\"VersionId\":\"v\",\"SecretBinary\":\"AP9h\"}"), 0);
    assert_int_equal(secret.document.len, 3);
    assert_memory_equal(secret.document.data, "\x00\xFF\x61", 3);
    secret_free(&secret);
}

/* null and "" are no value. */
static void test_answer_with_absent_values(void **state)
{
    struct secret secret;

    (void)state;
    assert_int_equal(read_answer(&secret, "{\"ARN\":\"a\",\"VersionId\":\"v\",\"SecretString\":"
                                          "\"x\",\"SecretBinary\":null}"),
                     0);
    assert_string_equal((char *)secret.document.data, "x");
    secret_free(&secret);
    assert_int_equal(read_answer(&secret, "{\"ARN\":\"a\",\"VersionId\":\"v\",\"SecretString\":"
                                          "\"\",\"SecretBinary\":\"eA==\"}"),
                     0);
    assert_string_equal((char *)secret.document.data, "x");
    secret_free(&secret);
}

/* By both, where both are given: Secrets Manager refuses a stage of another version. */
static void test_version_by_id_and_stage(void **state)
{
    static const char text[] = "{\"ARN\":\"a\",\"DeletedDate\":\"\",\"VersionIdsToStages\":"
                               "{\"v1\":[\"AWSPREVIOUS\"],\"v2\":[\"AWSCURRENT\"]}}";
    static const struct {
        const char *id, *stage, *found;
    } cases[] = {{"v1", NULL, "v1"},
                 {"v1", "AWSPREVIOUS", "v1"},
                 {"v1", "AWSCURRENT", ""},
                 {NULL, "AWSCURRENT", "v2"}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct secret_version version = {.id = ""};

        config.version_id = cases[i].id;
        config.version_stage = cases[i].stage;
        assert_int_equal(
            answer_read_version(&version, &config, bytes_of_text(text), "mtls/host", &err), 0);
        assert_string_equal(version.id, cases[i].found);
    }
    config.version_id = config.version_stage = NULL;
}

static void test_answer_refused(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "not JSON"},
        {"[]", "ARN"},
        {"{\"ARN\":\"a\",\"VersionId\":\"v\",\"SecretString\":\"x", "not JSON"},
        {"{\"ARN\":\"a\",\"VersionId\":\"v\"}", "neither SecretString"},
        {"{\"ARN\":\"a\",\"VersionId\":\"v\",\"SecretString\":\"x\",\"SecretBinary\":\"eA==\"}",
         "both SecretString"},
        {"{\"ARN\":\"a\",\"VersionId\":\"v\",\"SecretString\":null}", "SecretString"},
        {"{\"ARN\":\"a\",\"VersionId\":\"v\",\"SecretString\":{}}", "SecretString"},
        {"{\"ARN\":\"a\",\"VersionId\":\"v\",\"SecretString\":\"x\",\"SecretString\":\"y\"}",
         "SecretString"},
        {"{\"ARN\":\"a\",\"VersionId\":\"v\",\"SecretBinary\":\"eA=\"}", "SecretBinary"},
        {"{\"ARN\":\"a\",\"VersionId\":\"v\",\"SecretBinary\":7}", "SecretBinary"},
        {"{\"VersionId\":\"v\",\"SecretString\":\"x\"}", "ARN"},
        {"{\"ARN\":\"a b\",\"VersionId\":\"v\",\"SecretString\":\"x\"}", "ARN"},
        {"{\"ARN\":\"a\",\"SecretString\":\"x\"}", "VersionId"},
        {"{\"ARN\":\"a\",\"VersionId\":1,\"SecretString\":\"x\"}", "VersionId"},
        {"{\"ARN\":\"a\",\"VersionId\":\"\",\"SecretString\":\"x\"}", "VersionId"},
        {"{\"ARN\":\"a\",\"VersionId\":"
         "\"01234567890123456789012345678901234567890123456789012345678901234\","
         "\"SecretString\":\"x\"}",
         "VersionId"},
    };
    struct secret secret;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_answer(&secret, cases[i].text), -1);
        assert_err(ERR_AWS_ANSWER, cases[i].reason);
        assert_string_equal(err.subject, "mtls/host");
        secret_free(&secret);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_error_codes, aws_fixture),
        cmocka_unit_test_setup(test_error_text, aws_fixture),
        cmocka_unit_test_setup(test_error_text_masks_secrets, aws_fixture),
        cmocka_unit_test_setup(test_wrong_clock_is_named, aws_fixture),
        cmocka_unit_test_setup(test_answer_with_text, aws_fixture),
        cmocka_unit_test_setup(test_answer_with_bytes, aws_fixture),
        cmocka_unit_test_setup(test_answer_with_absent_values, aws_fixture),
        cmocka_unit_test_setup(test_version_by_id_and_stage, aws_fixture),
        cmocka_unit_test_setup(test_answer_refused, aws_fixture),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
