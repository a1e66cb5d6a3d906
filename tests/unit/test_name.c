/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "chains.h"
#include "x509/cert.h"
#include "x509/general_name.h"
#include "x509/name.h"

/* A subjectAltName of one name. */
static enum verify_status match(unsigned form, struct bytes presented, const char *expected)
{
    uint8_t san[300] = {(uint8_t)form, (uint8_t)presented.len};
    struct cert leaf = {.san = bytes_of(san, 2 + presented.len)};

    assert_true(presented.len < 128);
    memcpy(san + 2, presented.data, presented.len);
    return name_verify(&leaf, expected, false, chains_reason);
}

static void dns_names(void **state)
{
    static const char *const same[][2] = {
        {"enclave.example", "enclave.example"},
        {"Enclave.EXAMPLE", "eNCLAVE.example"},
        {"enclave.example", "enclave.example."},
        {"enclave", "enclave"},
        {"my_enclave.example", "my_enclave.example"},
        {"xn--bcher-kva.example", "XN--bcher-kva.example"},
        {"*.example", "enclave.example"},
        {"*.Enclave.example", "one.enclave.EXAMPLE."},
        {"*.enclave.example", "xn--bcher-kva.enclave.example"},
        {"1.example", "1.example"},
    };
    static const char *const other[][2] = {
        {"enclave.example", "other.example"},
        {"enclave.example", "enclave.example.net"},
        {"enclave.example", "an.enclave.example"},
        {"enclave.example.", "enclave.example"},
        {"*.enclave.example", "enclave.example"},
        {"*.enclave.example", "a.b.enclave.example"},
        {"*", "enclave"},
        {"*.", "enclave."},
        {"*.*.example", "a.b.example"},
        {"a.*.example", "a.b.example"},
        {"e*.example", "enclave.example"},
        {"*e.example", "enclave.example"},
        {"xn--*.example", "xn--bcher-kva.example"},
        {"", "enclave.example"},
        {".example", "enclave.example"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof same / sizeof same[0]; i++)
        if (match(GENERAL_DNS, bytes_of_text(same[i][0]), same[i][1]) != VERIFY_OK)
            fail_msg("%s is not %s", same[i][0], same[i][1]);
    for (i = 0; i < sizeof other / sizeof other[0]; i++)
        if (match(GENERAL_DNS, bytes_of_text(other[i][0]), other[i][1]) != VERIFY_NAME_MISMATCH)
            fail_msg("%s is %s", other[i][0], other[i][1]);
    /* A name that only begins like ours. */
    assert_int_equal(match(GENERAL_DNS, bytes_of("enclave.example\0.evil", 21), "enclave.example"),
                     VERIFY_NAME_MISMATCH);
}

static void addresses(void **state)
{
    static const uint8_t v4[] = {10, 1, 2, 3}, v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 10, 1, 2, 3};

    (void)state;
    assert_int_equal(match(GENERAL_IP, bytes_of(v4, 4), "10.1.2.3"), VERIFY_OK);
    assert_int_equal(match(GENERAL_IP, bytes_of(v4, 4), "10.1.2.4"), VERIFY_NAME_MISMATCH);
    assert_int_equal(match(GENERAL_IP, bytes_of(v6, 16), "2001:DB8::1"), VERIFY_OK);
    assert_int_equal(match(GENERAL_IP, bytes_of(v6, 16), "2001:db8:0:0:0:0:0:1"), VERIFY_OK);
    assert_int_equal(match(GENERAL_IP, bytes_of(v6, 16), "2001:db8::2"), VERIFY_NAME_MISMATCH);
    assert_int_equal(match(GENERAL_IP, bytes_of(mapped, 16), "10.1.2.3"), VERIFY_NAME_MISMATCH);
    /* An address is never a DNS name, nor the other way round. */
    assert_int_equal(match(GENERAL_DNS, bytes_of_text("10.1.2.3"), "10.1.2.3"),
                     VERIFY_NAME_MISMATCH);
    assert_int_equal(match(GENERAL_DNS, bytes_of_text("*.1.2.3"), "10.1.2.3"),
                     VERIFY_NAME_MISMATCH);
    assert_int_equal(match(GENERAL_DNS, bytes_of_text("2001:db8::1"), "2001:db8::1"),
                     VERIFY_NAME_MISMATCH);
    assert_int_equal(match(GENERAL_IP, bytes_of_text("host"), "host"), VERIFY_NAME_MISMATCH);
    assert_int_equal(match(GENERAL_URI, bytes_of_text("enclave.example"), "enclave.example"),
                     VERIFY_NAME_MISMATCH);
}

static void what_is_a_host(void **state)
{
    static const char *const bad[] = {
        "",
        ".",
        "a..b",
        ".a",
        "a b",
        "a/b",
        "[::1]",
        "10.1.2",
        "127.1",
        "0x7f000001",
        "1",
        "10.1.2.3.4",
        "b\xc3\xbc"
        "cher.example",
        "fe80::1%1",
        "a:b",
        "*.example",
        "10.1.2.3.",
        "1.2.3.0x10",
    };
    char label[66];
    struct host host;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (host_read(&host, bytes_of_text(bad[i])))
            fail_msg("\"%s\" is a host", bad[i]);
        assert_int_equal(match(GENERAL_DNS, bytes_of_text(bad[i]), bad[i]), VERIFY_NAME_MISMATCH);
    }
    memset(label, 'a', sizeof label);
    assert_true(host_read(&host, bytes_of(label, 63)));
    assert_false(host_read(&host, bytes_of(label, 64)));
    assert_true(dns_name_valid(bytes_of_text("a-b.example"), true));
    assert_false(dns_name_valid(bytes_of_text("a_b.example"), true));
    assert_false(dns_name_valid(bytes_of_text("-a.example"), true));
    assert_false(dns_name_valid(bytes_of_text("a-.example"), true));
}

/* Whoever reads the log sees whom the certificate is for. */
static void a_mismatch_lists_names(void **state)
{
    struct verify_request request = chains_private;

    (void)state;
    request.name = "other.example";
    assert_int_equal(chains_check(&request, "leaf", "root"), VERIFY_NAME_MISMATCH);
    chains_assert_reason("enclave.example, *.wild.example, 10.1.2.3 and 1 more");
    chains_assert_reason("not for other.example");
    request.name = "host.wild.example";
    assert_int_equal(chains_check(&request, "leaf", "root"), VERIFY_OK);
    request.name = "10.1.2.3";
    assert_int_equal(chains_check(&request, "leaf", "root"), VERIFY_OK);
    assert_int_equal(match(GENERAL_DNS, bytes_of_text("a\nforged=1"), "b"), VERIFY_NAME_MISMATCH);
    chains_assert_reason("a?forged=1");
}

#define SAN                                                                                        \
    "\x82\x09"                                                                                     \
    "a.example"                                                                                    \
    "\x87\x04\x0a\0\0\1"                                                                           \
    "\x87\x10\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"                                                   \
    "\x81\x0b"                                                                                     \
    "a@b.example"                                                                                  \
    "\x86\x0c"                                                                                     \
    "spiffe://x/y"                                                                                 \
    "\xa4\0"                                                                                       \
    "\xa0\0"                                                                                       \
    "\x82\x05"                                                                                     \
    "a\x01\xe9 ~"

static void names_as_text(void **state)
{
    static const char whole[] = "DNS:a.example, IP:10.0.0.1, IP:fd00::1, email:a@b.example, "
                                "URI:spiffe://x/y, directory, other, DNS:a???~";
    const struct bytes san = bytes_of(SAN, sizeof SAN - 1);
    char out[256];
    size_t size, shown, most = 0;

    (void)state;
    general_names_text(san, out, sizeof out);
    assert_string_equal(out, whole);
    general_names_text(bytes_of(NULL, 0), out, sizeof out);
    assert_string_equal(out, "");
    for (size = 24; size < sizeof out; size++) { /* what does not fit is counted */
        const char *end;
        unsigned more = 0;

        memset(out, 'x', sizeof out);
        general_names_text(san, out, size);
        assert_true(strlen(out) < size);
        end = strstr(out, ", and ");
        shown = end ? (size_t)(end - out) : strcmp(out, "8 more") == 0 ? 0 : strlen(out);
        if (end)
            assert_int_equal(sscanf(end, ", and %u more", &more), 1);
        assert_memory_equal(out, whole, shown);
        assert_true(shown >= most);
        most = shown;
        for (const char *at = out; shown > 0 && at; at = strstr(at + 1, ", "))
            more += at != end;
        if (shown > 0)
            assert_int_equal(more, 8);
        if (size > shown + 60)
            assert_int_equal(shown, sizeof whole - 1);
    }
    assert_int_equal(most, sizeof whole - 1);
}

static void common_names(void **state)
{
    struct verify_request request = chains_private;

    (void)state;
    assert_int_equal(chains_check(&request, "common-name", "root"), VERIFY_COMMON_NAME_ONLY);
    chains_assert_reason("subjectAltName=DNS:enclave.example");
    chains_assert_reason("--allow-cn");
    request.allow_cn = true;
    assert_int_equal(chains_check(&request, "common-name", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&request, "uri", "root"), VERIFY_NAME_MISMATCH);
    request.name = "other.example";
    assert_int_equal(chains_check(&request, "common-name", "root"), VERIFY_NAME_MISMATCH);
    request.name = "10.1.2.3";
    assert_int_equal(chains_check(&request, "common-name-address", "root"), VERIFY_OK);
    request.name = "10.1.2.4";
    assert_int_equal(chains_check(&request, "common-name-address", "root"), VERIFY_NAME_MISMATCH);
    request.name = "10.1.2.3";
    request.allow_cn = false;
    assert_int_equal(chains_check(&request, "common-name-address", "root"),
                     VERIFY_COMMON_NAME_ONLY);
    chains_assert_reason("subjectAltName=IP:10.1.2.3");
}

/* A common name that counts is held to name constraints. */
static void constrained_common_names(void **state)
{
    struct verify_request request = chains_private;

    (void)state;
    request.allow_cn = true;
    assert_int_equal(chains_check(&request, "common-name-deep inter", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&request, "common-name-deep inter-excluded", "root"),
                     VERIFY_CONSTRAINTS);
    assert_int_equal(chains_check(&request, "common-name-deep inter-permitted", "root"), VERIFY_OK);
}

/* The documented way: a CA by "openssl req -x509", a leaf of version 1 by "openssl x509 -req". */
static void the_documented_server(void **state)
{
    struct verify_request request = chains_private;

    (void)state;
    request.name = "ecs-client";
    assert_int_equal(chains_check(&request, "./client", "./ca"), VERIFY_COMMON_NAME_ONLY);
    request.allow_cn = true;
    assert_int_equal(chains_check(&request, "./client", "./ca"), VERIFY_OK);
    request.profile = VERIFY_STRICT;
    assert_int_not_equal(chains_check(&request, "./client", "./ca"), VERIFY_OK);
}

static void version_1(void **state)
{
    struct verify_request server = chains_private, client = chains_private;

    (void)state;
    client.name = NULL;
    client.purpose = VERIFY_CLIENT;
    assert_int_equal(chains_check(&client, "v1", "root"), VERIFY_USAGE);
    chains_assert_reason("version 1");
    client.allow_v1_leaf = true;
    assert_int_equal(chains_check(&client, "v1", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&client, "./client", "./ca"), VERIFY_OK);
    assert_int_equal(chains_check(&client, "v1-deep inter", "root"), VERIFY_OK);
    server.allow_cn = true;
    assert_int_equal(chains_check(&server, "v1", "root"), VERIFY_OK);
    assert_int_equal(chains_check(&server, "v1-deep inter", "root"), VERIFY_USAGE);
    /* A version 1 certificate is a CA only where it is a root that was put among the anchors. */
    assert_int_equal(chains_check(&server, "under-v1", "root-v1"), VERIFY_OK);
    assert_int_equal(chains_check(&server, "under-client", "./client"), VERIFY_NOT_CA);
    assert_int_equal(chains_check(&server, "under-client ./client", "./ca"), VERIFY_NOT_CA);
}

/*
 * A server's own certificate in ca_cert is trusted as itself: its name and dates count, a CA it
 * need not be.
 */
static void the_leaf_as_anchor(void **state)
{
    struct verify_request request = chains_private;

    (void)state;
    assert_int_equal(chains_check(&request, "self", "self"), VERIFY_OK);
    assert_int_equal(chains_check(&request, "leaf", "leaf"), VERIFY_OK);
    assert_int_equal(chains_check(&request, "expired", "expired"), VERIFY_EXPIRED);
    assert_int_equal(chains_check(&request, "client", "client"), VERIFY_USAGE);
    request.name = "other.example";
    assert_int_equal(chains_check(&request, "self", "self"), VERIFY_NAME_MISMATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dns_names),
        cmocka_unit_test(addresses),
        cmocka_unit_test(what_is_a_host),
        cmocka_unit_test(a_mismatch_lists_names),
        cmocka_unit_test(names_as_text),
        cmocka_unit_test(common_names),
        cmocka_unit_test(constrained_common_names),
        cmocka_unit_test(the_documented_server),
        cmocka_unit_test(version_1),
        cmocka_unit_test(the_leaf_as_anchor),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
