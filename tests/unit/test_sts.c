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

#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/sts.h"
#include "aws/sts_answer.h"
#include "aws/xml.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "fake_server.h"
#include "samples.h"

#define ROLE "arn:aws:iam::123456789012:role/a b"
#define CREDENTIALS                                                                                \
    "<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role/secret"                 \
    "</SecretAccessKey><SessionToken>role=token</SessionToken>"                                    \
    "<Expiration>2033-05-18T03:33:20Z</Expiration></Credentials>"
#define XML(action)                                                                                \
    "<" action "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" action             \
    "Result>" CREDENTIALS "</" action "Result></" action "Response>"
#define JSON_CREDENTIALS                                                                           \
    "{\"AssumeRoleResponse\":{\"AssumeRoleResult\":{\"Credentials\":{\"AccessKeyId\":\"ASIAROLE\"" \
    ",\"SecretAccessKey\":\"role/secret\",\"SessionToken\":\"role=token\",\"Expiration\":%s}}}}"

static struct err err;
static struct config config;
static struct aws aws;

static int setup(void **state)
{
    (void)state;
    config = (struct config){.region = "eu-central-1", .allow_plaintext_endpoint = true};
    aws = (struct aws){.config = &config, .deadline = clock_ms() + 60000};
    err = (struct err){0};
    return 0;
}

/* What xml_text() says; the text in *out. */
static int text_of(const char *document, const char *path, char *out)
{
    struct buf text = {.tag = ARENA_WORK};
    int r = xml_text(bytes_of_text(document), path, &text);

    (void)snprintf(out, 64, "%s", text.data ? (char *)text.data : "");
    buf_free(&text);
    return r;
}

static void test_xml(void **state)
{
    static const struct {
        const char *document;
        int result;
        const char *text;
    } cases[] = {
        {"<a><b>x</b></a>", 1, "x"},
        {"\n<?xml version=\"1.0\"?>\n<a q='>' r=\"'\" >\n <c/><b >x</b ></a>\n", 1, "x"},
        {"<a><b>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;</b></a>", 1, "<&>\"'AB"},
        {"<a><b/></a>", 1, ""},
        {"<a><c><b>x</b></c></a>", 0, ""},
        {"<b>x</b>", 0, ""},
        {"<a><bb>x</bb></a>", 0, ""},
        {"<a></a>", 0, ""},
        {"", -1, ""},
        {"x", -1, ""},
        {"<a>", -1, ""},
        {"<a><b>x</b>", -1, "x"},
        {"<a><b>x</a></b>", -1, "x"},
        {"<a><b>x</b></a><a/>", -1, "x"},
        {"<a><b>x</b><b>y</b></a>", -1, "x"},
        {"<a><b>x<c/></b></a>", -1, "x"},
        {"<a><b>x</b></a>y", -1, "x"},
        {"<!DOCTYPE a [<!ENTITY e 'x'>]><a><b>&e;</b></a>", -1, ""},
        {"<a><b>&e;</b></a>", -1, ""},
        {"<a><b>&#0;</b></a>", -1, ""},
        {"<a><b>&#x110000;</b></a>", -1, ""},
        {"<a><b>&#99999999999999999999;</b></a>", -1, ""},
        {"<a><b>&amp</b></a>", -1, ""},
        {"<a><b>\x01</b></a>", -1, ""},
        {"<a><b><![CDATA[x]]></b></a>", -1, ""},
        {"<a><!-- --><b>x</b></a>", -1, ""},
        {"<a><?pi?><b>x</b></a>", -1, ""},
        {"<a q><b>x</b></a>", -1, ""},
        {"<a q=x><b>x</b></a>", -1, ""},
        {"<a q=\"<\"><b>x</b></a>", -1, ""},
        {"<a q=\"", -1, ""},
        {"<>x</>", -1, ""},
    };
    char found[64];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int r = text_of(cases[i].document, "a/b", found);

        if (r != cases[i].result || strcmp(found, cases[i].text) != 0)
            fail_msg("%s: %d \"%s\"", cases[i].document, r, found);
    }
}

static void test_xml_nesting_is_bounded(void **state)
{
    char document[4096] = "", found[64];
    int i;

    (void)state;
    for (i = 0; i < 1000; i++)
        (void)strcat(document, "<a>");
    assert_int_equal(text_of(document, "a/b", found), -1);
}

static void test_xml_every_cut_is_refused(void **state)
{
    static const char document[] = XML("AssumeRole");
    struct buf text = {.tag = ARENA_WORK};
    size_t len;

    (void)state;
    for (len = 0; len < sizeof document - 1; len++)
        assert_int_equal(xml_text(bytes_of(document, len), "a/b", &text), -1);
    assert_int_equal(text.len, 0);
}

static void assert_reads(const char *answer)
{
    struct credentials credentials = {0};

    if (sts_answer_read(&credentials, bytes_of_text(answer), "AssumeRole", ROLE, &err) < 0)
        fail_msg("%s", err.reason);
    assert_string_equal(credentials.access_key_id, "ASIAROLE");
    assert_string_equal(credentials.secret_access_key, "role/secret");
    assert_string_equal(credentials.session_token, "role=token");
    assert_int_equal(credentials.expires, 2000000000);
    credentials_clear(&credentials);
}

static void test_answers(void **state)
{
    static const char *const times[] = {
        "2000000000", "2000000000.75",          "2.0E9",
        "2e+9",       "20000000007E-1",         "20000000000000E-4",
        "0.2e10",     "2000000000.00000000001", "\"2033-05-18T03:33:20Z\""};
    char json[512];
    size_t i;

    (void)state;
    assert_reads(XML("AssumeRole"));
    for (i = 0; i < sizeof times / sizeof times[0]; i++) {
        (void)snprintf(json, sizeof json, JSON_CREDENTIALS, times[i]);
        assert_reads(json);
    }
}

static void test_strange_answers_are_refused(void **state)
{
    static const char *const answers[] = {
        "",
        "[]",
        "<html><head>",
        "{}",
        "{\"AssumeRoleResponse\":[]}",
        "{\"AssumeRoleResponse\":{\"AssumeRoleResult\":{}}}",
        "{\"AssumeRoleResponse\":{\"AssumeRoleResult\":{\"Credentials\":7}}}",
        "{\"AssumeRoleResponse\":{\"AssumeRoleResult\":{\"Credentials\":{}}}}",
        XML("AssumeRoleWithWebIdentity"),
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A B</AccessKeyId>"
        "</Credentials></AssumeRoleResult></AssumeRoleResponse>",
    };
    static const char *const times[] = {
        "null",  "true",   "-1",       "1e400",           "1e12",      "0",
        "0e9",   "0.5",    "2e-9",     "2000000000000E9", "{}",        "\"\"",
        "\".\"", "\"2E\"", "\"2e9s\"", "\"1.2.3e9\"",     "\"never\"", "2e9223372036854775807"};
    char json[512];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct credentials credentials = {0};

        assert_int_equal(
            sts_answer_read(&credentials, bytes_of_text(answers[i]), "AssumeRole", ROLE, &err), -1);
        assert_int_equal(err.code, ERR_CREDENTIALS_FAILED);
        credentials_clear(&credentials);
    }
    for (i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct credentials credentials = {0};

        (void)snprintf(json, sizeof json, JSON_CREDENTIALS, times[i]);
        assert_int_equal(
            sts_answer_read(&credentials, bytes_of_text(json), "AssumeRole", ROLE, &err), -1);
        assert_non_null(strstr(err.reason, "Expiration"));
        credentials_clear(&credentials);
    }
}

static void assert_requested(size_t i, const char *part)
{
    if (!strstr(fake_server_request(i), part))
        fail_msg("request %zu lacks \"%s\":\n%s", i, part, fake_server_request(i));
}

static char *copy(const char *text)
{
    char *made = arena_alloc(strlen(text) + 1, ARENA_CREDENTIALS);

    assert_non_null(made);
    return strcpy(made, text);
}

static void test_assume_role(void **state)
{
    const char *const replies[] = {fake_reply(500, "", ""), fake_reply(200, "", XML("AssumeRole"))};
    struct fake_server *server = fake_server_start(replies, 2);
    const struct sts_role role = {ROLE, "my-session", "id:/1", "900"};
    struct credentials credentials = {
        copy("AKIDBASE"), copy("base"), copy("basetoken"), 0, 0, "imds"};

    (void)state;
    (void)setenv("AWS_ENDPOINT_URL_STS", fake_server_url(server), 1);
    if (sts_assume_role(&aws, &role, &credentials, &err) < 0)
        fail_msg("%s", err.reason);
    assert_string_equal(credentials.access_key_id, "ASIAROLE");
    assert_string_equal(credentials.source, "imds");
    credentials_clear(&credentials);
    assert_int_equal(fake_server_stop(server), 2);
    assert_requested(1, "POST / HTTP/1.1\r\n");
    assert_requested(1, "Credential=AKIDBASE/");
    assert_requested(1, "/eu-central-1/sts/aws4_request");
    assert_requested(1, "\r\nX-Amz-Security-Token: basetoken\r\n");
    assert_requested(1,
                     "\r\n\r\nVersion=2011-06-15&Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A"
                     "123456789012%3Arole%2Fa%20b&RoleSessionName=my-session&ExternalId=id%3A%2F1"
                     "&DurationSeconds=900");
}

static void test_assume_with_token(void **state)
{
    const char *const replies[] = {
        fake_reply(400, "",
                   "<ErrorResponse><Error><Code>IDPCommunicationError</Code>"
                   "</Error></ErrorResponse>"),
        fake_reply(200, "", XML("AssumeRoleWithWebIdentity"))};
    struct fake_server *server = fake_server_start(replies, 2);
    const struct sts_role role = {.arn = ROLE};
    struct credentials credentials = {0};
    char path[] = "/tmp/test_sts.XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "head.body.sig\n", 14), 14);
    (void)setenv("AWS_ENDPOINT_URL_STS", fake_server_url(server), 1);
    if (sts_assume_with_token(&aws, &role, path, &credentials, &err) < 0)
        fail_msg("%s", err.reason);
    assert_string_equal(credentials.session_token, "role=token");
    credentials_clear(&credentials);
    assert_int_equal(fake_server_stop(server), 2);
    assert_null(strstr(fake_server_request(1), "Authorization"));
    assert_requested(1, "&RoleSessionName=mtls-agent-");
    assert_requested(1, "&WebIdentityToken=head.body.sig");
    assert_null(strstr(fake_server_request(1), "sig%0A"));

    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(sts_assume_with_token(&aws, &role, path, &credentials, &err), -1);
    assert_string_equal(err.subject, path);
    assert_string_equal(err.reason, "the file holds no web identity token");
    (void)close(fd);
    (void)unlink(path);
    assert_int_equal(sts_assume_with_token(&aws, &role, path, &credentials, &err), -1);
    assert_int_equal(err.code, ERR_TOKEN_FILE_MISSING);
    assert_non_null(strstr(err.reason, "No such file"));
}

static void test_a_refusal_is_final(void **state)
{
    const char *const replies[] = {
        fake_reply(403, "",
                   "<ErrorResponse><Error><Code>AccessDenied</Code><Message>User X is not "
                   "authorized</Message></Error></ErrorResponse>")};
    struct fake_server *server = fake_server_start(replies, 1);
    struct credentials credentials = {copy("AKIDBASE"), copy("base"), NULL, 0, 0, "imds"};

    (void)state;
    (void)setenv("AWS_ENDPOINT_URL_STS", fake_server_url(server), 1);
    assert_int_equal(sts_assume_role(&aws, &(struct sts_role){.arn = ROLE}, &credentials, &err),
                     -1);
    assert_int_equal(fake_server_stop(server), 1);
    assert_int_equal(err.code, ERR_CREDENTIALS_FAILED);
    assert_string_equal(err.subject, ROLE);
    assert_non_null(strstr(err.reason, "AccessDenied: User X is not authorized"));
    assert_non_null(strstr(err.reason, "trust policy"));
    assert_string_equal(credentials.access_key_id, "AKIDBASE");
    credentials_clear(&credentials);
}

/* To nobody, and by a proxy that is not there. */
static void test_whether_the_region_is_down(void **state)
{
    static const struct {
        int status;
        const char *code;
        enum err_code means;
        bool down;
    } cases[] = {
        {400, "Throttling", ERR_AWS_BUSY, false},
        {403, "AccessDenied", ERR_CREDENTIALS_FAILED, false},
        {503, "ServiceUnavailable", ERR_AWS_BUSY, true},
        {0, "", ERR_PROXY_UNREACHABLE, true},
    };
    struct credentials credentials = {copy("AKIDBASE"), copy("base"), NULL, 0, 0, "imds"};
    struct fake_server *server;
    const char *reply;
    char body[128];
    size_t i;

    (void)state;
    aws.once = true;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(body, sizeof body,
                       "<ErrorResponse><Error><Code>%s</Code></Error></ErrorResponse>",
                       cases[i].code);
        reply = fake_reply(cases[i].status, "", body);
        server = cases[i].status ? fake_server_start(&reply, 1) : NULL;
        (void)setenv("AWS_ENDPOINT_URL_STS",
                     server ? fake_server_url(server) : "https://sts.example:9", 1);
        (void)setenv("HTTPS_PROXY", server ? "" : "http://127.0.0.1:9", 1);
        assert_int_equal(sts_assume_role(&aws, &(struct sts_role){.arn = ROLE}, &credentials, &err),
                         -1);
        if (server)
            assert_int_equal(fake_server_stop(server), 1);
        if (err.code != cases[i].means || err.down != cases[i].down)
            fail_msg("%d %s: %s", cases[i].status, cases[i].code, err.reason);
    }
    credentials_clear(&credentials);
    (void)unsetenv("HTTPS_PROXY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_xml, setup),
        cmocka_unit_test_setup(test_xml_nesting_is_bounded, setup),
        cmocka_unit_test_setup(test_xml_every_cut_is_refused, setup),
        cmocka_unit_test_setup(test_answers, setup),
        cmocka_unit_test_setup(test_strange_answers_are_refused, setup),
        cmocka_unit_test_setup(test_assume_role, setup),
        cmocka_unit_test_setup(test_assume_with_token, setup),
        cmocka_unit_test_setup(test_a_refusal_is_final, setup),
        cmocka_unit_test_setup(test_whether_the_region_is_down, setup),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
