/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMANDS_OUTPUT_H
#define COMMANDS_OUTPUT_H

#include <stdbool.h>

#include "base/bytes.h"

/*
 * Standard output, for commands that answer there. A full disk, or a reader that is gone, is
 * reported as an error, once, and has its own exit status.
 */
void output_write(struct bytes text);

/* The same for output that another function has written: result is 0, or -1 with errno. */
void output_check(int result);

/*
 * Whether programs read the answer (--json), as far as that is known; also valid while the
 * configuration is read.
 */
extern bool output_json;

/* The status of a command that would end with this one. */
int output_status(int status);

#endif
