/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: what is read, written and read again is the same; whatever text is written can be read. */
#include "base/json.h"

#include "base/json_write.h"
#include "fuzz.h"

/* The value's text, up to a NUL, which the writer cannot write; NULL: it is no string. */
static const char *text_of(const struct json *json, json_value value, struct buf *text)
{
    return json_string(json, value, text) == 0 && buf_append(text, "", 1) == 0
               ? (const char *)text->data
               : NULL;
}

static void copy_value(const struct json *json, json_value value, const char *name,
                       struct json_writer *writer);

static void copy_members(const struct json *json, json_value object, struct json_writer *writer)
{
    json_value name, value;
    int at = 0;

    while (json_each(json, object, &at, &name, &value)) {
        struct buf text = {.tag = ARENA_WORK};
        const char *word = text_of(json, name, &text);

        copy_value(json, value, word ? word : "", writer);
        if (word && !fuzz_starved() && strlen(word) + 1 == text.len)
            FUZZ_CHECK(json_member(json, object, word) == value ||
                       json_member(json, object, word) == JSON_REPEATED);
        buf_free(&text);
    }
}

static void copy_items(const struct json *json, json_value array, struct json_writer *writer)
{
    json_value value;
    int at = 0;

    while (json_item(json, array, &at, &value))
        copy_value(json, value, NULL, writer);
}

/* Numbers become strings, since the writer knows integers only. */
static void copy_value(const struct json *json, json_value value, const char *name,
                       struct json_writer *writer)
{
    const enum json_type type = json_type(json, value);
    struct buf text = {.tag = ARENA_WORK};

    if (type == JSON_OBJECT || type == JSON_ARRAY) {
        json_open(writer, name, type == JSON_OBJECT ? '{' : '[');
        if (type == JSON_OBJECT)
            copy_members(json, value, writer);
        else
            copy_items(json, value, writer);
        json_close(writer, type == JSON_OBJECT ? '}' : ']');
    } else if (type == JSON_TRUE || type == JSON_FALSE) {
        json_put_bool(writer, name, type == JSON_TRUE);
    } else if (type == JSON_NUMBER) {
        struct bytes raw = json_raw(json, value);

        FUZZ_CHECK(raw.len > 0);
        json_put_text(writer, name,
                      buf_append(&text, raw.data, raw.len) == 0 ? (char *)text.data : NULL);
    } else {
        json_put_text(writer, name, type == JSON_STRING ? text_of(json, value, &text) : NULL);
    }
    buf_free(&text);
}

/* Reads text and writes it into out; false where it is no JSON. */
static bool copy(struct bytes text, struct buf *out)
{
    struct json_writer writer = {.out = out};
    char reason[JSON_REASON_MAX] = "";
    struct json *json = json_parse(text, reason);

    if (json)
        copy_value(json, 0, NULL, &writer);
    else
        FUZZ_CHECK(reason[0] && memchr(reason, '\0', sizeof reason));
    FUZZ_CHECK(!writer.failed || fuzz_starved());
    json_free(json);
    return json && !writer.failed;
}

static void check_round(struct bytes input)
{
    struct buf once = {.tag = ARENA_WORK}, twice = {.tag = ARENA_WORK};

    if (copy(input, &once)) {
        bool again = copy(buf_bytes(&once), &twice);

        FUZZ_CHECK(fuzz_starved() || (again && bytes_equal(buf_bytes(&once), buf_bytes(&twice))));
    }
    buf_free(&once);
    buf_free(&twice);
}

/* Any bytes, as the log writes them. */
static void check_text(struct bytes input)
{
    struct buf out = {.tag = ARENA_WORK}, copied = {.tag = ARENA_WORK};
    struct json_writer writer = {.out = &out};
    char *text = fuzz_text(input);

    json_open(&writer, NULL, '{');
    json_put_text(&writer, text, text);
    json_put_number(&writer, "number", (int64_t)input.len - 100);
    json_put_bool(&writer, "flag", input.len % 2);
    json_close(&writer, '}');
    FUZZ_CHECK((!writer.failed && copy(buf_bytes(&out), &copied)) || fuzz_starved());
    buf_free(&out);
    buf_free(&copied);
    free(text);
}

void fuzz(struct bytes input)
{
    check_round(input);
    check_text(input);
}
