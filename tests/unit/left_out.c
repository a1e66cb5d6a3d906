/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaves out the tests that tests/left-out names for this program, as tools/run-unit says; and sees
 * to it that what was opened is closed, and what was taken from the arena given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "samples.h"

int __real__cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);

/* Whether a word stands in a list between spaces. */
static bool is_listed(const char *list, const char *word)
{
    const char *at = list;
    size_t len = strlen(word);

    while (at && (at = strstr(at, word))) {
        if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
        at++;
    }
    return false;
}

static size_t count_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;

    if (!dir)
        abort();
    while (readdir(dir))
        count++;
    (void)closedir(dir);
    return count;
}

/* Whether what is open and what is in use are what they were; the arena itself stays open. */
static bool all_given_back(size_t open_before)
{
    struct arena_stats stats;
    size_t open_now;

    if (samples_arena_gone)
        return true;
    arena_stats(&stats);
    open_now = count_open() - (stats.backing && strcmp(stats.backing, "memfd_secret") == 0);
    if (open_now == open_before && stats.in_use == 0)
        return true;
    (void)fprintf(stderr, "left behind: %zu descriptors, %zu bytes of the arena\n",
                  open_now - open_before, stats.in_use);
    return false;
}

int __wrap__cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown)
{
    const size_t open_before = count_open();
    struct CMUnitTest *left = calloc(count, sizeof *left);
    const char *list = getenv("TEST_LEFT_OUT");
    size_t i, n = 0;
    int result;

    if (!left)
        abort();
    for (i = 0; i < count; i++)
        if (!is_listed(list, tests[i].name))
            left[n++] = tests[i];
    result = __real__cmocka_run_group_tests(group, left, n, setup, teardown);
    free(left);
    return result == 0 && !all_given_back(open_before) ? 1 : result;
}
