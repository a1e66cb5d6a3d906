/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/credentials.h"
#include "aws/sigv4.h"
#include "base/err.h"
#include "samples.h"

/* The conformance program runs the signing test suite; here stand its first case and the
 * limits. */

static const int64_t AUGUST_30 = 1440938160; /* 2015-08-30T12:36:00Z */

static struct sigv4_header header(const char *name, const char *value)
{
    return (struct sigv4_header){bytes_of_text(name), bytes_of_text(value)};
}

static int sign(struct sigv4_result *result, const struct sigv4_request *request, const char *token)
{
    const struct credentials credentials = {
        .access_key_id = "AKIDEXAMPLE",
        .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        .session_token = (char *)token,
    };
    const struct sigv4_scope scope = {"us-east-1", "service", AUGUST_30};

    *result = (struct sigv4_result){0};
    return sigv4_sign(result, request, &credentials, &scope);
}

static struct sigv4_request get(const char *path, const struct sigv4_header *headers, size_t count)
{
    return (struct sigv4_request){.method = bytes_of_text("GET"),
                                  .path = bytes_of_text(path),
                                  .headers = headers,
                                  .header_count = count};
}

/* The line of the canonical request, counted from 0. */
static void assert_line(const struct sigv4_result *result, int line, const char *expected)
{
    const char *at = (const char *)result->canonical_request.data;
    char text[256];

    while (line-- > 0)
        at = strchr(at, '\n') + 1;
    assert_true(strcspn(at, "\n") < sizeof text);
    memcpy(text, at, strcspn(at, "\n"));
    text[strcspn(at, "\n")] = '\0';
    assert_string_equal(text, expected);
}

static void test_the_first_case_of_the_suite(void **state)
{
    const struct sigv4_header headers[] = {header("Host", "example.amazonaws.com")};
    struct sigv4_request request = get("/", headers, 1);
    struct sigv4_result result;

    (void)state;
    assert_int_equal(sign(&result, &request, NULL), 0);
    assert_string_equal(result.date, "20150830T123600Z");
    assert_string_equal((char *)result.authorization.data,
                        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/"
                        "aws4_request, SignedHeaders=host;x-amz-date, Signature="
                        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    sigv4_free(&result);
}

static void test_path_is_normalized_and_encoded(void **state)
{
    static const char *const cases[][2] = {
        {"", "/"},           {"/..", "/"},       {"/a/./b/../c", "/a/c"},
        {"/a//b/", "/a/b/"}, {"/../../a", "/a"}, {"/a b/%20", "/a%20b/%2520"},
    };
    struct sigv4_result result;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sigv4_request request = get(cases[i][0], NULL, 0);

        assert_int_equal(sign(&result, &request, NULL), 0);
        assert_line(&result, 1, cases[i][1]);
        sigv4_free(&result);
    }
}

static void test_headers_are_trimmed_and_joined(void **state)
{
    const struct sigv4_header headers[] = {
        header("B", "  two   words\t here "),
        header("a", "second"),
        header("A", "first"),
        header("C", ""),
    };
    struct sigv4_request request = get("/", headers, 4);
    struct sigv4_result result;

    (void)state;
    assert_int_equal(sign(&result, &request, NULL), 0);
    assert_line(&result, 3, "a:second,first"); /* in the request's order */
    assert_line(&result, 4, "b:two words here");
    assert_line(&result, 5, "c:");
    assert_line(&result, 8, "a;b;c;x-amz-date");
    sigv4_free(&result);
}

static void test_session_token_is_signed(void **state)
{
    struct sigv4_request request = get("/", NULL, 0);
    struct sigv4_result with, without;

    (void)state;
    assert_int_equal(sign(&with, &request, "TOKEN"), 0);
    assert_int_equal(sign(&without, &request, NULL), 0);
    assert_line(&with, 4, "x-amz-security-token:TOKEN");
    assert_string_not_equal(with.signature, without.signature);
    sigv4_free(&with);
    sigv4_free(&without);
}

static void test_too_long_lists_are_refused(void **state)
{
    struct sigv4_header headers[SIGV4_LIST_MAX];
    struct sigv4_request request;
    struct sigv4_result result;
    size_t i;

    (void)state;
    for (i = 0; i < SIGV4_LIST_MAX; i++)
        headers[i] = header("name", "value");
    request = get("/", headers, SIGV4_LIST_MAX - 1); /* X-Amz-Date is one, too */
    assert_int_equal(sign(&result, &request, NULL), 0);
    sigv4_free(&result);
    request = get("/", headers, SIGV4_LIST_MAX);
    assert_int_equal(sign(&result, &request, NULL), -1);
    sigv4_free(&result);
}

/* What was needed on the way is not left behind. */
static void test_nothing_secret_stays(void **state)
{
    struct sigv4_request request = get("/", NULL, 0);
    struct arena_stats before, after;
    struct sigv4_result result;

    (void)state;
    arena_stats(&before);
    assert_int_equal(sign(&result, &request, "TOKEN"), 0);
    arena_stats(&after);
    assert_int_equal(after.tagged[ARENA_CREDENTIALS], before.tagged[ARENA_CREDENTIALS]);
    sigv4_free(&result);
    arena_stats(&after);
    assert_int_equal(after.in_use, before.in_use);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_case_of_the_suite),
        cmocka_unit_test(test_path_is_normalized_and_encoded),
        cmocka_unit_test(test_headers_are_trimmed_and_joined),
        cmocka_unit_test(test_session_token_is_signed),
        cmocka_unit_test(test_too_long_lists_are_refused),
        cmocka_unit_test(test_nothing_secret_stays),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
