/* SPDX-License-Identifier: Apache-2.0 */
/* Look-ups against name servers of this program's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/resolve.h"

enum { PACKET = 512, SERVERS = 2, ANSWERS = 4, HEADER = 12 };

/* What a server says to a name; to names that are not listed it says that there is none. */
struct answer {
    const char *name;
    enum { ADDRESS, NONE, NO_NAME, FAILURE, NOTHING, CUT } what;
};

struct server {
    const struct answer *answers;
    int udp, tcp, stop[2];
    pthread_t thread;
};

static struct server servers[SERVERS];
static struct resolv_conf conf;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char asked[2048]; /* "0:name/A " for each question, with the server's number */

/* The name of a question as text; where the question ends. */
static size_t name_of(const uint8_t *packet, char *out)
{
    size_t at = HEADER, len = 0;

    for (; packet[at]; at += packet[at] + 1u) {
        if (len > 0)
            out[len++] = '.';
        memcpy(out + len, packet + at + 1, packet[at]);
        len += packet[at];
    }
    out[len] = '\0';
    return at + 5;
}

/* Makes a question its own answer: the length, 0 for silence. */
static size_t answer(struct server *server, uint8_t *packet, bool stream)
{
    char name[256], line[300];
    const size_t end = name_of(packet, name);
    const bool v4 = packet[end - 3] == 1;
    const struct answer *found = server->answers;
    size_t size = v4 ? 4 : 16;

    while (found->name && strcmp(found->name, name) != 0)
        found++;
    (void)snprintf(line, sizeof line, "%d:%s/%s%s ", (int)(server - servers), name,
                   v4 ? "A" : "AAAA", stream ? "/tcp" : "");
    (void)pthread_mutex_lock(&mutex);
    if (strlen(asked) + strlen(line) < sizeof asked)
        strcat(asked, line);
    (void)pthread_mutex_unlock(&mutex);
    packet[2] = 0x81;
    packet[3] = 0x80;
    if (!found->name || found->what == NO_NAME)
        packet[3] |= 3;
    else if (found->what == FAILURE)
        packet[3] |= 2;
    else if (found->what == NOTHING)
        return 0;
    else if (found->what == CUT && !stream)
        packet[2] |= 2;
    else if (found->what != NONE) {
        packet[7] = 1;
        memcpy(packet + end, "\xc0\x0c\0\1\0\1\0\0\0\1\0", 11);
        packet[end + 3] = v4 ? 1 : 28;
        packet[end + 11] = (uint8_t)size;
        memset(packet + end + 12, 7, size);
        return end + 12 + size;
    }
    return end;
}

static void serve_stream(struct server *server)
{
    uint8_t packet[2 + PACKET];
    int fd = accept(server->tcp, NULL, NULL);
    size_t len;

    if (fd < 0 || read(fd, packet, sizeof packet) < HEADER)
        abort();
    len = answer(server, packet + 2, true);
    packet[0] = (uint8_t)(len >> 8);
    packet[1] = (uint8_t)len;
    if (len > 0) { /* in two parts, as networks do */
        (void)!write(fd, packet, 5);
        (void)!write(fd, packet + 5, len - 3);
    }
    (void)close(fd);
}

static void *serve(void *argument)
{
    struct server *server = argument;
    struct pollfd fds[3] = {
        {server->stop[0], POLLIN, 0}, {server->udp, POLLIN, 0}, {server->tcp, POLLIN, 0}};
    uint8_t packet[PACKET];
    struct sockaddr_in from;
    socklen_t size;
    size_t len;

    while (poll(fds, 3, -1) > 0 && !fds[0].revents) {
        size = sizeof from;
        if (fds[2].revents)
            serve_stream(server);
        if (!fds[1].revents ||
            recvfrom(server->udp, packet, sizeof packet, 0, (void *)&from, &size) < HEADER)
            continue;
        len = answer(server, packet, false);
        if (len > 0)
            (void)sendto(server->udp, packet, len, 0, (void *)&from, size);
    }
    return NULL;
}

static void start(size_t i, const struct answer *answers)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct server *server = &servers[i];
    struct name_server *name_server = &conf.servers[i];
    socklen_t size = sizeof address;

    server->answers = answers;
    server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server->tcp, (void *)&address, size) < 0 || listen(server->tcp, 8) < 0 ||
        getsockname(server->tcp, (void *)&address, &size) < 0 ||
        bind(server->udp, (void *)&address, size) < 0 || pipe(server->stop) < 0 ||
        pthread_create(&server->thread, NULL, serve, server) != 0)
        abort();
    (void)snprintf(name_server->text, sizeof name_server->text, "server %zu", i);
    name_server->address.v4 = address;
    name_server->size = size;
    conf.count = i + 1;
}

static int set_up(void **state)
{
    (void)state;
    conf = (struct resolv_conf){.ndots = 1, .timeout_s = 1, .attempts = 1};
    asked[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < conf.count; i++) {
        struct server *server = &servers[i];

        (void)close(server->stop[1]);
        (void)pthread_join(server->thread, NULL);
        (void)close(server->stop[0]);
        (void)close(server->udp);
        (void)close(server->tcp);
    }
    return 0;
}

static size_t told;

static void count_told(const char *name, const struct resolved *resolved)
{
    assert_string_equal(name, "x");
    assert_non_null(resolved);
    told++;
}

/* Looks a name up, and compares what was asked for that. */
static size_t look_up(const char *name, int family, const char *questions,
                      struct resolved *resolved)
{
    asked[0] = '\0';
    resolve_by(&conf, name, family, NULL, resolved);
    assert_string_equal(asked, questions);
    return resolved->found.count;
}

static void names_that_a_name_may_stand_for(void **state)
{
    static const struct answer nothing[] = {{NULL, NONE}};
    static const struct {
        const char *name, *search;
        unsigned ndots;
        bool no_tld_query;
        const char *questions;
    } rows[] = {
        {"x", "", 1, false, "0:x/A "},
        {"x", "a b.c", 1, false, "0:x.a/A 0:x.b.c/A 0:x/A "},
        {"x", "a", 0, false, "0:x/A 0:x.a/A "},
        {"x", "a", 1, true, "0:x.a/A "},
        {"x", "a", 0, true, "0:x/A 0:x.a/A "},
        {"x.y", "a", 1, false, "0:x.y/A 0:x.y.a/A "},
        {"x.y", "a", 1, true, "0:x.y/A 0:x.y.a/A "},
        {"x.y", "a", 2, false, "0:x.y.a/A 0:x.y/A "},
        {"x.y", "a", 2, true, "0:x.y.a/A 0:x.y/A "},
        {"x.y.", "a", 5, false, "0:x.y/A "},
        {"x.", "a", 5, false, "0:x/A "},
        {"x", "bad..domain a", 1, false, "0:x.a/A 0:x/A "},
    };
    struct resolved resolved;

    (void)state;
    start(0, nothing);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        conf.ndots = rows[i].ndots;
        conf.no_tld_query = rows[i].no_tld_query;
        (void)snprintf(conf.search, sizeof conf.search, "%s", rows[i].search);
        assert_int_equal(look_up(rows[i].name, AF_INET, rows[i].questions, &resolved), 0);
        assert_int_equal(resolved.servers[0].said[0], DNS_NO_NAME);
    }
}

static void the_first_that_has_an_address_is_it(void **state)
{
    static const struct answer answers[] = {{"x.b", ADDRESS}, {"x", ADDRESS}, {NULL, NONE}};
    struct resolved resolved;

    (void)state;
    start(0, answers);
    (void)snprintf(conf.search, sizeof conf.search, "a b c");
    assert_int_equal(look_up("x", AF_INET, "0:x.a/A 0:x.b/A ", &resolved), 1);
    assert_string_equal(resolved.name, "x.b");
    assert_int_equal(resolved.server_count, 1);
    assert_string_equal(resolved.servers[0].text, "server 0");
    assert_int_equal(resolved.servers[0].said[0], DNS_FOUND);
    assert_int_equal(resolved.servers[0].said[1], DNS_UNASKED);
    assert_memory_equal(resolved.found.list[0].bytes, "\7\7\7\7", 4);
    assert_int_equal(look_up("x.", AF_INET, "0:x/A ", &resolved), 1);
}

static void of_failures_the_one_that_tells_most_is_told(void **state)
{
    static const struct answer answers[] = {{"x.a", FAILURE}, {NULL, NONE}};
    struct resolved resolved;

    (void)state;
    start(0, answers);
    (void)snprintf(conf.search, sizeof conf.search, "b a c");
    assert_int_equal(look_up("x", AF_INET, "0:x.b/A 0:x.a/A 0:x.c/A 0:x/A ", &resolved), 0);
    assert_string_equal(resolved.name, "x.a");
    assert_int_equal(resolved.servers[0].said[0], DNS_RCODE + 2);
}

/* It would be asked for the whole time by each name. */
static void behind_silence_no_other_domain_is_tried(void **state)
{
    static const struct answer answers[] = {{"x.a", NOTHING}, {NULL, NONE}};
    struct resolved resolved;

    (void)state;
    start(0, answers);
    (void)snprintf(conf.search, sizeof conf.search, "a b");
    resolve_by(&conf, "x", AF_INET, NULL, &resolved);
    assert_null(strstr(asked, "x.b/"));
    assert_non_null(strstr(asked, "0:x/A "));
    assert_string_equal(resolved.name, "x.a");
    assert_int_equal(resolved.servers[0].said[0], DNS_SILENT);
}

static void both_families_are_asked(void **state)
{
    static const struct answer answers[] = {{"x", ADDRESS}, {"y", NONE}, {NULL, NONE}};
    struct resolved resolved;

    (void)state;
    start(0, answers);
    assert_int_equal(look_up("x", AF_UNSPEC, "0:x/A 0:x/AAAA ", &resolved), 2);
    assert_int_equal(resolved.servers[0].said[1], DNS_FOUND);
    assert_int_equal(look_up("x", AF_INET6, "0:x/AAAA ", &resolved), 1);
    assert_int_equal(resolved.found.list[0].family, AF_INET6);
    assert_int_equal(look_up("y", AF_UNSPEC, "0:y/A 0:y/AAAA ", &resolved), 0);
    assert_int_equal(resolved.servers[0].said[0], DNS_NO_ADDRESS);
    assert_int_equal(resolved.servers[0].said[1], DNS_NO_ADDRESS);
}

static void a_cut_answer_is_had_by_tcp(void **state)
{
    static const struct answer answers[] = {{"x", CUT}, {NULL, NONE}};
    struct resolved resolved;

    (void)state;
    start(0, answers);
    assert_int_equal(look_up("x", AF_INET, "0:x/A 0:x/A/tcp ", &resolved), 1);
    conf.use_tcp = true;
    assert_int_equal(look_up("x", AF_INET, "0:x/A/tcp ", &resolved), 1);
    assert_int_equal(look_up("y", AF_INET, "0:y/A/tcp ", &resolved), 0);
    assert_int_equal(resolved.servers[0].said[0], DNS_NO_NAME);
}

static void the_next_server_is_asked_after_a_failure(void **state)
{
    static const struct answer bad[] = {{"x", FAILURE}, {"y", NO_NAME}, {"z", NONE}, {NULL, NONE}};
    static const struct answer good[] = {
        {"x", ADDRESS}, {"y", ADDRESS}, {"z", ADDRESS}, {NULL, NONE}};
    struct resolved resolved;

    (void)state;
    start(0, bad);
    start(1, good);
    assert_int_equal(look_up("x", AF_INET, "0:x/A 1:x/A ", &resolved), 1);
    assert_int_equal(resolved.servers[0].said[0], DNS_RCODE + 2);
    assert_int_equal(resolved.servers[1].said[0], DNS_FOUND);
    /* What denies has answered. */
    assert_int_equal(look_up("y", AF_INET, "0:y/A ", &resolved), 0);
    assert_int_equal(look_up("z", AF_INET, "0:z/A ", &resolved), 0);
    assert_int_equal(resolved.server_count, 2);
    assert_int_equal(resolved.servers[1].said[0], DNS_UNASKED);
}

static void all_servers_fail_as_often_as_they_may(void **state)
{
    static const struct answer bad[] = {{"x", FAILURE}, {NULL, NONE}};
    struct resolved resolved;

    (void)state;
    start(0, bad);
    start(1, bad);
    assert_int_equal(look_up("x", AF_INET, "0:x/A 1:x/A ", &resolved), 0);
    conf.attempts = 2;
    assert_int_equal(look_up("x", AF_INET, "0:x/A 1:x/A 0:x/A 1:x/A ", &resolved), 0);
}

static void who_is_silent_comes_last_the_next_time(void **state)
{
    static const struct answer silent[] = {{"x", NOTHING}, {"x.a", NOTHING}, {NULL, NONE}};
    static const struct answer good[] = {{"x", ADDRESS}, {NULL, NONE}};
    struct resolved resolved;

    (void)state;
    start(0, silent);
    start(1, good);
    (void)snprintf(conf.search, sizeof conf.search, "a");
    resolve_by(&conf, "x", AF_INET, count_told, &resolved);
    assert_int_equal(resolved.found.count, 1);
    assert_true(told > 0);
    assert_memory_equal(asked, "0:x.a/A ", 8);
    assert_non_null(strstr(asked, "1:x.a/A "));
    assert_non_null(strstr(asked, " 1:x/A "));
    assert_null(strstr(asked, " 0:x/A "));
}

static void where_nobody_listens(void **state)
{
    static const struct answer good[] = {{"x", ADDRESS}, {NULL, NONE}};
    struct resolved resolved;

    (void)state;
    start(0, good);
    start(1, good);
    conf.servers[0].address.v4.sin_port = htons(1);
    assert_int_equal(look_up("x", AF_INET, "1:x/A ", &resolved), 1);
    assert_int_equal(resolved.servers[0].said[0], DNS_UNREACHABLE);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(names_that_a_name_may_stand_for),
        ROW(the_first_that_has_an_address_is_it),
        ROW(of_failures_the_one_that_tells_most_is_told),
        ROW(behind_silence_no_other_domain_is_tried),
        ROW(both_families_are_asked),
        ROW(a_cut_answer_is_had_by_tcp),
        ROW(the_next_server_is_asked_after_a_failure),
        ROW(all_servers_fail_as_often_as_they_may),
        ROW(who_is_silent_comes_last_the_next_time),
        ROW(where_nobody_listens),
    };

    return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
