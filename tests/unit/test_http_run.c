/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "fake_server.h"
#include "little_memory.h"
#include "net/http.h"
#include "samples.h"

enum { BODY_MAX = 16, PATIENCE_MS = 60000, MANY = 40 };

static struct http_request request_to(const char *url)
{
    return (struct http_request){.method = "GET",
                                 .url = url,
                                 .body_max = BODY_MAX,
                                 .connect_ms = PATIENCE_MS,
                                 .total_ms = PATIENCE_MS,
                                 .deadline = clock_ms() + PATIENCE_MS};
}

static void perform(const struct http_request *request, struct http_response *response)
{
    struct err err;
    struct http *http = http_new(false, &err);

    assert_non_null(http);
    assert_int_equal(http_perform(http, request, response, 1, &err), 0);
    http_free(http);
}

/* One exchange with a server that has this reply; NULL: a port without a server. */
static void exchange(struct http_request request, const char *reply, struct http_response *response)
{
    struct fake_server *server = fake_server_start(&reply, reply ? 1 : 0);

    if (!request.url)
        request.url = fake_server_url(server);
    perform(&request, response);
    (void)fake_server_stop(server);
}

static void assert_body(const struct http_response *response, const char *text)
{
    assert_int_equal(response->body.len, strlen(text));
    assert_memory_equal(response->body.data, text, strlen(text));
}

static void an_answer_comes_whole(void **state)
{
    struct http_response response;

    (void)state;
    exchange(request_to(NULL), fake_reply(403, "", "0123456789abcdef"), &response);
    assert_int_equal(response.result, HTTP_ANSWERED);
    assert_int_equal(response.status, 403);
    assert_int_equal(response.stage, HTTP_STAGE_ANSWER);
    assert_int_equal(response.alert, -1);
    assert_int_equal(response.os_error, 0);
    assert_false(response.cut || response.by_proxy);
    assert_body(&response, "0123456789abcdef");
    assert_true(response.timing.tcp > 0 && response.timing.tls == 0);
    assert_true(response.timing.first_byte >= response.timing.tcp);
    assert_true(response.timing.total >= response.timing.first_byte);
    http_response_free(&response);
}

static void an_answer_that_is_too_large_is_none(void **state)
{
    struct http_response response;

    (void)state;
    exchange(request_to(NULL), fake_reply(200, "", "0123456789abcdefg"), &response);
    assert_int_equal(response.result, HTTP_TOO_LARGE);
    http_response_free(&response);
}

static void an_answer_that_ends_early_is_none(void **state)
{
    static const struct {
        const char *reply;
        enum http_result result;
    } rows[] = {
        {"", HTTP_CLOSED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", HTTP_BROKEN},
        {"noise\r\n", HTTP_BROKEN},
    };
    struct http_response response;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        exchange(request_to(NULL), rows[i].reply, &response);
        assert_int_equal(response.result, rows[i].result);
        assert_true(response.cause[0] != '\0');
        http_response_free(&response);
    }
}

/* A spare request is made once where memory is short; others are made again, in vain here. */
static void memory_is_short(void **state)
{
    enum { FREE = 512 * 1024, LARGE = 1024 * 1024, LAUNCHES_MAX = 8 };
    char *reply = malloc(LARGE);
    struct http_response response;
    struct fake_server *server;
    int len;

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN); /* the server's */
    assert_non_null(reply);
    len = snprintf(reply, LARGE, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LARGE);
    memset(reply + len, 'x', LARGE - (size_t)len - 1);
    reply[LARGE - 1] = '\0';
    for (int i = 0; i < 2; i++) {
        struct http_request request;

        server = fake_server_repeat(reply);
        request = request_to(fake_server_url(server));
        request.body_max = 2 * LARGE;
        request.spare = i == 0;
        leave_free(FREE);
        perform(&request, &response);
        give_back();
        assert_int_equal(response.result, request.spare ? HTTP_NO_MEMORY : HTTP_TOO_LARGE);
        http_response_free(&response);
        assert_int_equal(fake_server_stop(server), request.spare ? 1 : LAUNCHES_MAX);
    }
    free(reply);
}

static void what_is_asked_is_sent(void **state)
{
    const struct http_header headers[] = {
        {"X-One", "first"}, {"X-None", ""}, {"Authorization", "AWS4 a, b=c"}};
    struct http_request request = request_to(NULL);
    struct http_response response;
    const char *text;

    (void)state;
    request.method = "POST";
    request.headers = headers;
    request.header_count = 3;
    request.body = bytes_of_text("{\"a\":1}");
    exchange(request, fake_reply(200, "", ""), &response);
    assert_int_equal(response.result, HTTP_ANSWERED);
    text = fake_server_request(0);
    assert_memory_equal(text, "POST / HTTP/1.1\r\n", 17);
    assert_non_null(strstr(text, "\r\nX-One: first\r\n"));
    assert_non_null(strstr(text, "\r\nX-None:\r\n"));
    assert_non_null(strstr(text, "\r\nAuthorization: AWS4 a, b=c\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Length: 7\r\n"));
    assert_non_null(strstr(text, "\r\n\r\n{\"a\":1}"));
    http_response_free(&response);

    request.method = "PUT";
    request.body = bytes_of(NULL, 0);
    exchange(request, fake_reply(200, "", ""), &response);
    assert_memory_equal(fake_server_request(0), "PUT / HTTP/1.1\r\n", 16);
    http_response_free(&response);
}

static void a_header_that_holds_another_is_not_sent(void **state)
{
    static const struct http_header headers[] = {
        {"X-One", "a\r\nX-Two: b"}, {"X-One", "a\nb"}, {"X\rOne", "a"}, {"X-One:", "a"}};
    struct http_request request = request_to(NULL);
    struct http_response response;

    (void)state;
    request.header_count = 1;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        request.headers = &headers[i];
        exchange(request, fake_reply(200, "", ""), &response);
        assert_int_equal(response.result, HTTP_FAILED);
        assert_string_equal(fake_server_request(0), "");
        http_response_free(&response);
    }
}

static void where_nobody_listens(void **state)
{
    struct http_response response;

    (void)state;
    exchange(request_to(NULL), NULL, &response);
    assert_int_equal(response.result, HTTP_UNREACHABLE);
    assert_int_equal(response.os_error, ECONNREFUSED);
    assert_int_equal(response.stage, HTTP_STAGE_TCP);
    assert_memory_equal(response.peer, "127.0.0.1:", 10);
    http_response_free(&response);
}

static void another_address_than_the_names(void **state)
{
    const char *reply = fake_reply(200, "", "ok");
    struct fake_server *server = fake_server_start(&reply, 1);
    struct http_request request = request_to("http://nobody.invalid/");
    struct http_response response;

    (void)state;
    request.connect_to = fake_server_url(server) + strlen("http://");
    perform(&request, &response);
    assert_int_equal(response.result, HTTP_ANSWERED);
    assert_string_equal(response.peer, request.connect_to);
    (void)fake_server_stop(server);
    assert_non_null(strstr(fake_server_request(0), "\r\nHost: nobody.invalid\r\n"));
    http_response_free(&response);
}

static const struct sockaddr_in *seen;
static bool allowed;

static bool judge(const struct sockaddr *address)
{
    static struct sockaddr_in kept;

    memcpy(&kept, address, sizeof kept);
    seen = &kept;
    return allowed;
}

static void an_address_is_asked_about(void **state)
{
    struct http_request request = request_to(NULL);
    struct http_response response;

    (void)state;
    request.address_allowed = judge;
    for (int i = 0; i < 2; i++) {
        allowed = i == 1;
        seen = NULL;
        exchange(request, fake_reply(200, "", "ok"), &response);
        assert_int_equal(response.result, allowed ? HTTP_ANSWERED : HTTP_ADDRESS_DENIED);
        assert_non_null(seen);
        assert_int_equal(seen->sin_family, AF_INET);
        assert_int_equal(ntohl(seen->sin_addr.s_addr), INADDR_LOOPBACK);
        assert_true((fake_server_request(0)[0] != '\0') == allowed);
        http_response_free(&response);
    }
}

/* A port that takes connections, and nobody answers. */
static int listen_silently(char *url, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (void *)&address, len), 0);
    assert_int_equal(listen(fd, MANY), 0);
    assert_int_equal(getsockname(fd, (void *)&address, &len), 0);
    (void)snprintf(url, size, "http://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

static void who_never_answers_is_left(void **state)
{
    char url[64];
    int fd = listen_silently(url, sizeof url);
    struct http_request request = request_to(url);
    struct http_response response;

    (void)state;
    request.total_ms = 1200;
    perform(&request, &response);
    assert_int_equal(response.result, HTTP_TIMEOUT);
    assert_int_equal(response.stage, HTTP_STAGE_ANSWER);
    assert_false(response.cut);
    assert_true(clock_ms() < request.deadline);
    http_response_free(&response);

    request = request_to(url);
    request.deadline = clock_ms() + 300; /* which the peer is not to blame for */
    perform(&request, &response);
    assert_int_equal(response.result, HTTP_TIMEOUT);
    assert_true(response.cut);
    assert_true(clock_ms() >= request.deadline);
    http_response_free(&response);
    close(fd);
}

/* Answers once, leaves the connection open, and waits for the other end of it. */
static void *answer_and_wait(void *listener)
{
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const struct timeval patience = {.tv_sec = 20};
    int fd = accept(*(int *)listener, NULL, NULL);
    char text[1024];
    ssize_t len = read(fd, text, sizeof text);

    if (len > 0)
        (void)!write(fd, reply, sizeof reply - 1);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    len = read(fd, text, sizeof text);
    (void)close(fd);
    return len == 0 ? NULL : listener;
}

static void no_connection_is_kept_for_others(void **state)
{
    char url[64];
    int listener = listen_silently(url, sizeof url);
    struct http_request request = request_to(url);
    struct http_response response;
    struct err err;
    struct http *http = http_new(false, &err);
    void *left_open;
    pthread_t server;

    (void)state;
    assert_non_null(http);
    assert_int_equal(pthread_create(&server, NULL, answer_and_wait, &listener), 0);
    assert_int_equal(http_perform(http, &request, &response, 1, &err), 0);
    assert_int_equal(response.result, HTTP_ANSWERED);
    http_response_free(&response);
    assert_int_equal(pthread_join(server, &left_open), 0);
    assert_null(left_open);
    http_free(http);
    close(listener);
}

static void by_a_proxy(void **state)
{
    const char *reply = "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n";
    struct fake_server *server = fake_server_start(&reply, 1);
    struct http_proxy proxy = {fake_server_url(server), "user:pass%20word"};
    struct http_request request = request_to("http://nobody.invalid:8080/x");
    struct http_response response;

    (void)state;
    request.proxy = &proxy;
    perform(&request, &response);
    assert_int_equal(response.result, HTTP_PROXY_REFUSED);
    assert_int_equal(response.status, 407);
    assert_true(response.by_proxy);
    (void)fake_server_stop(server);
    assert_memory_equal(fake_server_request(0), "CONNECT nobody.invalid:8080 HTTP/1.1\r\n", 38);
    assert_non_null(
        strstr(fake_server_request(0), "\r\nProxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n"));
    http_response_free(&response);
}

/* ---- many ---- */

struct many {
    const char *urls[MANY];
    size_t asked, count, at_once, most;
    unsigned answered[MANY];
    enum http_result result[MANY];
};

static bool next(void *user, struct http_request *request, void *note)
{
    struct many *many = user;

    if (many->asked == many->count)
        return false;
    *request = request_to(many->urls[many->asked]);
    request->total_ms = 1200;
    memcpy(note, &many->asked, sizeof many->asked);
    many->asked++;
    if (++many->at_once > many->most)
        many->most = many->at_once;
    return true;
}

static void done(void *user, struct http_response *response, void *note)
{
    struct many *many = user;
    size_t i;

    memcpy(&i, note, sizeof i);
    assert_in_range(i, 0, many->count - 1);
    many->answered[i]++;
    many->result[i] = response->result;
    if (response->result == HTTP_ANSWERED)
        assert_body(response, "ok");
    many->at_once--;
}

static void run_many(struct many *many, size_t parallel, bool counted)
{
    const struct http_batch batch = {.next = next,
                                     .done = done,
                                     .user = many,
                                     .note_size = sizeof(size_t),
                                     .parallel = parallel,
                                     .count = counted ? many->count : 0};
    struct err err;
    struct http *http = http_new(false, &err);

    assert_non_null(http);
    assert_int_equal(http_run(http, &batch, &err), 0);
    http_free(http);
    assert_int_equal(many->asked, many->count);
    for (size_t i = 0; i < many->count; i++)
        assert_int_equal(many->answered[i], 1);
}

static void each_of_many_is_answered_once(void **state)
{
    struct fake_server *server = fake_server_repeat(fake_reply(200, "", "ok"));
    static const size_t parallel[] = {1, 2, 7, MANY};

    (void)state;
    for (size_t k = 0; k < sizeof parallel / sizeof *parallel; k++) {
        struct many many = {.count = k == 0 ? 1 : MANY};

        for (size_t i = 0; i < MANY; i++)
            many.urls[i] = fake_server_url(server);
        run_many(&many, parallel[k], k % 2 == 0);
        for (size_t i = 0; i < many.count; i++)
            assert_int_equal(many.result[i], HTTP_ANSWERED);
    }
    (void)fake_server_stop(server);
}

/* With as few descriptors as that fewer are in flight, and all are asked. */
static void few_descriptors_are_enough(void **state)
{
    struct fake_server *server = fake_server_repeat(fake_reply(200, "", "ok"));
    struct many many = {.count = MANY};
    struct rlimit before, few;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    for (few.rlim_cur = 16; few.rlim_cur <= 28; few.rlim_cur += 4) {
        memset(&many, 0, sizeof many);
        many.count = MANY;
        for (size_t i = 0; i < MANY; i++)
            many.urls[i] = fake_server_url(server);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        run_many(&many, MANY, true);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(many.most, few.rlim_cur < 20 ? 1 : (few.rlim_cur - 16) / 4);
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(many.result[i], HTTP_ANSWERED);
    }
    (void)fake_server_stop(server);
}

static void some_that_are_silent_do_not_hold_up_the_rest(void **state)
{
    struct fake_server *server = fake_server_repeat(fake_reply(200, "", "ok"));
    struct many many = {.count = MANY};
    char url[64];
    int fd = listen_silently(url, sizeof url);

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        many.urls[i] = i % 4 == 0 ? url : fake_server_url(server);
    run_many(&many, 4, true);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(many.result[i], i % 4 == 0 ? HTTP_TIMEOUT : HTTP_ANSWERED);
    (void)fake_server_stop(server);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_whole),
        cmocka_unit_test(an_answer_that_is_too_large_is_none),
        cmocka_unit_test(an_answer_that_ends_early_is_none),
        cmocka_unit_test(memory_is_short),
        cmocka_unit_test(what_is_asked_is_sent),
        cmocka_unit_test(a_header_that_holds_another_is_not_sent),
        cmocka_unit_test(where_nobody_listens),
        cmocka_unit_test(another_address_than_the_names),
        cmocka_unit_test(an_address_is_asked_about),
        cmocka_unit_test(who_never_answers_is_left),
        cmocka_unit_test(no_connection_is_kept_for_others),
        cmocka_unit_test(by_a_proxy),
        cmocka_unit_test(each_of_many_is_answered_once),
        cmocka_unit_test(few_descriptors_are_enough),
        cmocka_unit_test(some_that_are_silent_do_not_hold_up_the_rest),
    };

    return cmocka_run_group_tests_name("http_run", tests, samples_setup, NULL);
}
