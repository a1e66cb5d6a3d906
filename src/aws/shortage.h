/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_SHORTAGE_H
#define AWS_SHORTAGE_H

#include <stddef.h>

struct err;

/*
 * What fails for want of memory may look like anything: an answer that is no JSON, a file that is
 * damaged. So who asks for it takes a look before, and one where it has failed: where the arena had
 * no room meanwhile, that is the cause, ERR_MEMORY_FULL. Returns -1.
 */
size_t shortage_look(void);
int shortage_blame(size_t before, const char *subject, struct err *err);

#endif
