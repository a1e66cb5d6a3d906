/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_JSON_WRITE_H
#define BASE_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * Writes one JSON document, value by value. name is the member's, NULL within arrays and for the
 * document itself. Bytes of text that are neither ASCII nor UTF-8 become U+FFFD. Where memory is
 * full the writer is marked, and the text is cut. Text is shown as secrecy_shown() has it.
 */
struct json_writer {
    struct buf *out;
    bool again;  /* there is a value before, on this level */
    bool failed; /* the text is not whole */
};

void json_open(struct json_writer *writer, const char *name, char bracket);
void json_close(struct json_writer *writer, char bracket);
void json_put_text(struct json_writer *writer, const char *name, const char *text); /* NULL: null */
void json_put_number(struct json_writer *writer, const char *name, int64_t number);
void json_put_bool(struct json_writer *writer, const char *name, bool value);

#endif
