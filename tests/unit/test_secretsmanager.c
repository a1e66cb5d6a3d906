/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "aws/answer.h"
#include "aws/aws.h"
#include "aws/endpoint.h"
#include "aws/environment.h"
#include "aws/error.h"
#include "aws/profile.h"
#include "aws/secretsmanager.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "fake_server.h"
#include "little_memory.h"
#include "net/http.h"

#define ARN "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls/host-a1B2c3"
#define OK_ANSWER                                                                                  \
    "{\"ARN\":\"" ARN "\",\"Name\":\"mtls/host\",\"SecretString\":\"text\","                       \
    "\"VersionId\":\"7b1d9a1e-0000-4000-8000-000000000001\",\"CreatedDate\":1.5e9}"

static struct config config;
static struct environment environment;
static struct aws aws;
static struct err err;

static int open_arena(void **state)
{
    (void)state;
    return arena_open(&(struct arena_options){.lock_preferred = true}, &err);
}

static int setup(void **state)
{
    (void)state;
    (void)unsetenv("AWS_ENDPOINT_URL");
    (void)unsetenv("AWS_ENDPOINT_URL_SECRETS_MANAGER");
    (void)unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    (void)unsetenv("AWS_USE_FIPS_ENDPOINT");
    (void)unsetenv("AWS_USE_DUALSTACK_ENDPOINT");
    config = (struct config){.region = "eu-central-1", .allow_plaintext_endpoint = true};
    environment = (struct environment){.access_key_id = "AKIDEXAMPLE",
                                       .secret_access_key = "wJalrXUtnFEMIK7MDENG"};
    aws = (struct aws){
        .config = &config, .environment = &environment, .deadline = clock_ms() + 60000};
    err = (struct err){0};
    return 0;
}

static void assert_err(enum err_code code, const char *reason_part)
{
    if (err.code != code || !strstr(err.reason, reason_part))
        fail_msg("got %s: %s: %s", err_info(err.code)->name, err.subject, err.reason);
}

static void assert_endpoint(const char *region, const char *url)
{
    struct aws_endpoint endpoint;

    if (endpoint_resolve(&endpoint, &aws, ENDPOINT_SECRETSMANAGER, region, &err) < 0)
        fail_msg("got %s: %s", err.subject, err.reason);
    assert_string_equal(endpoint.text, url);
}

static void test_endpoint_of_partition(void **state)
{
    (void)state;
    assert_endpoint("us-east-1", "https://secretsmanager.us-east-1.amazonaws.com");
    assert_endpoint("us-gov-west-1", "https://secretsmanager.us-gov-west-1.amazonaws.com");
    assert_endpoint("cn-north-1", "https://secretsmanager.cn-north-1.amazonaws.com.cn");
    assert_endpoint("eusc-de-east-1", "https://secretsmanager.eusc-de-east-1.amazonaws.eu");
    assert_endpoint("us-iso-east-1", "https://secretsmanager.us-iso-east-1.c2s.ic.gov");
    assert_endpoint("us-isob-east-1", "https://secretsmanager.us-isob-east-1.sc2s.sgov.gov");
    assert_endpoint("eu-isoe-west-1", "https://secretsmanager.eu-isoe-west-1.cloud.adc-e.uk");
    assert_endpoint("us-isof-south-1", "https://secretsmanager.us-isof-south-1.csp.hci.ic.gov");
    assert_endpoint("xx-new-1", "https://secretsmanager.xx-new-1.amazonaws.com");
}

static void test_endpoint_variants(void **state)
{
    (void)state;
    (void)setenv("AWS_USE_FIPS_ENDPOINT", "true", 1);
    assert_endpoint("us-east-1", "https://secretsmanager-fips.us-east-1.amazonaws.com");
    (void)setenv("AWS_USE_DUALSTACK_ENDPOINT", "true", 1);
    assert_endpoint("us-east-1", "https://secretsmanager-fips.us-east-1.amazonaws.com");
    assert_endpoint("cn-north-1",
                    "https://secretsmanager-fips.cn-north-1.api.amazonwebservices.com.cn");
    (void)unsetenv("AWS_USE_FIPS_ENDPOINT");
    assert_endpoint("eusc-de-east-1",
                    "https://secretsmanager.eusc-de-east-1.api.amazonwebservices.eu");
}

static void test_endpoint_configured(void **state)
{
    (void)state;
    (void)setenv("AWS_ENDPOINT_URL", "https://all.example", 1);
    assert_endpoint("us-east-1", "https://all.example");
    (void)setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "https://one.example:8443/base", 1);
    assert_endpoint("us-east-1", "https://one.example:8443/base");
    (void)setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "True", 1);
    assert_endpoint("us-east-1", "https://secretsmanager.us-east-1.amazonaws.com");
    config.endpoint_url = "https://option.example";
    assert_endpoint("us-east-1", "https://option.example");
}

static void test_endpoint_parts(void **state)
{
    static const struct {
        const char *text, *name, *host, *path;
    } cases[] = {
        {"https://h.example", "h.example", "h.example", ""},
        {"HTTPS://h.example:443/", "h.example", "h.example", "/"},
        {"https://h.example:8443/a/b", "h.example", "h.example:8443", "/a/b"},
        {"http://127.0.0.1:80", "127.0.0.1", "127.0.0.1", ""},
        {"http://[::1]:4566/", "::1", "[::1]:4566", "/"},
        {"https://[::1]", "::1", "[::1]", ""},
    };
    struct aws_endpoint endpoint;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config.endpoint_url = cases[i].text;
        assert_int_equal(
            endpoint_resolve(&endpoint, &aws, ENDPOINT_SECRETSMANAGER, "us-east-1", &err), 0);
        assert_string_equal(endpoint.url.name, cases[i].name);
        assert_string_equal(endpoint.url.host, cases[i].host);
        assert_string_equal(endpoint.url.path, cases[i].path);
    }
}

static void test_endpoint_refused(void **state)
{
    static const char *const urls[] = {
        "h.example",
        "ftp://h.example",
        "https://",
        "https://u:p@h.example",
        "https://h.example:",
        "https://h.example:0",
        "https://h:65536",
        "https://h.example#f",
        "https://h.example?q",
        "https://h.example/?q",
        "https://h .example",
        "https://[::1",
        "https://[h.example]",
        "https://h\xC3\xA9",
        "https:/h.example",
        "https://h:4x/",
    };
    struct aws_endpoint endpoint;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        config.endpoint_url = urls[i];
        if (endpoint_resolve(&endpoint, &aws, ENDPOINT_SECRETSMANAGER, "us-east-1", &err) == 0)
            fail_msg("accepted %s", urls[i]);
        assert_err(ERR_CONFIG, "the endpoint");
    }
    config.endpoint_url = "http://127.0.0.1:4566";
    config.allow_plaintext_endpoint = false;
    assert_int_equal(endpoint_resolve(&endpoint, &aws, ENDPOINT_SECRETSMANAGER, "us-east-1", &err),
                     -1);
    assert_err(ERR_CONFIG, "--allow-plaintext-endpoint");
    (void)setenv("AWS_USE_FIPS_ENDPOINT", "true", 1);
    assert_int_equal(endpoint_resolve(&endpoint, &aws, ENDPOINT_SECRETSMANAGER, "us-east-1", &err),
                     -1);
    assert_err(ERR_CONFIG, "FIPS");
}

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

/* One GetSecretValue; err tells of it. Ends the server. */
static int get_of(struct fake_server *server, const char *secret_id, struct secret *secret,
                  size_t *served)
{
    struct secretsmanager *manager;
    int r;

    config.endpoint_url = fake_server_url(server);
    manager = secretsmanager_new(&aws, &err);
    assert_non_null(manager);
    r = secretsmanager_get(manager, secret_id, secret, &err);
    secretsmanager_free(manager);
    *served = fake_server_stop(server);
    return r;
}

static int get(const char *const *replies, size_t count, const char *secret_id,
               struct secret *secret, size_t *served)
{
    return get_of(fake_server_start(replies, count), secret_id, secret, served);
}

static void assert_requested(const char *part)
{
    if (!strstr(fake_server_request(0), part))
        fail_msg("the request lacks \"%s\":\n%s", part, fake_server_request(0));
}

static void test_get(void **state)
{
    const char *const replies[] = {fake_reply(200, "", OK_ANSWER)};
    struct secret secret;
    size_t served;

    (void)state;
    assert_int_equal(get(replies, 1, "mtls/\"host\"", &secret, &served), 0);
    assert_string_equal((char *)secret.document.data, "text");
    secret_free(&secret);
    assert_requested("POST / HTTP/1.1\r\nHost: 127.0.0.1:");
    assert_requested("\r\nUser-Agent: mtls-agent/");
    assert_requested("\r\nContent-Type: application/x-amz-json-1.1\r\n");
    assert_requested("\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\n");
    assert_requested("\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/");
    assert_requested("/eu-central-1/secretsmanager/aws4_request, SignedHeaders="
                     "content-type;host;x-amz-date;x-amz-target, Signature=");
    assert_requested("\r\n\r\n{\"SecretId\":\"mtls/\\u0022host\\u0022\"}");
    assert_null(strstr(fake_server_request(0), "X-Amz-Security-Token"));
}

static void test_get_with_session_token(void **state)
{
    const char *const replies[] = {fake_reply(200, "", OK_ANSWER)};
    struct secret secret;
    size_t served;

    (void)state;
    environment.session_token = "session-token";
    assert_int_equal(get(replies, 1, ARN, &secret, &served), 0);
    secret_free(&secret);
    assert_requested("\r\nX-Amz-Security-Token: session-token\r\n");
    assert_requested("content-type;host;x-amz-date;x-amz-security-token;x-amz-target");
}

static void test_get_tries_again(void **state)
{
    const char *const replies[] = {
        fake_reply(500, "", ""), "", fake_reply(400, "", "{\"__type\":\"ThrottlingException\"}"),
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"ARN\":", fake_reply(200, "", OK_ANSWER)};
    struct secret secret;
    size_t served;

    (void)state;
    assert_int_equal(get(replies, 5, ARN, &secret, &served), 0);
    assert_int_equal(served, 5);
    secret_free(&secret);
}

static void test_get_denied(void **state)
{
    const char *const replies[] = {
        fake_reply(400, "x-amzn-RequestId: 1-2-3\r\n",
                   "{\"__type\":\"AccessDeniedException\",\"Message\":\"not authorized\"}"),
        fake_reply(200, "", OK_ANSWER)};
    struct secret secret;
    size_t served;

    (void)state;
    assert_int_equal(get(replies, 2, "mtls/host", &secret, &served), -1);
    assert_int_equal(served, 1);
    assert_err(ERR_AWS_DENIED,
               "AccessDeniedException: not authorized (HTTP 400, request id 1-2-3); 127.0.0.1:");
    assert_err(ERR_AWS_DENIED,
               " in eu-central-1, credentials of environment, try 1; add {\"Effect\":\"Allow\","
               "\"Action\":\"secretsmanager:GetSecretValue\",\"Resource\":"
               "\"arn:aws:secretsmanager:eu-central-1:*:secret:mtls/host-\?\?\?\?\?\?\"}");
    assert_string_equal(err.subject, "mtls/host");
    assert_null(secret.document.data);
}

static char shared[64]; /* the SDKs' credentials file */

static void put_credentials(const char *id)
{
    FILE *file = fopen(shared, "w");

    assert_non_null(file);
    assert_true(fprintf(file, "[default]\naws_access_key_id = %s\naws_secret_access_key = s3cr3t\n",
                        id) > 0);
    assert_int_equal(fclose(file), 0);
}

/* AWS refuses what was read first; by then the file has other credentials, or has not. */
static size_t refused_first(const char *code, const char *now, int *result)
{
    char text[100];
    const char *replies[2];
    struct secret secret = {0};
    struct profiles *profiles;
    size_t served;

    (void)snprintf(text, sizeof text, "{\"__type\":\"%s\",\"Message\":\"no\"}", code);
    replies[0] = fake_reply(400, "", text);
    replies[1] = fake_reply(200, "", OK_ANSWER);
    put_credentials("AKIDFIRST");
    assert_int_equal(profiles_load(&config, &profiles, &err), 0);
    aws.profiles = profiles;
    put_credentials(now);
    *result = get(replies, 2, ARN, &secret, &served);
    secret_free(&secret);
    profiles_free(profiles);
    return served;
}

static void test_get_with_fresh_credentials(void **state)
{
    static const struct {
        const char *code, *now;
        size_t served;
    } rows[] = {
        {"UnrecognizedClientException", "AKIDSECOND", 2},
        {"ExpiredTokenException", "AKIDSECOND", 2},
        {"UnrecognizedClientException", "AKIDFIRST", 1},
        {"ExpiredTokenException", "AKIDFIRST", 1},
        {"AccessDeniedException", "AKIDSECOND", 1},
    };
    int result;

    (void)state;
    (void)snprintf(shared, sizeof shared, "/tmp/mtls-agent-test-%ld", (long)getpid());
    (void)setenv("AWS_SHARED_CREDENTIALS_FILE", shared, 1);
    (void)setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    environment = (struct environment){0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (refused_first(rows[i].code, rows[i].now, &result) != rows[i].served)
            fail_msg("row %zu", i);
        assert_int_equal(result, rows[i].served == 2 ? 0 : -1);
        assert_requested("Credential=AKIDFIRST/");
        if (rows[i].served == 2)
            assert_non_null(strstr(fake_server_request(1), "Credential=AKIDSECOND/"));
    }
    aws.once = true; /* who asks but once asks but once */
    assert_int_equal(refused_first("ExpiredTokenException", "AKIDSECOND", &result), 1);
    assert_int_equal(result, -1);
    (void)unsetenv("AWS_SHARED_CREDENTIALS_FILE");
    (void)unsetenv("AWS_CONFIG_FILE");
    (void)unlink(shared);
}

/* How often is the jitter's affair; that it ends, and by what, is not. */
static void test_get_keeps_the_cause_of_a_deadline(void **state)
{
    struct secret secret;
    size_t served;

    (void)state;
    aws.deadline = clock_ms() + 60000;
    assert_int_equal(get_of(fake_server_repeat(fake_reply(503, "", "")), ARN, &secret, &served),
                     -1);
    assert_err(ERR_AWS_BUSY, "HTTP 503");
    assert_in_range(served, 2, SIZE_MAX);
    assert_true(clock_left(aws.deadline) > 0);

    aws.deadline = clock_ms() + 60000;
    assert_int_equal(get(NULL, 0, ARN, &secret, &served), -1);
    assert_err(ERR_AWS_UNREACHABLE, "connect");

    aws.deadline = clock_ms() - 1;
    assert_int_equal(get(NULL, 0, ARN, &secret, &served), -1);
    assert_int_equal(err.code, ERR_DEADLINE);
}

static void get_one(struct secretsmanager *manager, const char *name)
{
    struct secret secret;

    assert_int_equal(secretsmanager_get(manager, name, &secret, &err), 0);
    assert_string_equal((char *)secret.document.data, "text");
    secret_free(&secret);
}

/* A conversation with that server, in which a first value was got: AWS has taken the credentials.
 */
static struct secretsmanager *meet(struct fake_server *server, const char *first)
{
    struct secretsmanager *manager;

    config.endpoint_url = fake_server_url(server);
    manager = secretsmanager_new(&aws, &err);
    assert_non_null(manager);
    get_one(manager, first);
    return manager;
}

/* What was prefetched is not asked for a second time, and what nobody comes to goes. */
static void test_get_side_by_side(void **state)
{
    static const struct secret_question questions[] = {
        {"b", false}, {"c", false}, {"d", false}, {"e", false}, {"f", false}};
    struct fake_server *server = fake_server_repeat(fake_reply(200, "", OK_ANSWER));
    struct secretsmanager *manager;

    (void)state;
    config.endpoint_url = fake_server_url(server);
    manager = secretsmanager_new(&aws, &err);
    assert_non_null(manager);
    assert_false(secretsmanager_may_prefetch(manager, &questions[0])); /* not taken yet */
    get_one(manager, "a");
    assert_true(secretsmanager_may_prefetch(manager, &questions[0]));
    secretsmanager_prefetch(manager, questions, 5);
    assert_false(secretsmanager_may_prefetch(manager, &questions[0]));
    for (size_t i = 0; i < 3; i++)
        get_one(manager, questions[i].secret_id);
    assert_true(secretsmanager_may_prefetch(manager, &questions[0]));
    secretsmanager_prefetch(manager, questions, 4); /* the last of them waits already */
    get_one(manager, "e");
    secretsmanager_free(manager);
    assert_int_equal(fake_server_stop(server), 1 + 5 + 3);
}

static void test_describe_is_prefetched(void **state)
{
    static const struct secret_question questions[] = {{"b", true}, {"c", true}, {"d", false}};
    struct fake_server *server =
        fake_server_repeat(fake_reply(200, "",
                                      "{\"ARN\":\"" ARN "\",\"Name\":\"mtls/host\","
                                      "\"SecretString\":\"text\",\"VersionId\":\"id-1\","
                                      "\"VersionIdsToStages\":{\"id-1\":[\"AWSCURRENT\"]}}"));
    struct secretsmanager *manager;
    struct secret_version version;
    char id[SECRET_VERSION_MAX];

    (void)state;
    manager = meet(server, "a");
    secretsmanager_prefetched_id(manager, "b", id);
    assert_string_equal(id, "");
    secretsmanager_prefetch(manager, questions, 3);
    secretsmanager_prefetched_id(manager, "b", id);
    assert_string_equal(id, "id-1");
    secretsmanager_prefetched_id(manager, "d", id); /* whose value waits, not its description */
    assert_string_equal(id, "");
    assert_int_equal(secretsmanager_describe(manager, "b", &version, &err), 0);
    assert_string_equal(version.id, "id-1");
    secretsmanager_prefetched_id(manager, "b", id);
    assert_string_equal(id, "");
    secretsmanager_free(manager);
    assert_int_equal(fake_server_stop(server), 1 + 3);
}

/* A reply with a secret of so many letters, each of them written so. */
static const char *large_reply(const char *letter, size_t count)
{
    enum { MOST = 256 * 1024 };
    static char *body, *reply; /* too large for static storage, which aarch64 reaches 1 MiB of */
    size_t len;

    body = body ? body : malloc(MOST);
    reply = reply ? reply : malloc(MOST + 256);
    assert_true(body && reply);
    len = (size_t)snprintf(body, MOST,
                           "{\"ARN\":\"" ARN "\",\"Name\":\"mtls/host\","
                           "\"VersionId\":\"id-1\",\"SecretString\":\"");

    for (; count > 0; count--)
        len += (size_t)snprintf(body + len, MOST - len, "%s", letter);
    (void)snprintf(body + len, MOST - len, "\"}");
    (void)snprintf(reply, MOST + 256,
                   "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                   strlen(body), body);
    return reply;
}

/* As the agent does: before each question, all that are left. */
static void get_all(struct secretsmanager *manager, const struct secret_question *questions,
                    size_t count)
{
    struct secret secret;

    for (; count > 0; questions++, count--) {
        if (secretsmanager_may_prefetch(manager, questions))
            secretsmanager_prefetch(manager, questions, count);
        if (secretsmanager_get(manager, questions->secret_id, &secret, &err) < 0)
            fail_msg("got %s: %s", err.subject, err.reason);
        secret_free(&secret);
    }
}

static const struct secret_question eight[] = {{"b", false}, {"c", false}, {"d", false},
                                               {"e", false}, {"f", false}, {"g", false},
                                               {"h", false}, {"i", false}};

/* Eight questions with so much memory, of answers with so many letters: how many requests. */
static size_t requests_within(size_t memory, size_t letters)
{
    struct fake_server *small = fake_server_repeat(fake_reply(200, "", OK_ANSWER));
    struct fake_server *server = fake_server_repeat(large_reply("x", letters));
    struct secretsmanager *manager;

    (void)signal(SIGPIPE, SIG_IGN); /* the servers' */
    config.endpoint_url = fake_server_url(small);
    manager = secretsmanager_new(&aws, &err);
    assert_non_null(manager);
    get_all(manager, &(struct secret_question){"a", false}, 1);
    get_all(manager, eight, 8);
    (void)fake_server_stop(small);
    config.endpoint_url = fake_server_url(server);
    leave_free(memory);
    get_all(manager, eight, 8);
    give_back();
    secretsmanager_free(manager);
    return fake_server_stop(server);
}

/* Those for whose answers there is no memory are asked for a second time, at most. */
static void test_get_ahead_with_little_memory(void **state)
{
    static const struct {
        size_t kib, letters;
    } rows[] = {{300, 40000}, {300, 60000}, {500, 60000}, {650, 40000}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_in_range(requests_within(rows[i].kib * 1024, rows[i].letters), 8, 2 * 8);
}

/* One that is too large to wait is asked for a second time, alone, and no other suffers. */
static void test_get_ahead_of_a_large_one(void **state)
{
    struct fake_server *server = fake_server_repeat(large_reply("\\u0078", 30000)), *other;
    struct secretsmanager *manager;

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN); /* the server's */
    config.endpoint_url = fake_server_url(server);
    manager = secretsmanager_new(&aws, &err);
    assert_non_null(manager);
    get_all(manager, &(struct secret_question){"a", false}, 1);
    secretsmanager_prefetch(manager, eight, 3);
    get_all(manager, eight, 3);
    assert_int_equal(fake_server_stop(server), 1 + 2 * 3);
    other = fake_server_repeat(fake_reply(200, "", OK_ANSWER));
    config.endpoint_url = fake_server_url(other);
    secretsmanager_prefetch(manager, eight, 8);
    secretsmanager_free(manager);
    assert_int_equal(fake_server_stop(other), 8);
}

/* A set's values that wait are of one moment, or go. */
static void test_values_are_not_mixed(void **state)
{
    static const char *const sets[][2] = {{"b", "c"}, {"d", "z"}, {"z", "e"}, {"f", "g"}};
    struct fake_server *server = fake_server_repeat(fake_reply(200, "", OK_ANSWER));
    struct secretsmanager *manager;

    (void)state;
    manager = meet(server, "a");
    secretsmanager_prefetch(manager, eight, 5);     /* b to f */
    secretsmanager_prefetch(manager, eight + 4, 3); /* g and h */
    for (size_t i = 0; i < 4; i++)
        secretsmanager_drop_mixed(manager, sets[i], 2);
    for (size_t i = 0; i < 7; i++)
        assert_true(secretsmanager_may_prefetch(manager, &eight[i]) == (i >= 2 && i <= 5));
    secretsmanager_free(manager);
    assert_int_equal(fake_server_stop(server), 1 + 5 + 2);
}

/* Nor is one that AWS has refused taken for one that waits: it is asked again, and would be newer.
 */
static void test_what_is_refused_does_not_wait(void **state)
{
    const char *good = fake_reply(200, "", OK_ANSWER);
    const char *refusal = fake_reply(400, "", "{\"__type\":\"ThrottlingException\"}");
    const char *const replies[] = {good, good, refusal, refusal};
    struct fake_server *server;
    struct secretsmanager *manager;

    (void)state;
    server = fake_server_start(replies, 4);
    manager = meet(server, "a");
    secretsmanager_prefetch(manager, eight, 3); /* b, c and d, one of which is answered */
    secretsmanager_drop_mixed(manager, (const char *const[]){"b", "c", "d"}, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(secretsmanager_may_prefetch(manager, &eight[i]));
    secretsmanager_free(manager);
    assert_int_equal(fake_server_stop(server), 4);
}

#define OTHER "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"

/* What is only asked for ahead asks no instance metadata for its region, and hinders no other. */
static void test_ahead_without_a_region(void **state)
{
    static const struct secret_question questions[] = {
        {ARN, false}, {"name", false}, {OTHER "b-a1B2c3", false}};
    struct fake_server *server = fake_server_repeat(fake_reply(200, "", OK_ANSWER));
    struct fake_server *metadata = fake_server_repeat(fake_reply(200, "", "eu-central-1"));
    struct secretsmanager *manager;

    (void)state;
    config.endpoint_url = fake_server_url(server);
    config.region = NULL;
    (void)setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", fake_server_url(metadata), 1);
    manager = secretsmanager_new(&aws, &err);
    assert_non_null(manager);
    get_one(manager, OTHER "a-a1B2c3");
    secretsmanager_prefetch(manager, questions, 3);
    assert_false(secretsmanager_may_prefetch(manager, &questions[0]));
    assert_true(secretsmanager_may_prefetch(manager, &questions[1]));
    assert_false(secretsmanager_may_prefetch(manager, &questions[2]));
    assert_int_equal(fake_server_stop(metadata), 0);
    secretsmanager_free(manager);
    (void)unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    assert_int_equal(fake_server_stop(server), 1 + 2);
}

/* A region that did not answer is left out until its turn has come, and it answers. */
static void test_ahead_of_a_silent_region(void **state)
{
    static const struct secret_question silent[] = {{OTHER "b-a1B2c3", false},
                                                    {OTHER "c-a1B2c3", false}},
                                        mixed[] = {
                                            {"b", false}, {OTHER "b-a1B2c3", false}, {"c", false}};
    struct fake_server *server = fake_server_repeat(fake_reply(200, "", OK_ANSWER));
    struct secretsmanager *manager;

    (void)state;
    manager = meet(server, "a");
    config.endpoint_url = "http://127.0.0.1:1"; /* nobody is there */
    secretsmanager_prefetch(manager, silent, 2);
    config.endpoint_url = fake_server_url(server);
    get_one(manager, "d");
    secretsmanager_prefetch(manager, mixed, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(secretsmanager_may_prefetch(manager, &mixed[i]) == (i == 1));
    get_one(manager, OTHER "b-a1B2c3");
    secretsmanager_prefetch(manager, (struct secret_question[]){eight[3], silent[1]}, 2);
    assert_false(secretsmanager_may_prefetch(manager, &silent[1]));
    secretsmanager_free(manager);
    assert_int_equal(fake_server_stop(server), 1 + 1 + 2 + 1 + 2);
}

static void test_get_stays_local_without_tls(void **state)
{
    struct secretsmanager *manager = secretsmanager_new(&aws, &err);
    struct secret secret;

    (void)state;
    assert_non_null(manager);
    config.endpoint_url = "http://192.0.2.1"; /* nobody's, by RFC 5737 */
    assert_int_equal(secretsmanager_get(manager, ARN, &secret, &err), -1);
    assert_err(ERR_CONFIG, "plain http must not leave this host");
    secretsmanager_free(manager);
}

static void test_get_leaves_nothing(void **state)
{
    const char *const replies[] = {fake_reply(200, "", OK_ANSWER)};
    struct arena_stats before, after;
    struct secret secret;
    size_t served, i;

    (void)state;
    arena_stats(&before);
    assert_int_equal(get(replies, 1, ARN, &secret, &served), 0);
    secret_free(&secret);
    arena_stats(&after);
    for (i = ARENA_CREDENTIALS; i < ARENA_TAGS; i++)
        assert_int_equal(after.tagged[i], before.tagged[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_endpoint_of_partition, setup),
        cmocka_unit_test_setup(test_endpoint_variants, setup),
        cmocka_unit_test_setup(test_endpoint_configured, setup),
        cmocka_unit_test_setup(test_endpoint_parts, setup),
        cmocka_unit_test_setup(test_endpoint_refused, setup),
        cmocka_unit_test_setup(test_error_codes, setup),
        cmocka_unit_test_setup(test_error_text, setup),
        cmocka_unit_test_setup(test_error_text_masks_secrets, setup),
        cmocka_unit_test_setup(test_wrong_clock_is_named, setup),
        cmocka_unit_test_setup(test_answer_with_text, setup),
        cmocka_unit_test_setup(test_answer_with_bytes, setup),
        cmocka_unit_test_setup(test_answer_with_absent_values, setup),
        cmocka_unit_test_setup(test_version_by_id_and_stage, setup),
        cmocka_unit_test_setup(test_answer_refused, setup),
        cmocka_unit_test_setup(test_get, setup),
        cmocka_unit_test_setup(test_get_with_session_token, setup),
        cmocka_unit_test_setup(test_get_tries_again, setup),
        cmocka_unit_test_setup(test_get_denied, setup),
        cmocka_unit_test_setup(test_get_with_fresh_credentials, setup),
        cmocka_unit_test_setup(test_get_side_by_side, setup),
        cmocka_unit_test_setup(test_describe_is_prefetched, setup),
        cmocka_unit_test_setup(test_get_ahead_with_little_memory, setup),
        cmocka_unit_test_setup(test_get_ahead_of_a_large_one, setup),
        cmocka_unit_test_setup(test_values_are_not_mixed, setup),
        cmocka_unit_test_setup(test_what_is_refused_does_not_wait, setup),
        cmocka_unit_test_setup(test_ahead_without_a_region, setup),
        cmocka_unit_test_setup(test_ahead_of_a_silent_region, setup),
        cmocka_unit_test_setup(test_get_keeps_the_cause_of_a_deadline, setup),
        cmocka_unit_test_setup(test_get_stays_local_without_tls, setup),
        cmocka_unit_test_setup(test_get_leaves_nothing, setup),
    };

    return cmocka_run_group_tests(tests, open_arena, NULL);
}
