/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "install/install_state.h"
#include "install_fixture.h"

#define SET     "..set-0123456789abcdef"
#define VERSION "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER   "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
#define HEAD    "mtls-agent-state 1\n"

static struct install_state_change change; /* as of the fork */

static int read_memory_here(struct fixture *fixture, int unused)
{
    struct install_state read;
    int result;

    (void)unused;
    memset(&read, 'x', sizeof read);
    fixture->err = (struct err){0};
    result = install_state_read(&fixture->target, &read, &fixture->err);
    fixture->memory = read;
    return result;
}

static int update_here(struct fixture *fixture, int unused)
{
    (void)unused;
    fixture->err = (struct err){0};
    return install_state_update(&fixture->target, &change, &fixture->err);
}

static int update(struct fixture *fixture, const char *told, const char *rolled_back,
                  const char *held)
{
    change =
        (struct install_state_change){.told = told, .rolled_back = rolled_back, .held_back = held};
    return fixture_run(fixture, update_here, 0);
}

static void assert_memory(struct fixture *fixture, const char *told, const char *rolled_back,
                          const char *held)
{
    assert_int_equal(fixture_run(fixture, read_memory_here, 0), 0);
    assert_string_equal(fixture->memory.told, told);
    assert_string_equal(fixture->memory.rolled_back, rolled_back);
    assert_string_equal(fixture->memory.held_back, held);
}

static void nothing_is_remembered_at_first(void **state)
{
    struct fixture *fixture = *state;

    assert_memory(fixture, "", "", "");
    fixture->target.sub = "missing";
    assert_memory(fixture, "", "", "");
    assert_int_equal(update(fixture, SET, NULL, NULL), -1);
    assert_int_equal(fixture->err.code, ERR_NO_IDENTITY);
    assert_false(is_there(in_target(fixture, "missing")));
}

static void strict_umask(struct fixture *fixture)
{
    (void)fixture;
    umask(geteuid() == 0 ? 0777 : 0077);
}

static void what_changes_leaves_the_rest(void **state)
{
    struct fixture *fixture = *state;

    fixture->prepare = strict_umask;
    assert_int_equal(update(fixture, SET, NULL, NULL), 0);
    assert_memory(fixture, SET, "", "");
    assert_int_equal(stat_of(in_target(fixture, "..agent")).st_mode, S_IFREG | 0644);
    assert_int_equal(update(fixture, NULL, VERSION, OTHER), 0);
    assert_memory(fixture, SET, VERSION, OTHER);
    assert_int_equal(update(fixture, "..set-fedcba9876543210", NULL, ""), 0);
    assert_memory(fixture, "..set-fedcba9876543210", VERSION, "");
    assert_int_equal(count_of_prefix(fixture, "..tmp-"), 0);
}

static void when_it_was_tried_goes_with_the_version(void **state)
{
    struct fixture *fixture = *state;

    change = (struct install_state_change){.rolled_back = VERSION, .tried = 1700000000};
    assert_int_equal(fixture_run(fixture, update_here, 0), 0);
    assert_memory(fixture, "", VERSION, "");
    assert_int_equal(fixture->memory.tried, 1700000000);
    assert_int_equal(update(fixture, SET, NULL, NULL), 0);
    assert_memory(fixture, SET, VERSION, "");
    assert_int_equal(fixture->memory.tried, 1700000000);
    assert_int_equal(update(fixture, NULL, OTHER, NULL), 0);
    assert_memory(fixture, SET, OTHER, "");
    assert_int_equal(fixture->memory.tried, 0);
}

static void what_waits_has_the_time_that_it_was_seen_first(void **state)
{
    struct fixture *fixture = *state;

    change = (struct install_state_change){.seen = OTHER, .seen_at = 1700000000};
    assert_int_equal(fixture_run(fixture, update_here, 0), 0);
    assert_int_equal(update(fixture, SET, VERSION, NULL), 0);
    assert_memory(fixture, SET, VERSION, "");
    assert_string_equal(fixture->memory.seen, OTHER);
    assert_int_equal(fixture->memory.seen_at, 1700000000);
    change = (struct install_state_change){.seen = ""};
    assert_int_equal(fixture_run(fixture, update_here, 0), 0);
    assert_memory(fixture, SET, VERSION, "");
    assert_string_equal(fixture->memory.seen, "");
    assert_int_equal(fixture->memory.seen_at, 0);
}

static void what_it_says_already_is_not_written(void **state)
{
    struct fixture *fixture = *state;
    struct stat before, now;

    assert_int_equal(update(fixture, "", NULL, ""), 0);
    assert_false(is_there(in_target(fixture, "..agent")));
    assert_int_equal(update(fixture, SET, VERSION, NULL), 0);
    before = stat_of(in_target(fixture, "..agent"));
    assert_int_equal(update(fixture, SET, NULL, ""), 0);
    now = stat_of(in_target(fixture, "..agent"));
    assert_int_equal(now.st_ino, before.st_ino);
    assert_memory_equal(&now.st_ctim, &before.st_ctim, sizeof now.st_ctim);
}

static void what_is_no_set_and_no_version_is_refused(void **state)
{
    static const struct install_state_change rows[] = {
        {.told = "..set-0123456789abcde"},
        {.told = "..set-0123456789abcdef0"},
        {.told = "..set-0123456789abcde\n"},
        {.told = VERSION},
        {.held_back = SET},
        {.held_back = OTHER "0"},
        {.rolled_back = "x\nheld " OTHER},
        {.rolled_back = "x\ntold " SET},
        {.rolled_back = " "},
    };
    struct fixture *fixture = *state;

    assert_int_equal(update(fixture, SET, VERSION, NULL), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (update(fixture, rows[i].told, rows[i].rolled_back, rows[i].held_back) != -1)
            fail_msg("row %zu was written", i);
        assert_int_equal(fixture->err.code, ERR_INSTALL_FAILED);
        assert_memory(fixture, SET, VERSION, "");
    }
}

/* Not to be believed, and never in the way: the next note replaces it. */
static void assert_ignored(struct fixture *fixture, const char *reason)
{
    assert_memory(fixture, "", "", "");
    assert_true(was_logged(fixture, "state_ignored"));
    if (!was_logged(fixture, reason))
        fail_msg("not logged: %s", reason);
    assert_int_equal(update(fixture, NULL, NULL, OTHER), 0);
    assert_memory(fixture, "", "", OTHER);
    assert_int_equal(unlink(in_target(fixture, "..agent")), 0);
    forget_log(fixture);
}

static void damaged_file_is_ignored(void **state)
{
    static const char *const texts[] = {
        "",
        "mtls-agent-state 2\n",
        "mtls-agent-state 1",
        HEAD "told\n",
        HEAD "told ..data\n",
        HEAD "told " SET "\ntold " SET "\n",
        HEAD "told " SET,
        HEAD "told " SET "\n\n",
        HEAD "told  " SET "\n",
        HEAD "held " VERSION " x\n",
        HEAD "held 00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff\n",
        HEAD "held 00\n",
        HEAD "rolled-back " VERSION "\nrolled-back " VERSION "\n",
        HEAD "rolled-back " VERSION " soon\n",
        HEAD "rolled-back " VERSION " 1234567890123456789\n",
        HEAD "seen " VERSION "\n",
        HEAD "seen " VERSION " soon\n",
        HEAD "more " VERSION "\n",
        HEAD "told " SET "\x01\n",
    };
    struct fixture *fixture = *state;
    char long_text[4096];

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put_file(in_target(fixture, "..agent"), texts[i]);
        assert_ignored(fixture, "it is not as this agent writes it");
    }
    (void)snprintf(long_text, sizeof long_text, HEAD "told " SET "\n%03000d", 0);
    put_file(in_target(fixture, "..agent"), long_text);
    assert_ignored(fixture, "it is not as this agent writes it");

    put_file(in_target(fixture, "..agent"), HEAD "told " SET "\nrolled-back " VERSION "\n");
    assert_memory(fixture, SET, VERSION, ""); /* so that the rows fail by their damage */
    assert_false(was_logged(fixture, "state_ignored"));
}

static void what_is_not_ours_is_ignored(void **state)
{
    struct fixture *fixture = *state;

    put_file(in_target(fixture, "elsewhere"), HEAD "told " SET "\n");
    assert_int_equal(symlink("elsewhere", in_target(fixture, "..agent")), 0);
    assert_ignored(fixture, "it is a symbolic link");
    assert_true(is_there(in_target(fixture, "elsewhere")));
    assert_int_equal(mkfifo(in_target(fixture, "..agent"), 0600), 0);
    assert_ignored(fixture, "it is no regular file");

    assert_int_equal(mkdir(in_target(fixture, "..agent"), 0700), 0);
    assert_memory(fixture, "", "", "");
    assert_true(was_logged(fixture, "it is no regular file"));
    assert_int_equal(update(fixture, SET, NULL, NULL), -1);
    assert_int_equal(fixture->err.code, ERR_INSTALL_FAILED);
    assert_int_equal(count_of_prefix(fixture, "..tmp-"), 0);
}

static void what_is_of_a_stranger_is_ignored(void **state)
{
    struct fixture *fixture = *state;

    need_root();
    put_file(in_target(fixture, "..agent"), HEAD "told " SET "\n");
    assert_int_equal(chown(in_target(fixture, "..agent"), STRANGER, STRANGER), 0);
    assert_ignored(fixture, "it belongs to a stranger");

    put_file(in_target(fixture, "..agent"), HEAD "told " SET "\n");
    assert_int_equal(chmod(in_target(fixture, "..agent"), 0600), 0);
    give_to_stranger(fixture);
    fixture->prepare = become_stranger;
    assert_ignored(fixture, "this agent may not read it");
}

static void installs_leave_it(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(update(fixture, SET, VERSION, OTHER), 0);
    for (int number = 1; number < 4; number++)
        assert_int_equal(fixture_install(fixture, number), INSTALL_DONE);
    assert_memory(fixture, SET, VERSION, OTHER);
}

/* Two that note different things at once. */
static void no_note_is_lost(void **state)
{
    struct fixture *fixture = *state;
    int first, second;

    for (int round = 0; round < 40; round++) {
        change = (struct install_state_change){.told = SET};
        first = fixture_begin(fixture, update_here, 0);
        change = (struct install_state_change){.held_back = VERSION};
        second = fixture_begin(fixture, update_here, 0);
        assert_int_equal(fixture_wait(first), 0);
        assert_int_equal(fixture_wait(second), 0);
        assert_memory(fixture, SET, "", VERSION);
        assert_int_equal(update(fixture, "", NULL, ""), 0);
    }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(nothing_is_remembered_at_first),
        ROW(what_changes_leaves_the_rest),
        ROW(when_it_was_tried_goes_with_the_version),
        ROW(what_waits_has_the_time_that_it_was_seen_first),
        ROW(what_it_says_already_is_not_written),
        ROW(what_is_no_set_and_no_version_is_refused),
        ROW(damaged_file_is_ignored),
        ROW(what_is_not_ours_is_ignored),
        ROW(what_is_of_a_stranger_is_ignored),
        ROW(installs_leave_it),
        ROW(no_note_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
