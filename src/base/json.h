/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stddef.h>

#include "base/buf.h"

/*
 * A strict JSON reader (RFC 8259) on jsmn, which by itself accepts much that is not JSON. The text
 * stays the caller's and must outlive the document; strings are views until they are decoded.
 * Nesting is bounded.
 */
struct json; /* in the arena; that of json_parse_public() is on the ordinary heap */

enum json_type {
    JSON_NONE,
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL
};

/* A value's place in its document; the root is 0, JSON_ABSENT is no value. */
typedef int json_value;
#define JSON_ABSENT   (-1)
#define JSON_REPEATED (-2)

#define JSON_REASON_MAX 96
/*
 * The document; or NULL and a reason: the fault and its byte, or JSON_NO_MEMORY. Never any of the
 * text itself.
 */
#define JSON_NO_MEMORY "no memory"
struct json *json_parse(struct bytes text, char reason[JSON_REASON_MAX]);

/* The same on the ordinary heap, for a document that holds no secret and may be large. */
struct json *json_parse_public(struct bytes text, char reason[JSON_REASON_MAX]);
void json_free(struct json *json);

enum json_type json_type(const struct json *json, json_value value);

/*
 * The member of an object by its (decoded) name: a value, JSON_ABSENT, or JSON_REPEATED where it is
 * there twice.
 */
json_value json_member(const struct json *json, json_value object, const char *name);

/* The same, where null and "" are no value: many writers put them where there is none. */
json_value json_present(const struct json *json, json_value object, const char *name);

/* Whether a value is none: null, or "". */
bool json_is_nothing(const struct json *json, json_value value);

/*
 * Appends the first string member of an object that has one of the names, which NULL ends: 1. 0:
 * there is no such member. -1: it is no string, is there twice, or there is no room.
 */
#define JSON_NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
int json_text(const struct json *json, json_value object, const char *const *names,
              struct buf *out);

/* Walks an object: *name (a string value) and *value from one member to the next; *at is 0 at
 * first. 0 at the end. */
int json_each(const struct json *json, json_value object, int *at, json_value *name,
              json_value *value);

/* Walks an array in the same way. */
int json_item(const struct json *json, json_value array, int *at, json_value *value);

/* Appends a string's decoded UTF-8: 0; -1: not a string, a lone surrogate, or no room. NUL may come
 * out of "\u0000": look for it. */
int json_string(const struct json *json, json_value value, struct buf *out);

/* The raw text of a number, true, false or null. */
struct bytes json_raw(const struct json *json, json_value value);

#endif
