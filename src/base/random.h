/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct err;

/* Whether the kernel gives random numbers at all: ERR_SYSTEM. Does not wait for the first ones. */
int random_check(struct err *err);

/* getrandom(2). Says so and ends the process where the kernel refuses all the same, since nothing
 * can be secure then. */
void random_bytes(void *out, size_t len);

/* A number from 0 to below - 1, without bias; 0 where below is 0. */
uint32_t random_below(uint32_t below);

#endif
