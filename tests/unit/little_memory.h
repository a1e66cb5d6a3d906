/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_LITTLE_MEMORY_H
#define TESTS_UNIT_LITTLE_MEMORY_H

#include <stddef.h>

/* Takes all of the arena but that much, until give_back(). */
void leave_free(size_t size);
void give_back(void);

#endif
