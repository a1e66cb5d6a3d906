/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMANDS_OUTPUT_H
#define COMMANDS_OUTPUT_H

#include <stdbool.h>

#include "base/bytes.h"

/*
 * Standard output, for who answers there: a disk that is full, or a reader that is gone, is told as
 * an error, once, and has an exit status of its own.
 */
void output_write(struct bytes text);

/* The same of what somebody else has written: result is 0, or -1 with errno. */
void output_check(int result);

/* Whether programs read the answer (--json), as far as that is known: also while the configuration
 * is read. */
extern bool output_json;

/* The status of a command that would end with this one. */
int output_status(int status);

#endif
