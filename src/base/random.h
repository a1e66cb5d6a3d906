/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* getrandom(2); ends the process where the kernel refuses, since nothing can be secure then. */
void random_bytes(void *out, size_t len);

/* A number from 0 to below - 1, without bias; 0 where below is 0. */
uint32_t random_below(uint32_t below);

#endif
