/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/environment.h"
#include "aws/region.h"
#include "aws/url.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "fake_server.h"
#include "samples.h"

#define MEMBERS                                                                                    \
    "\"AccessKeyId\":\"ASIACORRECT\",\"SecretAccessKey\":\"secret/correct\",\"Token\":\"token=\"," \
    "\"Expiration\":\"2009-02-13T23:31:30Z\"}"
#define ANSWER      "{" MEMBERS
#define IMDS_ANSWER "{\"Code\":\"Success\"," MEMBERS

static struct config config;
static struct environment environment;
static struct aws aws;
static struct err err;

/* Every variable that a test may set, so that none survives it. */
static const char *const variables[] = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_METADATA_SERVICE_TIMEOUT",
    "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
};

/* What the process's environment held stays with it for good, in the agent. */
static int forget(void **state)
{
    (void)state;
    arena_free(environment.access_key_id);
    arena_free(environment.secret_access_key);
    arena_free(environment.session_token);
    arena_free(environment.container_token);
    environment = (struct environment){0};
    return 0;
}

static int setup(void **state)
{
    size_t i;

    (void)forget(state);
    for (i = 0; i < sizeof variables / sizeof variables[0]; i++)
        (void)unsetenv(variables[i]);
    (void)setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    config = (struct config){0};
    aws = (struct aws){
        .config = &config, .environment = &environment, .deadline = clock_ms() + 60000};
    err = (struct err){0};
    return 0;
}

static int resolve(struct credentials **out)
{
    *out = NULL;
    (void)forget(NULL);
    assert_int_equal(environment_take(&environment, &err), 0);
    return credentials_resolve(&aws, out, &err);
}

static void assert_fails(enum err_code code, const char *subject, const char *reason_part)
{
    struct credentials *credentials;

    assert_int_equal(resolve(&credentials), -1);
    assert_null(credentials);
    if (err.code != code || strcmp(err.subject, subject) != 0 || !strstr(err.reason, reason_part))
        fail_msg("got %s: %s: %s", err_info(err.code)->name, err.subject, err.reason);
}

static void assert_finds(const char *source, const char *token)
{
    struct credentials *credentials;

    if (resolve(&credentials) < 0)
        fail_msg("got %s: %s: %s", err_info(err.code)->name, err.subject, err.reason);
    assert_string_equal(credentials->source, source);
    assert_string_equal(credentials->access_key_id, "ASIACORRECT");
    assert_string_equal(credentials->secret_access_key, "secret/correct");
    if (token)
        assert_string_equal(credentials->session_token, token);
    else
        assert_null(credentials->session_token);
    credentials_free(credentials);
}

static void assert_requested(size_t i, const char *part)
{
    if (!strstr(fake_server_request(i), part))
        fail_msg("request %zu lacks \"%s\":\n%s", i, part, fake_server_request(i));
}

static void test_environment(void **state)
{
    (void)state;
    (void)setenv("AWS_ACCESS_KEY_ID", "ASIACORRECT", 1);
    (void)setenv("AWS_SECRET_ACCESS_KEY", "secret/correct", 1);
    assert_finds("environment", NULL);
}

static void test_environment_wins_over_container(void **state)
{
    (void)state;
    (void)setenv("AWS_ACCESS_KEY_ID", "ASIACORRECT", 1);
    (void)setenv("AWS_SECRET_ACCESS_KEY", "secret/correct", 1);
    (void)setenv("AWS_SECURITY_TOKEN", "older", 1);
    (void)setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/", 1);
    assert_finds("environment", "older");
}

static void test_newer_token_name_wins(void **state)
{
    (void)state;
    (void)setenv("AWS_ACCESS_KEY_ID", "ASIACORRECT", 1);
    (void)setenv("AWS_SECRET_ACCESS_KEY", "secret/correct", 1);
    (void)setenv("AWS_SECURITY_TOKEN", "older", 1);
    (void)setenv("AWS_SESSION_TOKEN", "newer", 1);
    assert_finds("environment", "newer");
}

static void test_half_an_environment_fails(void **state)
{
    (void)state;
    (void)setenv("AWS_ACCESS_KEY_ID", "ASIACORRECT", 1);
    (void)setenv("AWS_SECRET_ACCESS_KEY", " \t", 1); /* blank is unset */
    assert_fails(ERR_CREDENTIALS_FAILED, "environment", "AWS_SECRET_ACCESS_KEY is not");
}

static void test_other_half_fails(void **state)
{
    (void)state;
    (void)setenv("AWS_SECRET_ACCESS_KEY", "secret/correct", 1);
    assert_fails(ERR_CREDENTIALS_FAILED, "environment", "AWS_ACCESS_KEY_ID is not");
}

static void test_line_end_in_environment_fails(void **state)
{
    (void)state;
    (void)setenv("AWS_ACCESS_KEY_ID", "ASIACORRECT", 1);
    (void)setenv("AWS_SECRET_ACCESS_KEY", "secret/correct\n", 1);
    assert_fails(ERR_CREDENTIALS_FAILED, "environment", "AWS_SECRET_ACCESS_KEY");
    assert_null(strstr(err.reason, "secret/correct"));
}

static void test_nothing_configured(void **state)
{
    (void)state;
    (void)setenv("AWS_ACCESS_KEY_ID", "", 1);
    assert_fails(ERR_CREDENTIALS_MISSING, "",
                 "environment: AWS_ACCESS_KEY_ID is not set; web_identity: "
                 "AWS_WEB_IDENTITY_TOKEN_FILE is not set; container: "
                 "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set; imds: "
                 "AWS_EC2_METADATA_DISABLED is true");
}

static void test_environment_is_emptied(void **state)
{
    char first[] = "AWS_SECRET_ACCESS_KEY=first-secret";
    char second[] = "AWS_SECRET_ACCESS_KEY=second-secret";
    char blank[] = "AWS_SESSION_TOKEN= ";
    char longer[] = "AWS_SECRET_ACCESS_KEY_FILE=stays";
    char *block[] = {first, longer, blank, second, NULL}, **saved = environ;
    static const char zeros[32];
    int r;

    (void)state;
    environ = block;
    r = environment_take(&environment, &err);
    environ = saved;
    assert_int_equal(r, 0);
    assert_string_equal(environment.secret_access_key, "first-secret");
    assert_null(environment.session_token);
    assert_ptr_equal(block[0], longer);
    assert_null(block[1]);
    assert_string_equal(longer, "AWS_SECRET_ACCESS_KEY_FILE=stays");
    assert_memory_equal(first + 22, zeros, sizeof first - 22);
    assert_memory_equal(second + 22, zeros, sizeof second - 22);
}

static struct fake_server *start_agent(const char *const *replies, size_t count)
{
    struct fake_server *server = fake_server_start(replies, count);
    char url[128];

    (void)snprintf(url, sizeof url, "%s/creds?id=1", fake_server_url(server));
    (void)setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    return server;
}

static void test_container(void **state)
{
    const char *const replies[] = {fake_reply(200, "", ANSWER)};
    struct fake_server *server = start_agent(replies, 1);

    (void)state;
    (void)setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer abc", 1);
    assert_finds("container", "token=");
    assert_int_equal(fake_server_stop(server), 1);
    assert_requested(0, "GET /creds?id=1 HTTP/1.1\r\n");
    assert_requested(0, "\r\nAuthorization: Bearer abc\r\n");
    assert_null(getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
}

static void test_a_path_is_asked_as_it_is_written(void **state)
{
    const char *const replies[] = {fake_reply(200, "", ANSWER)};
    struct fake_server *server = fake_server_start(replies, 1);
    char url[128];

    (void)state;
    (void)snprintf(url, sizeof url, "%s/a/../b/./c", fake_server_url(server));
    (void)setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    assert_finds("container", "token=");
    assert_int_equal(fake_server_stop(server), 1);
    assert_requested(0, "GET /a/../b/./c HTTP/1.1\r\n");
}

static void test_container_is_waited_for(void **state)
{
    const char *const replies[] = {"", fake_reply(503, "", "Credentials uninitialized"),
                                   fake_reply(429, "", ""), fake_reply(200, "", ANSWER)};
    struct fake_server *server = start_agent(replies, 4);

    (void)state;
    assert_finds("container", "token=");
    assert_int_equal(fake_server_stop(server), 4);
}

static void test_container_refuses(void **state)
{
    const char *const replies[] = {fake_reply(
        400, "", "{\"code\":\"InvalidIdInRequest\",\"message\":\"Credentials not found\"}")};
    struct fake_server *server = start_agent(replies, 1);

    (void)state;
    assert_fails(ERR_CREDENTIALS_FAILED, "container",
                 "InvalidIdInRequest: Credentials not found (HTTP 400)");
    assert_int_equal(fake_server_stop(server), 1);
}

static void test_container_stays_away(void **state)
{
    const char *const replies[] = {""};
    struct fake_server *server = start_agent(replies, 1);

    (void)state;
    aws.deadline = clock_ms() + 1500;
    assert_fails(ERR_AWS_UNREACHABLE, "container", "connect");
    assert_int_equal(fake_server_stop(server), 1);
    assert_true(clock_left(aws.deadline) <= 1000);
}

static void test_container_answers_nonsense(void **state)
{
    static const struct {
        const char *body, *reason;
    } cases[] = {
        {"", "not JSON"},
        {"[]", "no JSON object"},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"", "not JSON"},
        {"{\"AccessKeyId\":\"A\"}", "has no SecretAccessKey"},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":7}", "SecretAccessKey is not one string"},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"\"}", "has no SecretAccessKey"},
        {"<html><head><TITLE>Sign\n in</TITLE>", "(\"Sign in\")"},
        {"{\"AccessKeyId\":\"A\",\"AccessKeyId\":\"B\",\"SecretAccessKey\":\"S\"}",
         "AccessKeyId is not one string"},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"a\\r\\nb: c\"}", "Token is"},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"a\\u0000\"}", "Token is"},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Expiration\":\"tomorrow\"}",
         "Expiration"},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Code\":\"Failed\"}", "Code is Failed"},
        {"{\"Code\":\"Failed\",\"Message\":\"no such role\"}", "Code is Failed: no such role"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const replies[] = {fake_reply(200, "", cases[i].body)};
        struct fake_server *server = start_agent(replies, 1);

        assert_fails(ERR_CREDENTIALS_FAILED, "container", cases[i].reason);
        assert_int_equal(fake_server_stop(server), 1);
    }
}

static void test_container_token_file(void **state)
{
    const char *const replies[] = {fake_reply(200, "", ANSWER)};
    struct fake_server *server = start_agent(replies, 1);
    char path[] = "/tmp/test_credentials.XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "from-file", 9), 9);
    (void)setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "from-variable", 1);
    (void)setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path, 1);
    assert_finds("container", "token=");
    assert_int_equal(fake_server_stop(server), 1);
    assert_requested(0, "\r\nAuthorization: from-file\r\n");

    assert_int_equal(write(fd, "\r\nx", 3), 3);
    assert_fails(ERR_CREDENTIALS_FAILED, "container", "line end");
    (void)close(fd);
    (void)unlink(path);
    assert_fails(ERR_TOKEN_FILE_MISSING, "container", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
}

/* What editors and consoles add to a token, and what writers put where there is nothing. */
static void test_container_white_space_and_absent_values(void **state)
{
    static const char body[] = "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":null,"
                               "\"Expiration\":\"\",\"Code\":null}";
    const char *const replies[] = {fake_reply(200, "", body)};
    struct fake_server *server = start_agent(replies, 1);
    struct credentials *credentials = NULL;
    char path[] = "/tmp/test_credentials.XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "\xEF\xBB\xBF from-file \r\n", 16), 16);
    (void)setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path, 1);
    assert_int_equal(resolve(&credentials), 0);
    assert_int_equal(fake_server_stop(server), 1);
    assert_requested(0, "\r\nAuthorization: from-file\r\n");
    assert_null(credentials->session_token);
    assert_int_equal(credentials->expires, 0);
    credentials_free(credentials);
    (void)close(fd);
    (void)unlink(path);
}

static void test_container_uris_are_checked(void **state)
{
    static const char *const relative[] = {"@evil.example/", "v2/credentials", "/a b", "/a\nb"};
    static const char *const full[] = {"ftp://127.0.0.1/", "127.0.0.1", "http://u@127.0.0.1/"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof full / sizeof full[0]; i++) {
        (void)setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", full[i], 1);
        assert_fails(ERR_CREDENTIALS_FAILED, "container", "_FULL_URI is no http");
    }
    for (i = 0; i < sizeof relative / sizeof relative[0]; i++) { /* which wins */
        (void)setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", relative[i], 1);
        assert_fails(ERR_CREDENTIALS_FAILED, "container", "_RELATIVE_URI is no path");
    }
}

/* 192.0.2.1 is nobody's (RFC 5737), and no connection to it is even begun. */
static void test_container_http_stays_local(void **state)
{
    (void)state;
    (void)setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/", 1);
    assert_fails(ERR_CREDENTIALS_FAILED, "container", "plain http must not leave this host");
}

static bool is_agent(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return url_address_is_agent((struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return url_address_is_agent((struct sockaddr *)&v6);
}

static void test_agent_addresses(void **state)
{
    (void)state;
    assert_true(is_agent("127.0.0.1"));
    assert_true(is_agent("127.255.255.254"));
    assert_true(is_agent("169.254.170.2"));
    assert_true(is_agent("169.254.170.23"));
    assert_true(is_agent("::1"));
    assert_true(is_agent("fd00:ec2::23"));
    assert_false(is_agent("128.0.0.1"));
    assert_false(is_agent("169.254.170.20"));
    assert_false(is_agent("169.254.169.254"));
    assert_false(is_agent("0.0.0.0"));
    assert_false(is_agent("::"));
    assert_false(is_agent("fd00:ec2::254"));
}

static struct fake_server *start_imds(const char *const *replies, size_t count)
{
    struct fake_server *server = fake_server_start(replies, count);

    (void)unsetenv("AWS_EC2_METADATA_DISABLED");
    (void)setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", fake_server_url(server), 1);
    return server;
}

static void test_imds(void **state)
{
    const char *const replies[] = {fake_reply(200, "", "session-token"),
                                   fake_reply(200, "", "node-role\n"),
                                   fake_reply(200, "", IMDS_ANSWER)};
    struct fake_server *server = start_imds(replies, 3);

    (void)state;
    assert_finds("imds", "token=");
    assert_int_equal(fake_server_stop(server), 3);
    assert_requested(0, "PUT /latest/api/token HTTP/1.1\r\n");
    assert_requested(0, "\r\nX-aws-ec2-metadata-token-ttl-seconds: 21600\r\n");
    assert_requested(1, "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n");
    assert_requested(1, "\r\nX-aws-ec2-metadata-token: session-token\r\n");
    assert_requested(2, "GET /latest/meta-data/iam/security-credentials/node-role HTTP/1.1\r\n");
    assert_requested(2, "\r\nX-aws-ec2-metadata-token: session-token\r\n");
}

static void test_imds_token_is_renewed_once(void **state)
{
    const char *const replies[] = {fake_reply(200, "", "old"), fake_reply(401, "", ""),
                                   fake_reply(200, "", "new"), fake_reply(200, "", "node-role"),
                                   fake_reply(200, "", IMDS_ANSWER)};
    const char *const refusing[] = {fake_reply(200, "", "old"), fake_reply(401, "", ""),
                                    fake_reply(200, "", "new"), fake_reply(401, "", "")};
    struct fake_server *server = start_imds(replies, 5);

    (void)state;
    assert_finds("imds", "token=");
    assert_int_equal(fake_server_stop(server), 5);
    assert_requested(3, "\r\nX-aws-ec2-metadata-token: new\r\n");

    server = start_imds(refusing, 4);
    assert_fails(ERR_CREDENTIALS_FAILED, "imds", "HTTP 401");
    assert_int_equal(fake_server_stop(server), 4);
}

/* A header takes what can be seen alone. */
static void test_imds_token_is_checked(void **state)
{
    static const char *const tokens[] = {"", "to ken", "to\r\nken", "to\x7fken"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        const char *const replies[] = {fake_reply(200, "", tokens[i]),
                                       fake_reply(200, "", "node-role"),
                                       fake_reply(200, "", IMDS_ANSWER)};
        struct fake_server *server = start_imds(replies, 3);

        assert_fails(ERR_CREDENTIALS_FAILED, "imds", "is no session token");
        assert_int_equal(fake_server_stop(server), 1);
    }
}

static void test_imds_passing_faults_are_tried_again(void **state)
{
    const char *const replies[] = {fake_reply(200, "", "token"),
                                   fake_reply(503, "", ""),
                                   "",
                                   fake_reply(500, "", ""),
                                   fake_reply(200, "", "node-role"),
                                   fake_reply(200, "", IMDS_ANSWER)};
    struct fake_server *server = start_imds(replies, 6);

    (void)state;
    assert_finds("imds", "token=");
    assert_int_equal(fake_server_stop(server), 6);
}

static void test_imds_tries_are_limited(void **state)
{
    const char *const replies[] = {fake_reply(503, "", ""), fake_reply(503, "", "")};
    struct fake_server *server = start_imds(replies, 2);

    (void)state;
    (void)setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "1", 1);
    assert_fails(ERR_AWS_UNREACHABLE, "imds", "HTTP 503");
    assert_int_equal(fake_server_stop(server), 1);
}

static void test_imds_without_a_role(void **state)
{
    const char *const replies[] = {fake_reply(200, "", "token"), fake_reply(404, "", "<html>")};
    struct fake_server *server = start_imds(replies, 2);

    (void)state;
    assert_fails(ERR_ROLE_MISSING, "", "imds: the instance has no IAM role");
    assert_int_equal(fake_server_stop(server), 2);
}

/* Version 1 would hand out credentials to any request; it is never asked. */
static void test_imds_without_tokens_is_absent(void **state)
{
    const char *const replies[] = {fake_reply(403, "", ""), fake_reply(200, "", "node-role")};
    struct fake_server *server = start_imds(replies, 2);

    (void)state;
    assert_fails(ERR_METADATA_OFF, "", "gave no session token: ");
    assert_int_equal(fake_server_stop(server), 1);
}

static void test_imds_out_of_reach(void **state)
{
    int64_t start = clock_ms();

    (void)state;
    assert_int_equal(fake_server_stop(start_imds(NULL, 0)), 0);
    assert_fails(ERR_CREDENTIALS_MISSING, "", "imds: http://127.0.0.1:");
    assert_true(clock_ms() - start >= 2000); /* a network may just be coming up */
}

static void test_imds_refuses_strange_roles(void **state)
{
    static const char *const roles[] = {
        "../../user-data", "two words", "a?b", "\n",
        "0123456789012345678901234567890123456789012345678901234567890123456789"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        const char *const replies[] = {fake_reply(200, "", "token"), fake_reply(200, "", roles[i])};
        struct fake_server *server = start_imds(replies, 2);

        assert_fails(ERR_CREDENTIALS_FAILED, "imds", "the role's name");
        assert_int_equal(fake_server_stop(server), 2);
    }
}

static void test_imds_failure_code(void **state)
{
    const char *const replies[] = {
        fake_reply(200, "", "token"), fake_reply(200, "", "node-role"),
        fake_reply(200, "", "{\"Code\":\"AssumeRoleUnauthorizedAccess\"}")};
    struct fake_server *server = start_imds(replies, 3);

    (void)state;
    assert_fails(ERR_CREDENTIALS_FAILED, "imds", "Code is AssumeRoleUnauthorizedAccess");
    assert_int_equal(fake_server_stop(server), 3);
}

static void test_imds_variables_are_checked(void **state)
{
    (void)state;
    (void)unsetenv("AWS_EC2_METADATA_DISABLED");
    (void)setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "not a url", 1);
    assert_fails(ERR_CONFIG, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "not a url");
    (void)setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1/", 1);
    (void)setenv("AWS_METADATA_SERVICE_TIMEOUT", "1s", 1);
    assert_fails(ERR_CONFIG, "AWS_METADATA_SERVICE_TIMEOUT", "1s");
    (void)setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv5", 1);
    assert_fails(ERR_CONFIG, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv5");
}

static void test_no_time_left(void **state)
{
    (void)state;
    aws.deadline = clock_ms() - 1;
    assert_fails(ERR_DEADLINE, "", "");
}

static void assert_region(const char *secret_id, const char *expected)
{
    char region[REGION_MAX];

    if (region_resolve(&aws, secret_id, region, &err) < 0)
        fail_msg("got %s", err.reason);
    assert_string_equal(region, expected);
}

static void test_region_order(void **state)
{
    const char *const replies[] = {fake_reply(200, "", "token"), fake_reply(200, "", "eu-west-3")};
    struct fake_server *server = start_imds(replies, 2);

    (void)state;
    assert_region("name", "eu-west-3");
    assert_int_equal(fake_server_stop(server), 2);
    assert_requested(1, "GET /latest/meta-data/placement/region HTTP/1.1\r\n");
    (void)setenv("AWS_DEFAULT_REGION", "eu-west-1", 1);
    assert_region("name", "eu-west-1");
    (void)setenv("AWS_REGION", "us-east-2", 1);
    assert_region("name", "us-east-2");
    config.region = "us-gov-west-1";
    assert_region("name", "us-gov-west-1");
    assert_region("arn:aws:secretsmanager:ap-south-1:123456789012:secret:a", "ap-south-1");
}

static void assert_no_region(const char *secret_id, const char *reason_part)
{
    char region[REGION_MAX];

    assert_int_equal(region_resolve(&aws, secret_id, region, &err), -1);
    assert_int_equal(err.code, ERR_REGION_MISSING);
    if (!strstr(err.reason, reason_part))
        fail_msg("got %s", err.reason);
}

static void test_region_is_checked(void **state)
{
    (void)state;
    assert_no_region("name", "AWS_EC2_METADATA_DISABLED is true");
    assert_no_region("arn:aws:secretsmanager::123456789012:secret:a", "ARN");
    assert_no_region("arn:aws", "ARN");
    config.region = "evil.example/";
    assert_no_region("name", "--region");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_environment, setup),
        cmocka_unit_test_setup(test_environment_wins_over_container, setup),
        cmocka_unit_test_setup(test_newer_token_name_wins, setup),
        cmocka_unit_test_setup(test_half_an_environment_fails, setup),
        cmocka_unit_test_setup(test_other_half_fails, setup),
        cmocka_unit_test_setup(test_line_end_in_environment_fails, setup),
        cmocka_unit_test_setup(test_nothing_configured, setup),
        cmocka_unit_test_setup(test_environment_is_emptied, setup),
        cmocka_unit_test_setup(test_container, setup),
        cmocka_unit_test_setup(test_a_path_is_asked_as_it_is_written, setup),
        cmocka_unit_test_setup(test_container_is_waited_for, setup),
        cmocka_unit_test_setup(test_container_refuses, setup),
        cmocka_unit_test_setup(test_container_stays_away, setup),
        cmocka_unit_test_setup(test_container_answers_nonsense, setup),
        cmocka_unit_test_setup(test_container_token_file, setup),
        cmocka_unit_test_setup(test_container_white_space_and_absent_values, setup),
        cmocka_unit_test_setup(test_container_uris_are_checked, setup),
        cmocka_unit_test_setup(test_container_http_stays_local, setup),
        cmocka_unit_test_setup(test_agent_addresses, setup),
        cmocka_unit_test_setup(test_imds, setup),
        cmocka_unit_test_setup(test_imds_token_is_renewed_once, setup),
        cmocka_unit_test_setup(test_imds_token_is_checked, setup),
        cmocka_unit_test_setup(test_imds_passing_faults_are_tried_again, setup),
        cmocka_unit_test_setup(test_imds_tries_are_limited, setup),
        cmocka_unit_test_setup(test_imds_without_a_role, setup),
        cmocka_unit_test_setup(test_imds_without_tokens_is_absent, setup),
        cmocka_unit_test_setup(test_imds_out_of_reach, setup),
        cmocka_unit_test_setup(test_imds_refuses_strange_roles, setup),
        cmocka_unit_test_setup(test_imds_failure_code, setup),
        cmocka_unit_test_setup(test_imds_variables_are_checked, setup),
        cmocka_unit_test_setup(test_no_time_left, setup),
        cmocka_unit_test_setup(test_region_order, setup),
        cmocka_unit_test_setup(test_region_is_checked, setup),
    };

    return cmocka_run_group_tests(tests, samples_setup, forget);
}
