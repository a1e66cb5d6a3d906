/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "chains.h"
#include "x509/cert.h"

static char reason[CERT_REASON_MAX];

static void assert_reason(const char *part)
{
    if (strstr(reason, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, reason);
}

/* Where bytes stand in a certificate that the test may change. */
static uint8_t *find(const struct buf *der, const char *bytes, size_t len)
{
    uint8_t *at = memmem(der->data, der->len, bytes, len);

    assert_non_null(at);
    return at;
}

static void what_a_certificate_says(void **state)
{
    struct chains list = chains_load("leaf root");
    struct cert leaf, root;
    char text[64];

    (void)state;
    assert_int_equal(cert_parse(&leaf, list.view[0], reason), 0);
    assert_int_equal(cert_parse(&root, list.view[1], reason), 0);
    assert_int_equal(leaf.version, 3);
    assert_int_equal(leaf.not_after - leaf.not_before, 36500LL * 24 * 3600);
    assert_int_equal(leaf.key.key_type, BR_KEYTYPE_EC);
    assert_string_equal(leaf.key_name, "EC P-256");
    assert_string_equal(leaf.signature_name, "ECDSA with SHA-256");
    assert_int_equal(leaf.key_usage, CERT_KU_DIGITAL_SIGNATURE);
    assert_int_equal(leaf.extended_usage, CERT_EKU_SERVER_AUTH);
    assert_false(leaf.is_ca);
    assert_non_null(leaf.san.data);
    assert_true(root.has_basic_constraints && root.is_ca);
    assert_int_equal(root.path_len, -1);
    assert_true(root.key_usage & CERT_KU_CERT_SIGN);
    assert_int_equal(root.critical, CERT_EXT_BASIC_CONSTRAINTS | CERT_EXT_KEY_USAGE);
    assert_true(bytes_equal(leaf.authority_key_id, root.subject_key_id));
    assert_true(bytes_equal(leaf.issuer, root.subject));
    assert_true(cert_signed_by(&leaf, &root));
    assert_true(cert_signed_by(&root, &root));
    assert_false(cert_signed_by(&leaf, &leaf));
    assert_true(cert_common_name(&leaf, text, sizeof text));
    assert_string_equal(text, "enclave.example");
    assert_false(cert_common_name(&leaf, text, 15));
    cert_subject_text(leaf.issuer, text, sizeof text);
    assert_string_equal(text, "CN=Test Root");
    chains_unload(&list);
}

static void cut_off_anywhere(void **state)
{
    struct buf der = sample_der("chains/leaf.pem");
    struct cert cert;
    size_t len;

    (void)state;
    for (len = 0; len < der.len; len++) {
        uint8_t *copy = malloc(len + 1); /* its own block, so that a sanitizer sees its end */

        assert_non_null(copy);
        memcpy(copy, der.data, len);
        assert_int_equal(cert_parse(&cert, bytes_of(copy, len), reason), -1);
        free(copy);
    }
    assert_int_equal(buf_append(&der, "", 1), 0);
    assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), -1);
    assert_reason("more bytes follow");
    buf_free(&der);
}

/* No certificate with one bit changed is accepted, and none brings the reader down. */
static void changed_anywhere(void **state)
{
    struct chains list = chains_load("leaf root");
    uint8_t *der = list.der[0].data;
    struct verify_request request = chains_private;
    struct err err = {0};
    struct anchors *anchors = anchors_new(&list.view[1], 1, &err);
    size_t bit;

    (void)state;
    request.anchors = anchors;
    request.chain = list.view;
    request.chain_count = 1;
    assert_int_equal(verify(&request, chains_reason), VERIFY_OK);
    for (bit = 0; bit < list.view[0].len * 8; bit++) {
        der[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (verify(&request, chains_reason) == VERIFY_OK)
            fail_msg("bit %zu of byte %zu may change", bit % 8, bit / 8);
        der[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    anchors_free(anchors);
    chains_unload(&list);
}

/* Whatever stands in a byte, reading ends, and within the bytes given (a sanitizer sees it). */
static void any_byte_anywhere(void **state)
{
    struct buf der = sample_der("chains/root.pem");
    struct cert cert;
    size_t i;
    int value;

    (void)state;
    for (i = 0; i < der.len; i++) {
        uint8_t old = der.data[i];

        for (value = 0; value < 256; value++) {
            der.data[i] = (uint8_t)value;
            if (cert_parse(&cert, buf_bytes(&der), reason) < 0) {
                assert_int_not_equal(reason[0], '\0');
                continue;
            }
            assert_true(cert.tbs.data >= der.data &&
                        cert.tbs.data + cert.tbs.len <= der.data + der.len);
            cert_subject_text(cert.subject, reason, sizeof reason);
        }
        der.data[i] = old;
    }
    buf_free(&der);
}

/* RFC 5280 4.1.2.5 */
static void dates(void **state)
{
    static const char *const bad[] = {"300001000000Z", "301301000000Z", "300100000000Z",
                                      "300132000000Z", "300229000000Z", "300101240000Z",
                                      "300101006000Z", "300101000060Z", "3001010000000",
                                      "30010100000:Z", "+00101000000Z", "300101000000z"};
    struct buf der = sample_der("chains/leaf.pem");
    char *time = (char *)find(&der, "\x17\x0D", 2) + 2;
    struct cert cert;
    size_t i;

    (void)state;
    memcpy(time, "280229235959Z", 13);
    assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), 0);
    assert_int_equal(cert.not_before, 1835481599);
    memcpy(time, "500101000000Z", 13); /* 1950 */
    assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), 0);
    assert_int_equal(cert.not_before, -631152000);
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memcpy(time, bad[i], 13);
        assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), -1);
        assert_reason("validity");
    }
    buf_free(&der);
}

/* The last day of each month, and the day behind it, which is none. */
static void days_of_months(void **state)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct buf der = sample_der("chains/leaf.pem");
    char *time = (char *)find(&der, "\x17\x0D", 2) + 2, text[32];
    struct cert cert;
    int64_t before = 1893456000 - 1; /* the last second of 2029 */

    (void)state;
    for (int month = 1; month <= 12; month++) {
        (void)snprintf(text, sizeof text, "30%02d%02d235959Z", month, days[month - 1]);
        memcpy(time, text, 13);
        assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), 0);
        assert_int_equal(cert.not_before - before, days[month - 1] * 86400);
        before = cert.not_before;
        (void)snprintf(text, sizeof text, "30%02d%02d235959Z", month, days[month - 1] + 1);
        memcpy(time, text, 13);
        assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), -1);
    }
    buf_free(&der);
}

static void leap_years_and_two_kinds_of_time(void **state)
{
    static const struct {
        const char *from, *to;
        int64_t not_before, not_after; /* 0: such a day never comes */
        bool early;
    } rows[] = {
        {"000229235959Z", "20500101000000Z", 951868799, 2524608000, false},
        {"491231235959Z", "20491231235959Z", 2524607999, 2524607999, true},
        {"991231235959Z", "21000228235959Z", 946684799, 4107542399, false},
        {"280229000000Z", "21000229000000Z", 0, 0, false},
        {"280229000000Z", "24000229000000Z", 1835395200, 13574563200, false},
        {"280229000000Z", "99991231235959Z", 1835395200, 253402300799, false},
        {"290229000000Z", "99991231235959Z", 0, 0, false},
        {"280229000000Z", "21261301000000Z", 0, 0, false},
    };
    struct buf der = sample_der("chains/leaf.pem");
    char *from = (char *)find(&der, "\x17\x0D", 2) + 2, *to = (char *)find(&der, "\x18\x0F", 2) + 2;
    struct cert cert;

    (void)state;
    assert_ptr_equal(to, from + 13 + 2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        memcpy(from, rows[i].from, 13);
        memcpy(to, rows[i].to, 15);
        if (cert_parse(&cert, buf_bytes(&der), reason) != (rows[i].not_before ? 0 : -1))
            fail_msg("%s, %s", rows[i].from, rows[i].to);
        if (!rows[i].not_before)
            continue;
        assert_int_equal(cert.not_before, rows[i].not_before);
        assert_int_equal(cert.not_after, rows[i].not_after);
        assert_int_equal(cert.early_generalized_time, rows[i].early);
    }
    buf_free(&der);
}

static void extensions(void **state)
{
    struct buf der = sample_der("chains/strange.pem");
    uint8_t *second = find(&der, "\x06\x03\x2A\x03\x05", 5) + 4; /* 1.2.3.5 */
    struct cert cert;

    (void)state;
    assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), 0);
    *second = 4; /* 1.2.3.4 once more */
    assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), -1);
    assert_reason("twice");
    *second = 5;
    *find(&der, "\x06\x03\x55\x1D\x0F\x01\x01\xFF\x04\x04\x03\x02\x07", 13) = 0x07; /* no OID */
    assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), -1);
    buf_free(&der);

    der = sample_der("chains/leaf.pem");
    *(find(&der, "\x55\x1D\x11\x04", 4) + 6) = 0x31; /* subjectAltName becomes a SET */
    assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), -1);
    assert_reason("subjectAltName");
    buf_free(&der);

    der = sample_der("chains/leaf.pem");
    *find(&der, "enclave.example", 15) = 0xE9; /* in the subject: any byte */
    assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), 0);
    *find(&der, "enclave.example", 15) = 0xE9; /* in the subjectAltName: ASCII */
    assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), -1);
    buf_free(&der);
}

static void algorithms(void **state)
{
    static const char ecdsa[] = "\x06\x08\x2A\x86\x48\xCE\x3D\x04\x03\x02";
    struct buf der = sample_der("chains/leaf.pem");
    struct cert cert;

    (void)state;
    *(find(&der, ecdsa, 10) + 9) = 3; /* inside: SHA-384 */
    assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), -1);
    assert_reason("differ");
    *(find(&der, ecdsa, 10) + 9) = 3; /* and outside */
    assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), 0);
    assert_string_equal(cert.signature_name, "ECDSA with SHA-384");
    buf_free(&der);

    der = sample_der("chains/leaf.pem");
    *(find(&der, "\x03\x42\x00\x04", 4) + 3) = 2; /* a point that is not uncompressed */
    assert_int_equal(cert_parse(&cert, buf_bytes(&der), reason), -1);
    assert_reason("public key");
    buf_free(&der);
}

static const char *subject(const char *name, size_t len, char *out, size_t size)
{
    cert_subject_text(bytes_of(name, len), out, size);
    return out;
}
#define SUBJECT(name, size) subject(name, sizeof(name) - 1, text, size)

static void subjects_as_text(void **state)
{
    static const char mixed[] = "\x30\x31\x31\x0B\x30\x09\x06\x03\x55\x04\x06\x13\x02"
                                "DE"
                                "\x31\x22\x30\x0C\x06\x03\x55\x04\x0A\x0C\x05"
                                "A, B\n"
                                "\x30\x12\x06\x04\x2A\x86\x48\x01\x0C\x0A"
                                " #=\xC3\xBC"
                                "\\\"<> ";
    char text[96];

    (void)state;
    assert_string_equal(SUBJECT(mixed, sizeof text),
                        "O=A\\, B\\0A+1.2.840.1=\\ #\\=\\C3\\BC\\\\\\\"\\<\\>\\ ,C=DE");
    assert_string_equal(SUBJECT(mixed, 10), "O=A\\, B");
    assert_string_equal(SUBJECT(mixed, 1), "");
    assert_string_equal(SUBJECT("\x30\x00", sizeof text), "");
    assert_string_equal(
        SUBJECT("\x30\x0D\x31\x0B\x30\x09\x06\x03\x55\x04\x03\x1E\x02\x00\x41", sizeof text),
        "CN=#1E020041");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_certificate_says),
        cmocka_unit_test(cut_off_anywhere),
        cmocka_unit_test(changed_anywhere),
        cmocka_unit_test(any_byte_anywhere),
        cmocka_unit_test(dates),
        cmocka_unit_test(days_of_months),
        cmocka_unit_test(leap_years_and_two_kinds_of_time),
        cmocka_unit_test(extensions),
        cmocka_unit_test(algorithms),
        cmocka_unit_test(subjects_as_text),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
