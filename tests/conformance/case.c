/* SPDX-License-Identifier: Apache-2.0 */
#include "case.h"

#include <stdio.h>
#include <stdlib.h>

#include "commands.h"

struct json *case_parse(const struct buf *text)
{
    static struct buf input;
    char reason[JSON_REASON_MAX] = "it cannot be read";
    struct json *json = NULL;

    if (text || conformance_input(&input) == 0)
        json = json_parse(buf_bytes(text ? text : &input), reason);
    if (!json)
        fprintf(stderr, "the case is no JSON: %s\n", reason);
    return json;
}

const char *case_text(const struct json *json, json_value object, const char *name)
{
    json_value value = object < 0 ? JSON_ABSENT : json_member(json, object, name);
    struct buf text = {.tag = ARENA_DOCUMENT};

    if (value < 0 || json_string(json, value, &text) < 0 || buf_append(&text, "", 0) < 0)
        return NULL;
    return (const char *)text.data;
}

void case_environment(const struct json *json, json_value object)
{
    json_value key, value;
    int at = 0;

    (void)clearenv();
    while (object >= 0 && json_each(json, object, &at, &key, &value)) {
        struct buf name = {.tag = ARENA_WORK}, text = {.tag = ARENA_WORK};

        if (json_string(json, key, &name) < 0 || json_string(json, value, &text) < 0 ||
            setenv((char *)name.data, text.len ? (char *)text.data : "", 1) < 0)
            fprintf(stderr, "a variable is no text\n");
    }
}

int case_print(const struct json_writer *writer, int ok)
{
    puts(ok && !writer->failed ? (const char *)writer->out->data : "error");
    return 0;
}
