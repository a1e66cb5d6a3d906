/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/endpoint.h"
#include "aws/profile.h"
#include "aws/secretsmanager.h"
#include "aws_fixture.h"
#include "base/arena.h"
#include "base/clock.h"
#include "fake_server.h"
#include "samples.h"

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
        cmocka_unit_test_setup(test_get, aws_fixture),
        cmocka_unit_test_setup(test_get_with_session_token, aws_fixture),
        cmocka_unit_test_setup(test_get_tries_again, aws_fixture),
        cmocka_unit_test_setup(test_get_denied, aws_fixture),
        cmocka_unit_test_setup(test_get_with_fresh_credentials, aws_fixture),
        cmocka_unit_test_setup(test_get_keeps_the_cause_of_a_deadline, aws_fixture),
        cmocka_unit_test_setup(test_get_stays_local_without_tls, aws_fixture),
        cmocka_unit_test_setup(test_get_leaves_nothing, aws_fixture),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
