/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOOK_FIXTURE_H
#define HOOK_FIXTURE_H

#include "base/err.h"
#include "hook/hook.h"

/* A hook runner whose log goes into a file of a temporary directory. */
struct hook_fixture {
    char dir[64];
    struct hook_options options; /* a minute for the program, and nobody to tell, unless set */
    const char *argv[5];
    struct hook hook;
    struct err err;
    char text[65536]; /* of the file read last */
};

int hook_fixture_setup(void **state);
int hook_fixture_teardown(void **state);

/* Makes the program a script, which finds the directory's path as $0. */
void use_script(struct hook_fixture *fixture, const char *script);

/* Opens the runner, with what is set by then. */
void open_runner(struct hook_fixture *fixture);

/* Tells a change and waits for the result. */
void tell(struct hook_fixture *fixture, int64_t limit_ms);
struct hook_result take(struct hook_fixture *fixture);
struct hook_result tell_and_take(struct hook_fixture *fixture, int64_t limit_ms);

/* A path in the directory, good until the next call. */
const char *in_dir(const struct hook_fixture *fixture, const char *name);

/* A file of the directory as text, "" where there is none; what the runner logged. */
const char *read_text(struct hook_fixture *fixture, const char *name);
const char *read_log(struct hook_fixture *fixture);

/* How often a piece stands in a text. */
size_t count_of(const char *text, const char *piece);

/* Waits until a file of the directory holds a whole number, and gives it. */
long wait_for_number(struct hook_fixture *fixture, const char *name);

/* Whether a process is gone, and reaped, within some seconds. */
bool is_gone(pid_t pid);

#endif
