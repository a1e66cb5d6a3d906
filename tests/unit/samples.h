/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SAMPLES_H
#define SAMPLES_H

#include "base/buf.h"

/* The keys and certificates of tests/unit/data (made by tests/unit/make-data); found from the
 * project's root. */

/* Opens the arena: a group's setup. */
int samples_setup(void **state);

/* For a test that wipes the arena: what is left in it cannot be counted. */
extern bool samples_arena_gone;

/* A file's text. Fails the test where it cannot be read. */
struct buf sample_text(const char *name);

/* What the first PEM block of a file decodes to. */
struct buf sample_der(const char *name);

/* A secret document: names and files by turns, NULL at the end. */
struct buf sample_document(const char *name, const char *file, ...) __attribute__((sentinel));

/* A moment at which all certificates are good: 2030-01-01. */
#define SAMPLES_NOW 1893456000

#endif
