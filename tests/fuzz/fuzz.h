/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"

/*
 * What the fuzzers share. Each is one file that defines fuzz(), which is called with an input, and
 * once more with it while an allocation fails that the input's hash chooses. After both the arena
 * holds what it held before. Clocks and random numbers are the same each time.
 */
void fuzz(struct bytes input);

/* Before the first input; the arena is open. */
void fuzz_begin(void);

/* Whether an allocation has failed: then anything but a crash or a leak will do. */
bool fuzz_starved(void);
/* And whether all that came behind it failed, so that nobody could do with less. */
bool fuzz_out_of_memory(void);

/* What must hold of every input. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_failed(#condition, __FILE__, __LINE__))
_Noreturn void fuzz_failed(const char *condition, const char *file, int line);

/*
 * An error as nobody has filled it; and that somebody has, with a code that we know and a text:
 * ERR_MEMORY_FULL where the call was the first that went short, and nobody could do with less.
 */
void fuzz_err_open(struct err *err);
void fuzz_err_any(struct err *err); /* the same, of a call that may give another cause */
void fuzz_err_check(const struct err *err);

/* A call's result, 0 or -1, whose error is checked. */
int fuzz_result(int result, const struct err *err);

/* The input is cut by the byte FUZZ_CUT where it has several parts. The last one goes on and on. */
#define FUZZ_CUT 0x1E
struct bytes fuzz_part(struct bytes *rest);
unsigned fuzz_byte(struct bytes *rest); /* 0 at the end */

/* A copy on the heap, up to the first NUL and ended by one; the caller frees it. */
char *fuzz_text(struct bytes part);

/* A file of this content, of which there may be FUZZ_FILES at once; its path. */
enum { FUZZ_FILES = 4 };
const char *fuzz_file(int slot, struct bytes content);

/* A file of the samples that are made before fuzzing (tests/fuzz/make-seeds); from malloc(3). */
struct bytes fuzz_sample(const char *name);

/* The moment at which every input is looked at, 2030-01-01, when all samples are valid. */
#define FUZZ_NOW 1893456000

#endif
