/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attest/attest.h"
#include "attest/cbor.h"
#include "attest/form.h"
#include "base/buf.h"
#include "base/err.h"

#define TEXT(literal) bytes_of(literal, sizeof(literal) - 1)

static struct err err;

static void assert_number(struct bytes in, enum cbor_type type, uint64_t number)
{
    struct cbor item;

    assert_true(cbor_take(&in, &item));
    assert_int_equal(item.type, type);
    assert_int_equal(item.number, number);
    assert_int_equal(in.len, 0);
}

/* RFC 8949, appendix A. */
static void numbers(void **state)
{
    (void)state;
    assert_number(TEXT("\x00"), CBOR_UNSIGNED, 0);
    assert_number(TEXT("\x17"), CBOR_UNSIGNED, 23);
    assert_number(TEXT("\x18\x18"), CBOR_UNSIGNED, 24);
    assert_number(TEXT("\x19\x03\xe8"), CBOR_UNSIGNED, 1000);
    assert_number(TEXT("\x1a\x00\x0f\x42\x40"), CBOR_UNSIGNED, 1000000);
    assert_number(TEXT("\x1b\xff\xff\xff\xff\xff\xff\xff\xff"), CBOR_UNSIGNED, UINT64_MAX);
    assert_number(TEXT("\x38\x22"), CBOR_NEGATIVE, 34);
    assert_number(TEXT("\xf6"), CBOR_SIMPLE, CBOR_NULL);
    assert_number(TEXT("\xd2"), CBOR_TAG, 18);
}

static void damaged(void **state)
{
    static const struct bytes texts[] = {
        {(const uint8_t *)"", 0},
        {(const uint8_t *)"\x18", 1},         /* cut off */
        {(const uint8_t *)"\x1c", 1},         /* reserved */
        {(const uint8_t *)"\x1f", 1},         /* a number without a length */
        {(const uint8_t *)"\x42\x01", 2},     /* a string that is cut off */
        {(const uint8_t *)"\x5f\x41\x61", 3}, /* in chunks */
        {(const uint8_t *)"\x7f\xff", 2},
        {(const uint8_t *)"\xdf", 1},
        {(const uint8_t *)"\xff", 1}, /* an end of nothing */
        {(const uint8_t *)"\x5b\xff\xff\xff\xff\xff\xff\xff\xff\x00", 10},
    };
    struct cbor item;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct bytes in = texts[i];

        assert_false(cbor_take(&in, &item));
        assert_int_equal(in.len, texts[i].len);
    }
}

static uint64_t count(struct bytes in)
{
    struct cbor list, item;
    uint64_t taken = 0, found = 0;

    assert_true(cbor_take(&in, &list));
    for (; cbor_more(&in, &list, &taken); found++)
        assert_true(cbor_take(&in, &item));
    assert_int_equal(in.len, 0);
    return found;
}

static void lists(void **state)
{
    struct bytes cut = TEXT("\x9f\x01");
    struct cbor list, item;
    uint64_t taken = 0;

    (void)state;
    assert_int_equal(count(TEXT("\x80")), 0);
    assert_int_equal(count(TEXT("\x83\x01\x02\x03")), 3);
    assert_int_equal(count(TEXT("\x9f\xff")), 0);
    assert_int_equal(count(TEXT("\x9f\x01\x41\xff\xff")), 2); /* a byte 0xFF within is no end */
    assert_true(cbor_take(&cut, &list));
    assert_true(cbor_more(&cut, &list, &taken) && cbor_take(&cut, &item));
    assert_true(cbor_more(&cut, &list, &taken)); /* there is more, which then does not come */
    assert_false(cbor_take(&cut, &item));
}

static void assert_form(struct bytes text, const char *field, struct bytes document)
{
    struct buf out = {.public = true};

    assert_int_equal(attest_form_read(&out, text, field, &err), 0);
    assert_true(bytes_equal(buf_bytes(&out), document));
    buf_free(&out);
}

static void forms(void **state)
{
    const struct bytes document = TEXT("\x84\x01\x02\x03");
    struct buf out = {.public = true};

    (void)state;
    assert_form(document, NULL, document);
    assert_form(TEXT("\xd2\x84  "), NULL, TEXT("\xd2\x84  ")); /* spaces are part of what is raw */
    assert_form(TEXT(" 84010203\n"), NULL, document);
    assert_form(TEXT("hAEC\nAw==\n"), NULL, document);
    assert_form(TEXT(" {\"attestation_doc\": \"hAECAw==\"} "), NULL, document);
    assert_form(TEXT("{\"x\": \"84010203\", \"attestation\": 1}"), "x", document);
    assert_int_equal(attest_form_read(&out, TEXT("{\"x\": \"84\"}"), NULL, &err), -1);
    assert_int_equal(err.code, ERR_ATTEST_MALFORMED);
    assert_int_equal(attest_form_read(&out, TEXT("840"), NULL, &err), -1);
    assert_int_equal(attest_form_read(&out, TEXT(" "), NULL, &err), -1);
    buf_free(&out);
}

static struct bytes pcr(uint8_t storage[ATTEST_PCR_SIZE], uint8_t value)
{
    memset(storage, value, ATTEST_PCR_SIZE);
    return bytes_of(storage, ATTEST_PCR_SIZE);
}

static int judge_image(const struct attest_document *document, const char *set)
{
    return attest_image(document, &set, 1, &err) == 0 ? ERR_NONE : (int)err.code;
}

#define HEX12(byte) byte byte byte byte byte byte byte byte byte byte byte byte
#define HEX48(byte) HEX12(byte) HEX12(byte) HEX12(byte) HEX12(byte)

static void images(void **state)
{
    uint8_t storage[3][ATTEST_PCR_SIZE], zero[ATTEST_PCR_SIZE];
    struct attest_document document = {
        .pcr = {pcr(storage[0], 0xAB), pcr(storage[1], 1), pcr(storage[2], 0xCD)}};

    (void)state;
    document.pcr[12] = document.pcr[2];
    document.pcr[8] = pcr(zero, 0);
    assert_int_equal(judge_image(&document, "0:" HEX48("ab")), ERR_NONE);
    assert_int_equal(judge_image(&document, "12:" HEX48("cD") "+0:" HEX48("AB")), ERR_NONE);
    assert_int_equal(judge_image(&document, "0:" HEX48("ab") "+3:" HEX48("cd")), ERR_ATTEST_IMAGE);
    assert_int_equal(judge_image(&document, "8:" HEX48("00")), ERR_ATTEST_IMAGE);
    assert_int_equal(judge_image(&document, "1:" HEX48("ab")), ERR_ATTEST_IMAGE);
    storage[0][47] ^= 1;
    assert_int_equal(judge_image(&document, "0:" HEX48("ab")), ERR_ATTEST_IMAGE);
    document.pcr[1] = document.pcr[8];
    assert_int_equal(judge_image(&document, "0:" HEX48("ab")), ERR_ATTEST_DEBUG);
    document.instance = true;
    assert_int_equal(judge_image(&document, "0:" HEX48("ab")), ERR_ATTEST_INSTANCE);
}

static void echoes(void **state)
{
    const struct bytes nonce = TEXT("\x01\xfe\x80");
    struct attest_document document = {0};

    (void)state;
    assert_false(attest_echoes(&document, nonce));
    assert_false(attest_echoes(&document, document.nonce));
    document.nonce = TEXT("\x01\xfe\x80");
    assert_true(attest_echoes(&document, nonce));
    assert_false(attest_echoes(&document, bytes_of(NULL, 0)));
    document.nonce = TEXT("01fe80"); /* as who hands on its text */
    assert_true(attest_echoes(&document, nonce));
    document.nonce = TEXT("01fe8");
    assert_false(attest_echoes(&document, nonce));
    document.nonce = TEXT("");
    assert_false(attest_echoes(&document, nonce));
}

static int judge_peer(const struct attest_document *document, const struct attest_peer *peer)
{
    return attest_peer(document, peer, &err) == 0 ? ERR_NONE : (int)err.code;
}

/* A connection's exporter is of now by itself: no nonce is needed. */
static void exporters(void **state)
{
    const struct bytes exporter = TEXT("0123456789abcdef0123456789abcdef");
    struct attest_peer peer = {.binding = ATTEST_EXPORTER};
    struct attest_document document = {.user_data = exporter};

    (void)state;
    assert_int_equal(judge_peer(&document, &peer), ERR_ATTEST_UNBOUND);
    peer.exporter = exporter;
    assert_int_equal(judge_peer(&document, &peer), ERR_NONE);
    peer.nonce = TEXT("nonce");
    assert_int_equal(judge_peer(&document, &peer), ERR_ATTEST_REPLAYED);
    document.nonce = peer.nonce;
    assert_int_equal(judge_peer(&document, &peer), ERR_NONE);
    document.user_data = TEXT("0123456789abcdef0123456789abcdeX");
    assert_int_equal(judge_peer(&document, &peer), ERR_ATTEST_OTHER_KEY);
    document.user_data = bytes_of(NULL, 0);
    assert_int_equal(judge_peer(&document, &peer), ERR_ATTEST_OTHER_KEY);
}

static void ages(void **state)
{
    const struct attest_document document = {.timestamp_ms = 1000500};

    (void)state;
    assert_int_equal(attest_age(&document, 1300, 300000, &err), 0);
    assert_int_equal(attest_age(&document, 1301, 300000, &err), -1);
    assert_int_equal(err.code, ERR_ATTEST_STALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),   cmocka_unit_test(damaged), cmocka_unit_test(lists),
        cmocka_unit_test(forms),     cmocka_unit_test(images),  cmocka_unit_test(echoes),
        cmocka_unit_test(exporters), cmocka_unit_test(ages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
