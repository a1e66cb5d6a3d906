/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/secrecy.h"
#include "effort.h"
#include "samples.h"

/* Keys of every form that is read, and one that is not. */
static const char *const keys[] = {"rsa2048.key",         "rsa2048.pkcs1",      "p256.key",
                                   "p256.sec1",           "p384.key",           "p384.sec1",
                                   "refused-ed25519.key", "refused-rsa1024.key"};
enum { KEYS = sizeof keys / sizeof *keys };

typedef void form(struct buf *out, struct bytes text);

static void as_it_is(struct buf *out, struct bytes text)
{
    assert_int_equal(buf_append(out, text.data, text.len), 0);
}

static void as_base64(struct buf *out, struct bytes text)
{
    assert_int_equal(base64_encode(out, text, 0), 0);
}

static void as_lines(struct buf *out, struct bytes text)
{
    assert_int_equal(base64_encode(out, text, 64), 0);
}

static void as_base64url(struct buf *out, struct bytes text)
{
    as_base64(out, text);
    for (size_t i = 0; i < out->len; i++)
        out->data[i] = (uint8_t)(out->data[i] == '+'   ? '-'
                                 : out->data[i] == '/' ? '_'
                                                       : out->data[i]);
}

static void as_hex(struct buf *out, struct bytes text)
{
    char digits[4];

    for (size_t i = 0; i < text.len; i++) {
        (void)snprintf(digits, sizeof digits, i % 2 ? "%02x" : "%02X", text.data[i]);
        assert_int_equal(buf_append_text(out, digits), 0);
    }
}

static void as_hex_with_colons(struct buf *out, struct bytes text)
{
    char digits[4];

    for (size_t i = 0; i < text.len; i++) {
        (void)snprintf(digits, sizeof digits, "%02x:", text.data[i]);
        assert_int_equal(buf_append_text(out, digits), 0);
    }
}

static void as_url(struct buf *out, struct bytes text)
{
    char digits[4];

    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.data[i];
        const bool plain =
            (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        (void)snprintf(digits, sizeof digits, plain ? "%c" : "%%%02X", c);
        assert_int_equal(buf_append_text(out, digits), 0);
    }
}

static void as_form(struct buf *out, struct bytes text)
{
    as_url(out, text);
    for (char *at = (char *)out->data; (at = strstr(at, "%20"));) {
        *at = '+';
        memmove(at + 1, at + 3, strlen(at + 3) + 1);
        out->len -= 2;
    }
}

static void as_json(struct buf *out, struct bytes text)
{
    char piece[8];

    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.data[i];

        if (c == '\n')
            (void)snprintf(piece, sizeof piece, "\\n");
        else if (c == '"' || c == '\\' || c == '/')
            (void)snprintf(piece, sizeof piece, "\\%c", c);
        else
            (void)snprintf(piece, sizeof piece, c < 0x20 || c > 0x7E ? "\\u%04x" : "%c", c);
        assert_int_equal(buf_append_text(out, piece), 0);
    }
}

static form *const forms[] = {as_it_is,           as_base64, as_lines, as_base64url, as_hex,
                              as_hex_with_colons, as_url,    as_form,  as_json};
enum { FORMS = sizeof forms / sizeof *forms };

/* In every phase, with something before it and behind. */
static void assert_found(struct bytes text, const char *what)
{
    static const char *const before[] = {"", "a", "ab", "prod/", "x=", "-", "{\"key\":\""};

    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        struct buf all = {.public = true};

        assert_int_equal(buf_append_text(&all, before[i]), 0);
        assert_int_equal(buf_append(&all, text.data, text.len), 0);
        if (!secrecy_holds_key(buf_bytes(&all)))
            fail_msg("%s behind \"%s\" is not found", what, before[i]);
        buf_free(&all);
    }
}

static void a_key_is_found_in_every_form(void **state)
{
    char what[96];

    (void)state;
    for (size_t k = 0; k < KEYS; k++) {
        for (size_t f = 0; f < FORMS; f++) {
            for (size_t g = 0; g < FORMS; g++) {
                struct buf pem = sample_text(keys[k]), der = sample_der(keys[k]);
                struct buf once = {.public = true}, twice = {.public = true};
                const bool binary =
                    f == 0 || forms[f] == as_url || forms[f] == as_form || forms[f] == as_json;

                forms[f](&once, buf_bytes(&pem));
                forms[g](&twice, buf_bytes(&once));
                (void)snprintf(what, sizeof what, "%s as PEM in form %zu in form %zu", keys[k], f,
                               g);
                assert_found(buf_bytes(&twice), what);
                buf_free(&once);
                buf_free(&twice);
                if (!binary || g != 0) {
                    forms[binary ? 1 : f](&once, buf_bytes(&der));
                    forms[g](&twice, buf_bytes(&once));
                    (void)snprintf(what, sizeof what, "%s as DER in form %zu in form %zu", keys[k],
                                   f, g);
                    assert_found(buf_bytes(&twice), what);
                }
                buf_free(&once);
                buf_free(&twice);
                buf_free(&pem);
                buf_free(&der);
            }
        }
    }
}

/* A value may have been cut before anybody looks at it. */
static void the_beginning_of_a_key_will_do(void **state)
{
    struct buf der = sample_der("p256.key"), text = {.public = true};

    (void)state;
    as_base64(&text, buf_bytes(&der));
    assert_true(secrecy_holds_key(bytes_of(text.data, 32)));
    buf_free(&text);
    buf_free(&der);
    assert_true(secrecy_holds_key(bytes_of_text("LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t")));
    assert_true(secrecy_holds_key(bytes_of_text("-----BEGIN OPENSSH PRIVATE KEY-----")));
    assert_true(secrecy_holds_key(bytes_of_text("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ")));
}

/* What people read in logs, and must go on to. */
static void what_is_public_stays_readable(void **state)
{
    static const char *const texts[] = {
        "3638748bef6bb0a2a5c60c34a02376d5d265b5f2f5ba3621ce88b441b112dff8",
        "36:38:74:8b:ef:6b:b0:a2:a5:c6:0c:34:a0:23:76:d5:d2:65:b5:f2:f5:ba:36:21:ce:88:b4:41:b1:12:"
        "df:f8",
        "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111",
        "30820404-0201-0030-0601-020100300602",
        "3082010a02820101003082010a0282010100020100020101020100308201010201000000000000000000000000"
        "00000a",
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000",
        "dbf4f5ab8ed5a4a0b1e6f6c1c1cbb0e5e9b0f2e15a1f0b4f62d5d2f9d0d9a3c7b0a1928374655647382910aabb"
        "ccddeef",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:team@prod/mtls-AbCdEf",
        "arn:aws:iam::123456789012:role/service-role/me@example.com",
        "arn:aws:sts::123456789012:assumed-role/Admin/me@example.com",
        "enclave@10.0.0.1:3000",
        "https://enclave.example.com:3000/health",
        "https://[fd00:ec2::254]:443",
        "http://127.0.0.1:8080",
        "https://sts.eu-central-1.amazonaws.com",
        "CN=ECS-Client,O=Example,C=DE",
        "the PEM block PRIVATE KEY is damaged",
        "Store the file's text as it is, from BEGIN to END.",
        "MIGHAgEAMBMGByq", /* too little of one to be of use */
        "/etc/ecs/mtls/client.key",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "vJ8fhK2lqPz0w7Yb3x9NnQ4mT6sUeRcAgD1oHiZkXy5=",
    };
    static const char *const certificates[] = {"client.pem", "ca.pem"};
    char out[1024];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (secrecy_shown(texts[i], out, sizeof out) != texts[i])
            fail_msg("%s is hidden: %s", texts[i], out);
    for (size_t i = 0; i < sizeof certificates / sizeof *certificates; i++) {
        struct buf pem = sample_text(certificates[i]), text = {.public = true};

        assert_false(secrecy_holds_key(buf_bytes(&pem)));
        as_base64(&text, buf_bytes(&pem));
        assert_false(secrecy_holds_key(buf_bytes(&text)));
        buf_free(&pem);
        buf_free(&text);
    }
}

/* Random bytes are no key, in whichever form: xorshift, so that each run sees the same. */
static void noise_is_no_key(void **state)
{
    uint64_t random = 88172645463325252U;
    uint8_t bytes[48];

    (void)state;
    for (size_t i = 0; i < 20000 / one_of(10); i++) {
        struct buf hex = {.public = true}, base64 = {.public = true};

        for (size_t at = 0; at < sizeof bytes; at++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            bytes[at] = (uint8_t)(random >> 32);
        }
        as_hex(&hex, bytes_of(bytes, sizeof bytes));
        as_base64(&base64, bytes_of(bytes, sizeof bytes));
        assert_false(secrecy_holds_key(buf_bytes(&hex)));
        assert_false(secrecy_holds_key(buf_bytes(&base64)));
        buf_free(&hex);
        buf_free(&base64);
    }
}

static void users_of_urls_are_hidden(void **state)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"https://user:password@host:443/path", "https://***@host:443/path"},
        {"http://token@host", "http://***@host"},
        {"https://u:p@ss@host", "https://***@host"},
        {"see https://u:p@a/ and https://v:q@b.", "see https://***@a/ and https://***@b."},
        {"https://user:pass", "https://***"}, /* it was cut */
        {"a \"https://u:p@h\" is no URL", "a \"https://***@h\" is no URL"},
    };
    char out[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(secrecy_shown(cases[i].text, out, sizeof out), cases[i].shown);
    assert_string_equal(secrecy_shown("https://user:password@host", out, 12), "https://***");
}

static void what_a_terminal_obeys_is_not_shown(void **state)
{
    static const struct {
        const char *line, *shown;
    } cases[] = {
        {"a\x1b]0;b\x07\r\t\x7f\n c\n", "a?]0;b????\n c\n"},
        {"\x9b", "?"},                /* CSI */
        {"\xc2\x9b", "??"},           /* and as UTF-8 */
        {"\xe2\x82\xac\x9b", "€?"},   /* behind a whole character */
        {"\xe2(\x9b", "\xe2(?"},      /* behind a broken one */
        {"é € 𝄞 └─ Ž", "é € 𝄞 └─ Ž"}, /* bytes of C1 within characters */
    };
    char line[64];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(line, sizeof line, "%s", cases[i].line);
        secrecy_mask(line, sizeof line);
        assert_string_equal(line, cases[i].shown);
    }
}

static void a_remote_text_with_a_key_is_masked_whole(void **state)
{
    struct buf pem = sample_text("p256.key"), text = {.public = true};
    char out[200];

    (void)state;
    assert_int_equal(buf_append_text(&text, "your key "), 0);
    as_json(&text, buf_bytes(&pem));
    redact(out, sizeof out, buf_bytes(&text));
    assert_string_equal(out, "[masked]");
    buf_free(&text);
    buf_free(&pem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_found_in_every_form),
        cmocka_unit_test(the_beginning_of_a_key_will_do),
        cmocka_unit_test(what_is_public_stays_readable),
        cmocka_unit_test(noise_is_no_key),
        cmocka_unit_test(users_of_urls_are_hidden),
        cmocka_unit_test(what_a_terminal_obeys_is_not_shown),
        cmocka_unit_test(a_remote_text_with_a_key_is_masked_whole),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
