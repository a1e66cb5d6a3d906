/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "fake_server.h"
#include "net/http.h"
#include "samples.h"

enum { VALUE_MAX = 400 };

static void ask(const char *headers, struct http_response *response)
{
    const char *reply = fake_reply(200, headers, "ok");
    struct fake_server *server = fake_server_start(&reply, 1);
    struct http_request request = {.method = "GET",
                                   .url = fake_server_url(server),
                                   .body_max = 16,
                                   .connect_ms = 60000,
                                   .total_ms = 60000,
                                   .deadline = clock_ms() + 60000};
    struct err err;
    struct http *http = http_new(false, &err);

    assert_non_null(http);
    assert_int_equal(http_perform(http, &request, response, 1, &err), 0);
    assert_int_equal(response->result, HTTP_ANSWERED);
    http_free(http);
    assert_int_equal(fake_server_stop(server), 1);
}

static void assert_kept(const char *field, size_t size, char letter, size_t sent)
{
    char expected[VALUE_MAX + 1];
    const size_t len = sent < size ? sent : size - 1;

    memset(expected, letter, len);
    expected[len] = '\0';
    assert_string_equal(field, expected);
}

/* All headers, each with a value of so many of its letter. */
static void write_headers(char *out, size_t size, size_t len, bool backwards)
{
    static const char *const names[] = {"x-amzn-ErrorType", "x-amzn-RequestId", "Date",
                                        "x-amz-retry-after"};
    char value[VALUE_MAX + 1];
    size_t i, at = 0;

    for (i = 0; i < 4; i++) {
        const size_t which = backwards ? 3 - i : i;

        memset(value, (int)('a' + which), len);
        value[len] = '\0';
        at += (size_t)snprintf(out + at, size - at, "%s: %s\r\n", names[which], value);
    }
}

/* Each is cut to its field, and none runs into the next one, whichever comes first. */
static void test_headers_that_are_too_long(void **state)
{
    static const size_t lengths[] = {1,  31, 32,  33,  34,  63,  64,
                                     65, 66, 127, 128, 129, 130, VALUE_MAX};
    char headers[4 * VALUE_MAX + 200];
    struct http_response response;
    size_t i, order;

    (void)state;
    for (i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (order = 0; order < 2; order++) {
            write_headers(headers, sizeof headers, lengths[i], order == 1);
            memset(&response, 0, sizeof response);
            ask(headers, &response);
            assert_kept(response.error_type, sizeof response.error_type, 'a', lengths[i]);
            assert_kept(response.request_id, sizeof response.request_id, 'b', lengths[i]);
            assert_kept(response.date, sizeof response.date, 'c', lengths[i]);
            assert_kept(response.retry_after, sizeof response.retry_after, 'd', lengths[i]);
            assert_memory_equal(response.peer, "127.0.0.1:", 10);
            http_response_free(&response);
        }
}

static void test_what_a_header_is_made_of(void **state)
{
    struct http_response response = {.status = 0};

    (void)state;
    ask("X-AMZN-REQUESTID: \t one two \t\r\nDateX: no\r\nx-amzn-ErrorTyp: "
        "no\r\nx-amz-retry-after:\r\n",
        &response);
    assert_string_equal(response.request_id, "one two");
    assert_string_equal(response.date, "");
    assert_string_equal(response.error_type, "");
    assert_string_equal(response.retry_after, "");
    http_response_free(&response);
}

static const char *chosen;
static size_t chosen_max;

static const char *choose(void *note, struct bytes leaf, size_t *body_max)
{
    assert_non_null(note);
    assert_null(leaf.data); /* there is no TLS */
    *body_max = chosen_max;
    return chosen;
}

/* What it comes to with a path that is chosen once the connection is there. */
static enum http_result ask_chosen(const char *path, size_t body_max)
{
    const char *reply = fake_reply(200, "", "four");
    struct fake_server *server = fake_server_start(&reply, 1);
    char url[128];
    struct http_request request = {.method = "GET",
                                   .url = url,
                                   .path = choose,
                                   .body_max = 3,
                                   .connect_ms = 60000,
                                   .total_ms = 60000,
                                   .deadline = clock_ms() + 60000};
    struct http_response response;
    struct err err;
    struct http *http = http_new(false, &err);
    enum http_result result;

    assert_non_null(http);
    (void)snprintf(url, sizeof url, "%s/health?a=b", fake_server_url(server));
    chosen = path;
    chosen_max = body_max;
    assert_int_equal(http_perform(http, &request, &response, 1, &err), 0);
    result = response.result;
    http_response_free(&response);
    http_free(http);
    (void)fake_server_stop(server);
    return result;
}

static void test_a_path_by_who_answers(void **state)
{
    static const char key[] = "/-----BEGIN OPENSSH PRIVATE KEY-----";
    static const char other[] = "GET /other?nonce=1 HTTP/1.1\r\n";
    static const char health[] = "GET /health?a=b HTTP/1.1\r\n";

    (void)state;
    assert_int_equal(ask_chosen("/other?nonce=1", 4), HTTP_ANSWERED);
    assert_memory_equal(fake_server_request(0), other, sizeof other - 1);
    assert_int_equal(ask_chosen("/other?nonce=1", 3), HTTP_TOO_LARGE);
    assert_int_equal(ask_chosen(NULL, 4), HTTP_ANSWERED);
    assert_memory_equal(fake_server_request(0), health, sizeof health - 1);
    assert_int_equal(ask_chosen(key, 4), HTTP_FAILED);
    assert_null(strstr(fake_server_request(0), "PRIVATE"));
}

static size_t between_count;

static void take_first(void *note, const struct http_response *response)
{
    assert_non_null(note);
    assert_int_equal(response->result, HTTP_ANSWERED);
    assert_int_equal(response->status, 200);
    assert_int_equal(response->body.len, 5);
    assert_memory_equal(response->body.data, "first", 5);
    assert_string_equal(response->date, "today");
    between_count++;
}

#define FIRST  "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 5\r\n"
#define SECOND "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno"

/* Two requests of one connection: what they come to, and how many of them the server got. */
static void test_a_path_before_the_urls(void **state)
{
    static const struct {
        const char *replies[2];
        size_t between, served;
        enum http_result result;
        int status;
    } rows[] = {
        {{FIRST "\r\nfirst", SECOND}, 1, 2, HTTP_ANSWERED, 404},
        {{FIRST "\r\nfirst", "HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nbad"},
         1,
         2,
         HTTP_TOO_LARGE,
         404},
        {{FIRST "\r\nfirst", "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nn"},
         1,
         2,
         HTTP_BROKEN,
         404},
        {{FIRST "\r\nfirst", ""}, 1, 2, HTTP_CLOSED, 0}, /* no other one is made */
        {{FIRST "Connection: close\r\n\r\nfirst", ""}, 1, 1, HTTP_CLOSED, 0},
        {{"HTTP/1.0 200 OK\r\nDate: today\r\nContent-Length: 5\r\n\r\nfirst", ""},
         1,
         1,
         HTTP_CLOSED,
         0},
        {{FIRST "\r\nfirst" SECOND, ""}, 1, 1, HTTP_CLOSED, 0}, /* before it was asked */
        {{FIRST "\r\nfir", ""}, 0, 1, HTTP_BROKEN, 200},
        {{FIRST "Content-Length: 6\r\n\r\nfirst", ""}, 0, 1, HTTP_BROKEN, 200},
        {{"", ""}, 0, 1, HTTP_CLOSED, 0},
    };
    size_t i;

    (void)state;
    chosen = "/first";
    chosen_max = 5;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fake_server *server =
            fake_server_stay(rows[i].replies, rows[i].served); /* and then it closes */
        struct http_request request = {.method = "GET",
                                       .url = fake_server_url(server),
                                       .path = choose,
                                       .between = take_first,
                                       .body_max = 2,
                                       .connect_ms = 60000,
                                       .total_ms = 60000,
                                       .deadline = clock_ms() + 60000};
        struct http_response response;
        struct err err;
        struct http *http = http_new(false, &err);

        between_count = 0;
        assert_non_null(http);
        assert_int_equal(http_perform(http, &request, &response, 1, &err), 0);
        http_free(http);
        assert_int_equal(fake_server_stop(server), rows[i].served);
        assert_int_equal(between_count, rows[i].between);
        assert_int_equal(response.result, rows[i].result);
        assert_int_equal(response.status, rows[i].status);
        assert_memory_equal(response.peer, "127.0.0.1:", 10);
        assert_true(response.timing.tcp > 0);
        if (rows[i].between)
            assert_string_equal(response.date, "");
        if (rows[i].served == 2)
            assert_memory_equal(fake_server_request(1), "GET / HTTP/1.1\r\n", 16);
        assert_true(rows[i].status == 0 || response.timing.first_byte > 0);
        http_response_free(&response);
    }
}

/* Whoever made them, and wherever they would lead: the server, which would answer, is not asked. */
static void test_urls_that_are_refused(void **state)
{
    static const char *const urls[] = {"host/",
                                       "ftp://host/",
                                       "http:///",
                                       "http://:80/",
                                       "http://a@host/",
                                       "http://a:b@host/",
                                       "http://host:x/",
                                       "http://host:80x/",
                                       "http://host:/",
                                       "http://host:65536/",
                                       "http://host?a",
                                       "http://host#a",
                                       "http://[::1/",
                                       "http://[fe80::1%lo]/",
                                       "http://[]/",
                                       "http://a%62/",
                                       "http://a b/",
                                       "http://host/a b",
                                       "http://host/\ta",
                                       "http://host/\r\nA: b",
                                       "http://host/\x7f",
                                       "http://host/\xc3\xa4"};
    const char *reply = fake_reply(200, "", "ok");
    struct fake_server *server = fake_server_start(&reply, 1);
    char there[64];
    struct err err;
    struct http *http = http_new(false, &err);
    size_t i;

    (void)state;
    assert_non_null(http);
    (void)snprintf(there, sizeof there, "%s", strstr(fake_server_url(server), "//") + 2);
    there[strcspn(there, "/")] = '\0';
    for (i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct http_request request = {.method = "GET",
                                       .url = urls[i],
                                       .connect_to = there,
                                       .body_max = 16,
                                       .connect_ms = 60000,
                                       .total_ms = 60000,
                                       .deadline = clock_ms() + 60000};
        struct http_response response = {.status = 0};

        assert_int_equal(http_perform(http, &request, &response, 1, &err), 0);
        assert_int_equal(response.result, HTTP_FAILED);
        http_response_free(&response);
    }
    http_free(http);
    assert_int_equal(fake_server_stop(server), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_that_are_too_long),
        cmocka_unit_test(test_what_a_header_is_made_of),
        cmocka_unit_test(test_a_path_before_the_urls),
        cmocka_unit_test(test_a_path_by_who_answers),
        cmocka_unit_test(test_urls_that_are_refused),
    };

    return cmocka_run_group_tests_name("http", tests, samples_setup, NULL);
}
