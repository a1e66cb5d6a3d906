/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFORMANCE_CASE_H
#define CONFORMANCE_CASE_H

#include "base/buf.h"
#include "base/json.h"
#include "base/json_write.h"

/* A case in JSON, and what is said of it on standard output. Memory is left to the process' end. */

/* The document in text, or on standard input where text is NULL; NULL after a message. */
struct json *case_parse(const struct buf *text);

/* A member's text; NULL where it is none. */
const char *case_text(const struct json *json, json_value object, const char *name);

/* Puts an object's members in the place of the environment. */
void case_environment(const struct json *json, json_value object);

/* Prints what was written as a line, or "error" where ok is false: the exit status. */
int case_print(const struct json_writer *writer, int ok);

#endif
