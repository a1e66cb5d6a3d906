/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/json_write.h"
#include "samples.h"

static struct buf out;
static struct json_writer writer;

static int set_up(void **state)
{
    (void)state;
    out = (struct buf){.tag = ARENA_WORK};
    writer = (struct json_writer){.out = &out};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_free(&out);
    return 0;
}

static void assert_text(const char *text)
{
    assert_false(writer.failed);
    assert_string_equal((const char *)out.data, text);
}

static void values_are_parted_by_commas(void **state)
{
    (void)state;
    json_open(&writer, NULL, '{');
    json_put_text(&writer, "a", "b");
    json_put_number(&writer, "n", INT64_MIN);
    json_open(&writer, "list", '[');
    json_put_bool(&writer, NULL, true);
    json_put_bool(&writer, NULL, false);
    json_open(&writer, NULL, '{');
    json_close(&writer, '}');
    json_close(&writer, ']');
    json_put_text(&writer, "none", NULL);
    json_close(&writer, '}');
    assert_text("{\"a\":\"b\",\"n\":-9223372036854775808,\"list\":[true,false,{}],\"none\":null}");
}

static void text_is_escaped(void **state)
{
    (void)state;
    json_put_text(&writer, NULL, "\"\\/\n\x1b\x7f\xc2\x9b é € 𝄞");
    assert_text("\"\\\"\\\\/\\u000a\\u001b\\u007f\\u009b é € 𝄞\"");
}

/* Overlong forms, surrogates, what is beyond U+10FFFF, stray and cut characters. */
static void what_is_no_utf8_is_replaced(void **state)
{
    static const char *const bad[] = {
        "\xC0\x80",         "\xC1\xBF",         "\xE0\x9F\xBF", "\xED\xA0\x80",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5",         "\x80",
        "\xE2\x82",         "\xF0\x9D\x84",     "\xFF"};
    size_t i, n;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[16], wanted[64] = "\"";
        char reason[JSON_REASON_MAX];
        struct json *json;

        buf_free(&out);
        writer.again = false;
        (void)snprintf(text, sizeof text, "%sx", bad[i]);
        for (n = 0; n < strlen(bad[i]); n++)
            memcpy(wanted + strlen(wanted), "\\ufffd", sizeof "\\ufffd");
        memcpy(wanted + strlen(wanted), "x\"", sizeof "x\"");
        json_put_text(&writer, NULL, text);
        assert_text(wanted);
        json = json_parse(buf_bytes(&out), reason);
        assert_non_null(json);
        json_free(json);
    }
}

static void a_full_memory_is_seen(void **state)
{
    (void)state;
    out.max = 4;
    json_put_text(&writer, NULL, "long text");
    assert_true(writer.failed);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(values_are_parted_by_commas),
        test(text_is_escaped),
        test(what_is_no_utf8_is_replaced),
        test(a_full_memory_is_seen),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
