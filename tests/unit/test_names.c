/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the DNS, resolv.conf, hosts, and what is told of servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/dns.h"
#include "net/resolv_conf.h"
#include "net/resolve.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define L63          "123456789012345678901234567890123456789012345678901234567890123"
#define NAME         "\7enclave\4test\0"
#define HEAD         "\x12\x34\x81\x80\0\1\0\1\0\0\0\0"
#define QUESTION     NAME "\0\1\0\1"
#define A            "\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x0a\0\0\1"

static void test_questions(void **state)
{
    static const char query[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0" QUESTION;
    static const char *const bad[] = {
        "", ".", ".a", "a..b", "a..", L63 "4.test", L63 "." L63 "." L63 "." L63};
    uint8_t out[DNS_QUERY_MAX], dotted[DNS_QUERY_MAX];
    size_t i;

    (void)state;
    assert_int_equal(dns_ask(out, 0x1234, "enclave.test", AF_INET), sizeof query - 1);
    assert_memory_equal(out, query, sizeof query - 1);
    assert_int_equal(dns_ask(dotted, 0x1234, "enclave.test.", AF_INET), sizeof query - 1);
    assert_memory_equal(dotted, query, sizeof query - 1);
    assert_int_equal(dns_ask(out, 0, "a", AF_INET6), 19);
    assert_int_equal(out[16], 28);
    for (i = 0; i < COUNT(bad); i++)
        assert_int_equal(dns_ask(out, 1, bad[i], AF_INET), 0);
}

/* The header's flags and count of answers, then all that is behind the question. */
struct message {
    const char *flags; /* two bytes, and two of the count */
    const char *rest;
    size_t len;
    enum dns_said said;
    size_t count;
};
#define REST(text) text, sizeof text - 1

static void test_answers_read(void **state)
{
    static const struct message messages[] = {
        {"\x81\x80\0\1", REST(A), DNS_FOUND, 1},
        {"\x81\x80\0\2", REST(A A), DNS_FOUND, 1},
        {"\x81\x80\0\0", REST(""), DNS_NO_ADDRESS, 0},
        {"\x80\0\0\0", REST(""), DNS_REFERRED, 0},
        {"\x84\0\0\0", REST(""), DNS_NO_ADDRESS, 0},
        {"\x81\x83\0\0", REST(""), DNS_NO_NAME, 0},
        {"\x81\x82\0\1", REST(A), DNS_RCODE + 2, 0},
        {"\x81\x8b\0\0", REST(""), DNS_RCODE + 11, 0},
        /* without compression, in other case; an alias; who is not asked for */
        {"\x81\x80\0\1", REST("\7ENCLAVE\4Test\0\0\1\0\1\0\0\0\1\0\4\x0a\0\0\1"), DNS_FOUND, 1},
        {"\x81\x80\0\2",
         REST("\xc0\x0c\0\5\0\1\0\0\0\1\0\3\1b\0\1b\0\0\1\0\1\0\0\0\1\0\4\x0a\0\0\1"), DNS_FOUND,
         1},
        {"\x81\x80\0\1", REST("\xc0\x0c\0\5\0\1\0\0\0\1\0\3\1b\0"), DNS_NO_ADDRESS, 0},
        {"\x81\x80\0\1", REST("\1b\0\0\1\0\1\0\0\0\1\0\4\x0a\0\0\1"), DNS_NO_ADDRESS, 0},
        /* another type, class, length */
        {"\x81\x80\0\1", REST("\xc0\x0c\0\x1c\0\1\0\0\0\1\0\4\x0a\0\0\1"), DNS_NO_ADDRESS, 0},
        {"\x81\x80\0\1", REST("\xc0\x0c\0\1\0\3\0\0\0\1\0\4\x0a\0\0\1"), DNS_NO_ADDRESS, 0},
        {"\x81\x80\0\1", REST("\xc0\x0c\0\1\0\1\0\0\0\1\0\3\x0a\0\0"), DNS_NO_ADDRESS, 0},
        /* it ends too early; what came before counts */
        {"\x81\x80\0\1", REST(""), DNS_BROKEN, 0},
        {"\x81\x80\0\1", REST("\xc0"), DNS_BROKEN, 0},
        {"\x81\x80\0\1", REST("\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x0a\0\0"), DNS_BROKEN, 0},
        {"\x81\x80\xff\xff", REST(A), DNS_FOUND, 1},
        /* pointers to themselves, beyond the end, labels of no known kind */
        {"\x81\x80\0\1", REST("\xc0\x1e\0\1\0\1\0\0\0\1\0\4\x0a\0\0\1"), DNS_NO_ADDRESS, 0},
        {"\x81\x80\0\1", REST("\xff\xff\0\1\0\1\0\0\0\1\0\4\x0a\0\0\1"), DNS_NO_ADDRESS, 0},
        {"\x81\x80\0\1", REST("\x80\x0c\0\1\0\1\0\0\0\1\0\4\x0a\0\0\1"), DNS_BROKEN, 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(messages); i++) {
        uint8_t packet[128] = HEAD QUESTION;
        const size_t head = sizeof HEAD QUESTION - 1;
        struct dns_addresses found = {.count = 0};

        memcpy(packet + 2, messages[i].flags, 2);
        memcpy(packet + 6, messages[i].flags + 2, 2);
        memcpy(packet + head, messages[i].rest, messages[i].len);
        assert_int_equal(dns_read(bytes_of(packet, head + messages[i].len), AF_INET, &found),
                         messages[i].said);
        assert_int_equal(found.count, messages[i].count);
    }
}

/* Sixteen aliases are followed, and no more. */
static void test_aliases(void **state)
{
    size_t links;

    (void)state;
    for (links = 15; links <= 17; links++) {
        uint8_t packet[1024] = HEAD QUESTION;
        size_t at = sizeof HEAD QUESTION - 1, name = 12, i;
        struct dns_addresses found = {.count = 0};
        enum dns_said said;

        packet[7] = (uint8_t)(links + 1);
        for (i = 0; i < links; i++) {
            const uint8_t link[] = {0xC0, (uint8_t)name, 0, 5, 0, 1, 0, 0, 0, 1, 0, 3, 1, 'a', 0};

            memcpy(packet + at, link, sizeof link);
            packet[at] |= (uint8_t)(name >> 8);
            packet[at + 13] = (uint8_t)('a' + i);
            name = at + 12;
            at += sizeof link;
        }
        memcpy(packet + at, A, sizeof A - 1);
        packet[at] = (uint8_t)(0xC0 | name >> 8);
        packet[at + 1] = (uint8_t)name;
        said = dns_read(bytes_of(packet, at + sizeof A - 1), AF_INET, &found);
        assert_int_equal(said, links <= 16 ? DNS_FOUND : DNS_BROKEN);
    }
}

static void test_answers_to_other_questions(void **state)
{
    uint8_t query[DNS_QUERY_MAX], packet[] = HEAD QUESTION A;
    const size_t len = dns_ask(query, 0x1234, "Enclave.test", AF_INET);
    const struct bytes message = bytes_of(packet, sizeof packet - 1), asked = bytes_of(query, len);
    static const size_t places[] = {0, 1, 5, 12, 14, 20, 26, 28}; /* of what has to fit */
    size_t i;

    (void)state;
    assert_true(dns_answers(message, asked));
    for (i = 0; i < COUNT(places); i++) {
        packet[places[i]] ^= 2;
        assert_false(dns_answers(message, asked));
        packet[places[i]] ^= 2;
    }
    packet[2] &= 0x7F; /* a question */
    assert_false(dns_answers(message, asked));
    packet[2] |= 0x80;
    assert_false(dns_is_cut(message));
    packet[2] |= 2;
    assert_true(dns_is_cut(message));
    for (i = 0; i < len; i++)
        assert_false(dns_answers(bytes_of(packet, i), asked));
}

/* A file of this text; its path. */
static const char *file_of(const char *text)
{
    static char path[64];
    FILE *file;

    (void)snprintf(path, sizeof path, "/tmp/test_names.%d", (int)getpid());
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

static struct resolv_conf conf_of(const char *text)
{
    const char *path = file_of(text);
    struct resolv_conf conf;

    resolv_conf_read(&conf, path);
    assert_int_equal(unlink(path), 0);
    return conf;
}

static void test_resolv_conf(void **state)
{
    struct resolv_conf conf =
        conf_of("# x\n; y\n nameserver 10.0.0.9\nnameserver 10.0.0.2\n"
                "nameserver\tfd00::2 # x\nnameserver x\nsearch a.test\n"
                "domain b.test c.test\noptions ndots:99 timeout:99 attempts:9\n"
                "options rotat use-vc no-aaaa no-tld-query\n"
                "nameserver fe80::1%lo\nnameserver 10.0.0.4");

    (void)state;
    assert_int_equal(conf.count, 3);
    assert_string_equal(conf.servers[0].text, "10.0.0.2");
    assert_string_equal(conf.servers[1].text, "fd00::2");
    assert_string_equal(conf.servers[2].text, "fe80::1%lo");
    assert_int_equal(conf.servers[0].address.v4.sin_port, htons(53));
    assert_true(conf.servers[2].address.v6.sin6_scope_id > 0);
    assert_string_equal(conf.search, "b.test");
    assert_int_equal(conf.ndots, 15);
    assert_int_equal(conf.timeout_s, 30);
    assert_int_equal(conf.attempts, 5);
    assert_true(conf.use_tcp && conf.no_aaaa && conf.no_tld_query && !conf.rotate && !conf.silent);
    conf =
        conf_of("domain b.test\nsearch\ta.test  c.test\noptions ndots:0 timeout:0 attempts:-1\n");
    assert_string_equal(conf.search, "a.test c.test");
    assert_int_equal(conf.ndots, 0);
    assert_int_equal(conf.timeout_s, 1);
    assert_true(conf.count == 1 && conf.silent);
    assert_string_equal(conf.servers[0].text, "127.0.0.1");
    resolv_conf_read(&conf, "/nonexistent/resolv.conf");
    assert_true(conf.count == 1 && conf.ndots == 1 && conf.timeout_s == 5 && conf.attempts == 2);
}

static void test_hosts(void **state)
{
    static const struct {
        const char *name;
        int family;
        size_t count;
    } cases[] = {
        {"enclave.test", AF_UNSPEC, 2}, {"ENCLAVE.test.", AF_UNSPEC, 2},
        {"enclave.test", AF_INET, 1},   {"enclave.test", AF_INET6, 1},
        {"enclave", AF_UNSPEC, 1},      {"enclave.tes", AF_UNSPEC, 0},
        {"commented.test", AF_INET, 0}, {"bad.test", AF_UNSPEC, 0},
        {"10.0.0.1", AF_UNSPEC, 0},     {"last.test", AF_UNSPEC, 1},
    };
    const char *path =
        file_of("10.0.0.1\tother enclave.test # commented.test\n#10.0.0.2 commented.test\n"
                "fd00::1 Enclave.Test enclave\n10.0.0 bad.test\nx bad.test\n10.0.0.3\n"
                "10.0.0.1 enclave.test\n10.0.0.4 last.test");
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        struct dns_addresses found = {.count = 0};

        hosts_read(path, cases[i].name, cases[i].family, &found);
        assert_int_equal(found.count, cases[i].count);
    }
    assert_int_equal(unlink(path), 0);
}

static void test_what_is_told(void **state)
{
    struct resolved resolved = {
        .server_count = 3,
        .servers = {{"10.0.0.2", {DNS_NO_NAME, DNS_RCODE + 2}},
                    {"fd00::2", {DNS_SILENT, DNS_SILENT}},
                    {"10.0.0.4", {DNS_UNASKED, DNS_UNASKED}}},
    };
    char text[RESOLVE_TEXT_MAX];
    size_t i;

    (void)state;
    resolve_explain(&resolved, text);
    assert_string_equal(text, "10.0.0.2 answered NXDOMAIN for A and SERVFAIL for AAAA; "
                              "fd00::2 answered nothing");
    resolved.servers[0].said[0] = DNS_RCODE + 11;
    resolved.servers[0].said[1] = DNS_UNASKED;
    resolved.server_count = 1;
    resolve_explain(&resolved, text);
    assert_string_equal(text, "10.0.0.2 answered RCODE 11");
    resolved.server_count = 3;
    resolved.by_default = true;
    for (i = 0; i < 3; i++) {
        memset(resolved.servers[i].text, 'f', sizeof resolved.servers[i].text - 1);
        resolved.servers[i].said[0] = DNS_CUT;
        resolved.servers[i].said[1] = DNS_UNREACHABLE;
    }
    resolve_explain(&resolved, text);
    assert_int_equal(strlen(text), RESOLVE_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions),    cmocka_unit_test(test_answers_read),
        cmocka_unit_test(test_aliases),      cmocka_unit_test(test_answers_to_other_questions),
        cmocka_unit_test(test_resolv_conf),  cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_what_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
