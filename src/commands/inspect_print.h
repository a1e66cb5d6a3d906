/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMANDS_INSPECT_PRINT_H
#define COMMANDS_INSPECT_PRINT_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct json_writer;
struct report;

/* A report on where its bundle is from, at a moment: for people, and for programs. */
struct inspected {
    const char *source;
    const struct report *report;
    int64_t now;
    const char *purpose; /* "server" or "client", for a file without names for its parts; NULL: the
                            names say it */
    bool assumed;        /* nothing in it says so */
};
void inspect_print_text(struct buf *out, const struct inspected *inspected);
void inspect_print_json(struct json_writer *writer, const struct inspected *inspected);

/*
 * Compares two documents: whether each would accept the other, and what both have. writer: as JSON;
 * NULL: as text. Returns whether both accept.
 */
bool inspect_compare(struct buf *out, struct json_writer *writer, const struct inspected both[2]);

/* Whole days until then; negative once it is past. */
int64_t inspect_days(int64_t then, int64_t now);

/* "RSA 2048", "EC P-256" */
struct cert;
#define INSPECT_KEY_MAX 40
void inspect_key_text(const struct cert *cert, char out[INSPECT_KEY_MAX]);

/* Upper-case hexadecimal, as openssl x509 -serial has it. */
#define INSPECT_SERIAL_MAX 130
void inspect_serial_text(const struct cert *cert, char out[INSPECT_SERIAL_MAX]);

#endif
