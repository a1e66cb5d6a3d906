/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sanitizers are told by the program itself, since tests start it in an environment of
 * their own. Findings go to files: what a test does not read is not lost, and `make` looks at them
 * in the end. LeakSanitizer would have to trace a process that has forbidden it; the unit tests ask
 * for it by ASAN_OPTIONS.
 */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

#define OPTIONS "exitcode=99:log_path=" SANITIZE_FINDINGS "/found"

const char *__asan_default_options(void)
{
    return OPTIONS ":detect_leaks=0:detect_stack_use_after_return=1:strict_string_checks=1";
}

const char *__ubsan_default_options(void)
{
    return OPTIONS ":print_stacktrace=1";
}
