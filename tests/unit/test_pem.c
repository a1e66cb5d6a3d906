/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "samples.h"
#include "x509/pem.h"

static struct buf der;
static struct pem_block block;

/* The first block of text, into der and block. */
static int read_first(const char *text)
{
    struct pem_reader reader = {bytes_of_text(text)};

    buf_free(&der);
    der.tag = ARENA_KEY;
    return pem_next(&reader, &block, &der);
}

static void assert_reads(const char *text, const char *label, const char *content)
{
    if (read_first(text) != 1)
        fail_msg("refused: %s", text);
    assert_string_equal(block.label, label);
    assert_int_equal(der.len, strlen(content));
    assert_memory_equal(der.data, content, der.len);
}

#define BEGIN "-----BEGIN X-----"
#define END   "-----END X-----"

static void layout_is_tolerated(void **state)
{
    static const char *const cases[] = {
        BEGIN "\naGVsbG8=\n" END "\n",
        BEGIN "\r\naGVs\r\nbG8=\r\n" END "\r\n",
        BEGIN "\raGVs\rbG8=\r" END,
        BEGIN "\n\n  aGVs  \n\tbG8=\t\n\n" END,
        BEGIN "\na\nG\nV\ns\nb\nG\n8\n=\n" END,
        BEGIN " aGVs bG8= " END,
        BEGIN "aGVsbG8=" END,
        "\xEF\xBB\xBF" BEGIN "\naGVsbG8=\n" END,
        "subject=/CN=x\n---------\n" BEGIN "\naGVsbG8=\n" END "\ntext behind\n",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_reads(cases[i], "X", "hello");
}

static void damage_is_refused(void **state)
{
    static const char *const cases[] = {
        BEGIN "\naGVsbG8=\n",
        BEGIN "\naGVsbG8=\n-----END Y-----",
        BEGIN "\naGVsbG8=\n-----END X----",
        BEGIN "\naGVsbG8=\n" BEGIN "\naGVsbG8=\n" END,
        BEGIN "\naGVsbG8\n" END,
        BEGIN "\naGVsbG8==\n" END,
        BEGIN "\naGVs=bG8=\n" END,
        BEGIN "\naGV\n\nsbG8=\n" END,
        BEGIN "\r\naGVs\r\n\r\nbG8=\r\n" END,
        BEGIN "\r\raGVs\r\rbG8=\r" END,
        BEGIN "\naGVs\n# comment\nbG8=\n" END,
        BEGIN "\naGVsbG9=\n" END,
        BEGIN "\n" END,
        BEGIN END,
        END,
        "aGVsbG8=\n" END "\n" BEGIN "\naGVsbG8=\n" END,
        "-----BEGIN X\n-----\naGVsbG8=\n" END,
        "-----BEGIN ",
        "-----BEGIN X--",
        "-----BEGIN \x01-----\naGVsbG8=\n-----END \x01-----",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (read_first(cases[i]) != -1)
            fail_msg("accepted: %s", cases[i]);
        assert_int_equal(der.len, 0);
    }
}

static void text_without_blocks_has_none(void **state)
{
    (void)state;
    assert_int_equal(read_first(""), 0);
    assert_int_equal(read_first("BEGIN X"), 0);
    assert_int_equal(read_first("----- BEGIN X-----"), 0);
}

static void labels_are_bounded(void **state)
{
    char text[512], label[PEM_LABEL_MAX + 1];
    size_t len;

    (void)state;
    for (len = PEM_LABEL_MAX - 1; len <= PEM_LABEL_MAX; len++) {
        memset(label, 'L', len);
        label[len] = '\0';
        (void)snprintf(text, sizeof text, "-----BEGIN %s-----\naGVsbG8=\n-----END %s-----", label,
                       label);
        if (len < PEM_LABEL_MAX)
            assert_reads(text, label, "hello");
        else
            assert_int_equal(read_first(text), -1);
    }
}

static void rfc1421_headers_are_read_over(void **state)
{
    (void)state;
    assert_reads(BEGIN "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00FF\n\naGVsbG8=\n" END,
                 "X", "hello");
    assert_true(block.encrypted);
    assert_reads(BEGIN "\r\nComment: a key\r\n\r\naGVs\r\nbG8=\r\n" END, "X", "hello");
    assert_false(block.encrypted);
    assert_int_equal(read_first(BEGIN "\nProc-Type: 4,ENCRYPTED\naGVsbG8=\n" END), -1);
}

static void private_keys_are_told_by_their_labels(void **state)
{
    static const char *const keys[] = {"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY",
                                       "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY"};
    static const char *const others[] = {"CERTIFICATE", "PUBLIC KEY", "KEY", "",
                                         "PRIVATE KEY REQUEST"};
    size_t i;

    (void)state;
    for (i = 0; i < 5; i++) {
        (void)snprintf(block.label, sizeof block.label, "%s", keys[i]);
        assert_true(pem_is_private_key(&block));
        (void)snprintf(block.label, sizeof block.label, "%s", others[i]);
        assert_false(pem_is_private_key(&block));
    }
}

static void blocks_are_read_one_by_one(void **state)
{
    static const char text[] = "a\n-----BEGIN ONE-----\nMQ==\n-----END ONE-----\nb\n"
                               "-----BEGIN TWO-----\nMjI=\n-----END TWO-----\nc";
    struct pem_reader reader = {bytes_of_text(text)};

    (void)state;
    buf_free(&der);
    assert_int_equal(pem_next(&reader, &block, &der), 1);
    assert_string_equal(block.label, "ONE");
    assert_true(bytes_equal_text(block.text, "-----BEGIN ONE-----\nMQ==\n-----END ONE-----"));
    assert_int_equal(pem_next(&reader, &block, &der), 1);
    assert_string_equal(block.label, "TWO");
    assert_true(bytes_equal_text(buf_bytes(&der), "122"));
    assert_int_equal(pem_next(&reader, &block, &der), 0);
    assert_int_equal(pem_next(&reader, &block, &der), 0);
}

static void writing_is_canonical(void **state)
{
    struct buf text = sample_text("client.pem"), binary = sample_der("client.pem");
    struct buf out = {.tag = ARENA_DOCUMENT}, small = {.tag = ARENA_DOCUMENT, .max = 100};

    (void)state;
    assert_int_equal(pem_append(&out, "CERTIFICATE", buf_bytes(&binary)), 0);
    assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&text)));
    assert_int_equal(pem_append(&small, "CERTIFICATE", buf_bytes(&binary)), -1);
    buf_free(&small);
    buf_free(&text);
    buf_free(&binary);
    buf_free(&out);
}

/* A block cut anywhere is either no block yet or damaged. */
static void a_cut_block_is_never_read(void **state)
{
    struct buf text = sample_text("p256.key");
    size_t len, whole = text.len - 1; /* the last newline may go */

    (void)state;
    for (len = 0; len < whole; len++) {
        struct pem_reader reader = {bytes_of(text.data, len)};

        buf_free(&der);
        if (pem_next(&reader, &block, &der) == 1)
            fail_msg("read %zu of %zu bytes", len, whole);
    }
    buf_free(&text);
    buf_free(&der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_is_tolerated),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(text_without_blocks_has_none),
        cmocka_unit_test(labels_are_bounded),
        cmocka_unit_test(rfc1421_headers_are_read_over),
        cmocka_unit_test(private_keys_are_told_by_their_labels),
        cmocka_unit_test(blocks_are_read_one_by_one),
        cmocka_unit_test(writing_is_canonical),
        cmocka_unit_test(a_cut_block_is_never_read),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
