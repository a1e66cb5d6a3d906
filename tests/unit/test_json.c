/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "samples.h"

static char reason[JSON_REASON_MAX];

static struct json *parse(const char *text)
{
    reason[0] = '\0';
    return json_parse(bytes_of_text(text), reason);
}

static bool is_json(const char *text)
{
    struct json *json = parse(text);

    if (!json && reason[0] == '\0')
        fail_msg("refused without a reason");
    json_free(json);
    return json;
}

/* Whether the string value decodes to expected; NULL: it must not decode. */
static void assert_decodes(const char *text, const char *expected, size_t len)
{
    struct buf out = {.tag = ARENA_DOCUMENT};
    struct json *json = parse(text);

    assert_non_null(json);
    assert_int_equal(buf_append(&out, "before", 6), 0);
    if (expected) {
        assert_int_equal(json_string(json, 0, &out), 0);
        assert_int_equal(out.len, 6 + len);
        assert_memory_equal(out.data + 6, expected, len);
    } else {
        assert_int_equal(json_string(json, 0, &out), -1);
        assert_int_equal(out.len, 6);
    }
    json_free(json);
    buf_free(&out);
}

/* What jsmn takes for JSON, and the grammar does not. */
static void what_jsmn_lets_pass_is_refused(void **state)
{
    static const char *const cases[] = {
        "{\"a\":1,}",
        "{\"a\"}",
        "{,}",
        "{\"a\": 1, \"b\"}",
        "{\"a\":\"b\":\"c\"}",
        "{\"a\",\"b\":1}",
        "[1,,3]",
        "[\"a\": 1]",
        "{\"a\" 1}",
        "{1:2}",
        "{a:1}",
        "[tru]",
        "[truer]",
        "[1 2]",
        "[01]",
        "[1.]",
        "[.5]",
        "[+1]",
        "[1e]",
        "[0x1]",
        "[NaN]",
        "{}{}",
        "{} x",
        "[]]",
        "[",
        "{\"a\":",
        "\"\\x\"",
        "\"\\u12G4\"",
        "\"\\u123\"",
        "\"a\tb\"",
        "\"a\nb\"",
        "\"a",
        "\"\\",
        "",
        " ",
        "'a'",
        "[1]\f",
        "/**/1",
        "\xEF\xBB\xBF{}",
        "nul",
        "-",
        "[1}",
        "{\"a\":1]",
        ":",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (is_json(cases[i]))
            fail_msg("accepted: %s", cases[i]);
}

static void json_is_accepted(void **state)
{
    static const char *const cases[] = {
        "{}",
        "[]",
        "0",
        "-0",
        "-1.5e+10",
        "1E9",
        "true",
        "false",
        "null",
        "\"\"",
        " \t\r\n[ 1 , 2 ] \n",
        "{\"\":{\"a\":[[],{}]}}",
        "{\"a\":1,\"a\":2}",
        "\"\\u0000\"",
        "\"\x7F\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "1234567890123456789012345678901234567890",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (!is_json(cases[i]))
            fail_msg("refused: %s: %s", cases[i], reason);
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
static void bytes_that_are_not_utf8_are_refused(void **state)
{
    static const char *const bad[] = {
        "\"\x80\"",
        "\"\xC0\x80\"",
        "\"\xC1\xBF\"",
        "\"\xC2\"",
        "\"\xE0\x9F\xBF\"",
        "\"\xED\xA0\x80\"",
        "\"\xE2\x82\"",
        "\"\xF0\x8F\xBF\xBF\"",
        "\"\xF4\x90\x80\x80\"",
        "\"\xF5\x80\x80\x80\"",
        "\"\xFF\"",
        "\"\xE2\x28\xA1\"",
    };
    static const char *const good[] = {"\"\xC2\x80\"",         "\"\xE0\xA0\x80\"",
                                       "\"\xED\x9F\xBF\"",     "\"\xEF\xBF\xBF\"",
                                       "\"\xF0\x90\x80\x80\"", "\"\xF4\x8F\xBF\xBF\""};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (is_json(bad[i]))
            fail_msg("number %zu", i);
    for (i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!is_json(good[i]))
            fail_msg("number %zu", i);
}

static void every_cut_of_a_document_is_refused(void **state)
{
    static const char text[] = "{\"a\":[1.5e3,true,\"\\u00e9\xC3\xA9\"],\"b\":{\"c\":null}}";
    size_t len;

    (void)state;
    assert_true(is_json(text));
    for (len = 0; len < sizeof text - 1; len++)
        assert_null(json_parse(bytes_of(text, len), reason));
}

static void what_is_public_may_be_larger(void **state)
{
    enum { VALUES = 100 * 1000 };
    char *text = malloc(2 * VALUES + 2);
    struct json *json;
    size_t i;

    (void)state;
    assert_non_null(text);
    text[0] = '[';
    for (i = 0; i < VALUES; i++)
        memcpy(text + 1 + 2 * i, "7,", 2);
    memcpy(text + 2 * VALUES, "]", 2);
    assert_null(json_parse(bytes_of_text(text), reason));
    json = json_parse_public(bytes_of_text(text), reason);
    assert_non_null(json);
    assert_int_equal(json_type(json, VALUES), JSON_NUMBER);
    assert_int_equal(json_type(json, VALUES + 1), JSON_NONE);
    json_free(json);
    assert_null(json_parse_public(bytes_of_text("[1,"), reason));
    free(text);
}

static void depth_and_size_are_bounded(void **state)
{
    static char text[200001];
    size_t i;

    (void)state;
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    assert_true(is_json(text));
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    assert_false(is_json(text));
    assert_non_null(strstr(reason, "nested too deeply"));
    memset(text, '[', sizeof text - 1);
    assert_false(is_json(text));
    text[0] = '[';
    for (i = 1; i < sizeof text - 2; i += 2)
        memcpy(text + i, "1,", 2);
    memcpy(text + sizeof text - 3, "1]", 3);
    assert_false(is_json(text));
    assert_non_null(strstr(reason, "too many values"));
}

static void reasons_show_where_but_not_what(void **state)
{
    (void)state;
    assert_false(is_json("{\"client_key\":\"SECRET\" \"SECRET\"}"));
    assert_non_null(strstr(reason, "byte 23"));
    assert_null(strstr(reason, "SECRET"));
}

static void strings_are_decoded(void **state)
{
    (void)state;
    assert_decodes("\"plain\"", "plain", 5);
    assert_decodes("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    assert_decodes("\"\\u0041\\u00e9\\u20AC\"", "A\xC3\xA9\xE2\x82\xAC", 6);
    assert_decodes("\"\\ud83d\\ude00!\"", "\xF0\x9F\x98\x80!", 5);
    assert_decodes("\"\\uDBFF\\uDFFF\"", "\xF4\x8F\xBF\xBF", 4);
    assert_decodes("\"a\\u0000b\"", "a\0b", 3);
    assert_decodes("\"\xE2\x82\xAC\"", "\xE2\x82\xAC", 3);
    assert_decodes("\"\"", "", 0);
}

static void lone_surrogates_do_not_decode(void **state)
{
    static const char *const cases[] = {"\"a\\ud800\"",
                                        "\"\\udc00\"",
                                        "\"\\ud800\\ud800\"",
                                        "\"\\ud800x\\udc00\"",
                                        "\"\\ud800\\n12345\"",
                                        "1",
                                        "{}"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_decodes(cases[i], NULL, 0);
}

static void a_string_that_is_too_long_is_no_text(void **state)
{
    struct buf out = {.tag = ARENA_DOCUMENT, .max = 4};
    struct json *json = parse("[\"1234\",\"12345\"]");

    (void)state;
    assert_int_equal(json_string(json, 1, &out), 0);
    buf_free(&out);
    assert_int_equal(json_string(json, 2, &out), -1);
    assert_int_equal(out.len, 0);
    buf_free(&out);
    json_free(json);
}

static void members_are_found_by_their_decoded_names(void **state)
{
    struct json *json =
        parse("{\"x\":{\"key\":9},\"k\\u0065y\":1,\"two\":2,\"t\\u0077o\":3,\"\\ud800\":4,"
              "\"nul\\u0000\":5,\"list\":[1,{\"key\":2}],\"last\":false}");
    json_value inner;

    (void)state;
    assert_non_null(json);
    assert_true(bytes_equal_text(json_raw(json, json_member(json, 0, "key")), "1"));
    assert_int_equal(json_member(json, 0, "two"), JSON_REPEATED);
    assert_int_equal(json_member(json, 0, "nul"), JSON_ABSENT);
    assert_int_equal(json_member(json, 0, "ke"), JSON_ABSENT);
    assert_int_equal(json_member(json, 0, "keys"), JSON_ABSENT);
    assert_int_equal(json_member(json, 0, ""), JSON_ABSENT);
    assert_int_equal(json_type(json, json_member(json, 0, "last")), JSON_FALSE);
    inner = json_member(json, 0, "x");
    assert_true(bytes_equal_text(json_raw(json, json_member(json, inner, "key")), "9"));
    assert_int_equal(json_member(json, json_member(json, 0, "list"), "key"), JSON_ABSENT);
    assert_int_equal(json_member(json, JSON_ABSENT, "key"), JSON_ABSENT);
    assert_int_equal(json_member(json, JSON_REPEATED, "key"), JSON_ABSENT);
    json_free(json);
}

static void types_are_told(void **state)
{
    static const enum json_type types[] = {JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER,
                                           JSON_TRUE,   JSON_FALSE, JSON_NULL};
    struct json *json =
        parse("{\"a\":{\"z\":[]},\"b\":[{},[]],\"c\":\"1\",\"d\":-1,\"e\":true,\"f\":false,"
              "\"g\":null}");
    json_value name, value;
    int at = 0, count = 0;

    (void)state;
    assert_non_null(json);
    while (json_each(json, 0, &at, &name, &value)) {
        assert_int_equal(json_type(json, name), JSON_STRING);
        assert_int_equal(json_type(json, value), types[count++]);
    }
    assert_int_equal(count, 7);
    assert_int_equal(json_type(json, JSON_ABSENT), JSON_NONE);
    assert_int_equal(json_type(json, JSON_REPEATED), JSON_NONE);
    assert_int_equal(json_type(json, 1000), JSON_NONE);
    json_free(json);
    json = parse("{}");
    at = 0;
    assert_int_equal(json_each(json, 0, &at, &name, &value), 0);
    json_free(json);
    json_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_jsmn_lets_pass_is_refused),
        cmocka_unit_test(json_is_accepted),
        cmocka_unit_test(bytes_that_are_not_utf8_are_refused),
        cmocka_unit_test(every_cut_of_a_document_is_refused),
        cmocka_unit_test(what_is_public_may_be_larger),
        cmocka_unit_test(depth_and_size_are_bounded),
        cmocka_unit_test(reasons_show_where_but_not_what),
        cmocka_unit_test(strings_are_decoded),
        cmocka_unit_test(lone_surrogates_do_not_decode),
        cmocka_unit_test(a_string_that_is_too_long_is_no_text),
        cmocka_unit_test(members_are_found_by_their_decoded_names),
        cmocka_unit_test(types_are_told),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
