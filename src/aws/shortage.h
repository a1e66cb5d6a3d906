/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_SHORTAGE_H
#define AWS_SHORTAGE_H

#include <stddef.h>

struct err;

/*
 * A shortage of memory can look like anything: an answer that is no JSON, a damaged file. So the
 * caller looks before the work, and again after a failure: where the arena had no room in between,
 * that is the cause, ERR_MEMORY_FULL. Returns -1.
 */
size_t shortage_look(void);
int shortage_blame(size_t before, const char *subject, struct err *err);

#endif
