/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "install_fixture.h"

static void assert_refused(struct fixture *fixture, int number, const char *why)
{
    assert_int_equal(fixture_install(fixture, number), -1);
    assert_int_equal(fixture->err.code, ERR_TARGET_INVALID);
    if (!strstr(fixture->err.reason, why))
        fail_msg("\"%s\" does not say \"%s\"", fixture->err.reason, why);
}

static void other_kinds_than_files_are_refused_by_name(void **state)
{
    struct fixture *fixture = *state;
    const char *key = in_target(fixture, "client.key");

    assert_int_equal(mkfifo(key, 0600), 0);
    assert_refused(fixture, 1, "client.key is no regular file");
    unlink(key);
    key = in_target(fixture, "client.key");
    assert_int_equal(mkdir(key, 0700), 0);
    assert_refused(fixture, 1, "client.key is no regular file");
    rmdir(key);
    key = in_target(fixture, "client.key");
    if (mknod(key, S_IFCHR | 0600, makedev(1, 3)) == 0)
        assert_refused(fixture, 1, "client.key is no regular file");
    unlink(key);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(count_sets(fixture), 1);
}

static void link_that_is_somebodys_own_is_refused(void **state)
{
    struct fixture *fixture = *state;

    put_file(in_target(fixture, "outside"), "key 60\n");
    assert_int_equal(symlink("outside", in_target(fixture, "client.key")), 0);
    assert_refused(fixture, 1, "client.key is a symbolic link");
    assert_int_equal(number_in(fixture, "outside"), 60);
    assert_string_equal(link_in(fixture, "client.key"), "outside");
    assert_int_equal(count_sets(fixture), 0);
}

static void data_that_is_not_ours_is_refused(void **state)
{
    static const char *const texts[] = {"..2024_05_01_10_00_00.123", "/etc", "..set-0/../x",
                                        "sub/..set-0123456789abcdef", "..set-0123456789abcdefg"};
    struct fixture *fixture = *state;

    put_file(in_target(fixture, "..data"), "theirs");
    assert_refused(fixture, 1, "..data is no symbolic link");
    unlink(in_target(fixture, "..data"));
    assert_int_equal(mkdir(in_target(fixture, "..data"), 0755), 0);
    assert_refused(fixture, 1, "..data is no symbolic link");
    rmdir(in_target(fixture, "..data"));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(symlink(texts[i], in_target(fixture, "..data")), 0);
        assert_refused(fixture, 1, "that this agent did not make");
        assert_string_equal(link_in(fixture, "..data"), texts[i]);
        unlink(in_target(fixture, "..data"));
    }
    assert_int_equal(symlink("..set-0123456789abcdef", in_target(fixture, "..data")), 0);
    put_file(in_target(fixture, "..set-0123456789abcdef"), "no directory");
    assert_refused(fixture, 1, "cannot open ..set-0123456789abcdef");
}

static void strangers_things_are_replaced_and_never_read(void **state)
{
    struct fixture *fixture = *state;

    need_root();
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(lchown(in_target(fixture, "client.crt"), STRANGER, STRANGER), 0);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_HEALED);
    assert_int_equal(stat_of(in_target(fixture, "client.crt")).st_uid, 0);

    assert_int_equal(lchown(in_target(fixture, "..data"), STRANGER, STRANGER), 0);
    assert_int_equal(fixture_read(fixture), -1);
    assert_int_equal(fixture->err.code, ERR_TARGET_INVALID);
    assert_non_null(strstr(fixture->err.reason, "..data belongs to uid 4321, a stranger"));
    assert_true(fixture_install(fixture, 1) >= 0);
    assert_int_equal(stat_of(in_target(fixture, "..data")).st_uid, 0);
    assert_installed(fixture, 1);

    assert_int_equal(chown(in_target(fixture, "..data"), STRANGER, STRANGER), 0);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_HEALED);
    assert_installed(fixture, 2);
}

/* Nothing that a stranger makes first decides whether we go on, in a directory open to all. */
static void names_taken_by_a_stranger_keep_nobody_out(void **state)
{
    static const char *const names[] = {"..data",     "..agent",     "client.key",
                                        "..data.tmp", "..agent.tmp", "..lock"};
    struct fixture *fixture = *state;
    char path[256];

    need_root();
    assert_int_equal(chmod(fixture->dir, 01777), 0);
    fixture->target.lock_dir = fixture->dir; /* refused, where all may write: in the target then */
    assert_int_equal(fixture_install(fixture, 1), -1);
    assert_int_equal(fixture->err.code, ERR_TARGET_INVALID);
    fixture->target.lock_dir = fixture->locks;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/x", names[i]);
        assert_int_equal(mkdir(in_target(fixture, names[i]), 0700), 0);
        assert_int_equal(mkdir(in_target(fixture, path), 0700), 0);
        assert_int_equal(chown(in_target(fixture, names[i]), STRANGER, STRANGER), 0);
    }
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(number_in(fixture, "client.key"), 1);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    assert_int_equal(pinned_pair(fixture), 2);
}

static void set_of_whomever_is_swept(void **state)
{
    struct fixture *fixture = *state;

    need_root();
    assert_int_equal(mkdir(in_target(fixture, "..set-0123456789abcdef"), 0755), 0);
    put_file(in_target(fixture, "..set-0123456789abcdef/client.key"), "of a former owner");
    assert_int_equal(chown(in_target(fixture, "..set-0123456789abcdef"), STRANGER, 0), 0);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(count_sets(fixture), 1);
    assert_false(was_logged(fixture, "sweep_failed"));
}

static void owners_that_change_are_healed(void **state)
{
    static const struct {
        bool set;
        uid_t owner;
        gid_t group;
    } rows[] = {{true, 1000, 1000}, {true, 2000, 1000}, {true, 2000, 2000}, {true, 0, 2000},
                {false, 0, 0},      {true, 1000, 1000}, {false, 0, 0}};
    struct fixture *fixture = *state;

    need_root();
    fixture->target.key_mode = 0640;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture->target.owner_set = rows[i].set;
        fixture->target.owner = rows[i].owner;
        fixture->target.group = rows[i].group;
        assert_int_equal(fixture_install(fixture, 1), INSTALL_HEALED);
        assert_installed(fixture, 1);
        assert_int_equal(stat_of(in_target(fixture, "..data/client.key")).st_gid, rows[i].group);
        assert_int_equal(fixture_install(fixture, 1), INSTALL_UNCHANGED);
    }
}

static void agent_that_becomes_another_user_goes_on(void **state)
{
    struct fixture *fixture = *state;

    need_root();
    fixture->target.lock_dir = fixture->dir;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    give_to_stranger(fixture);
    fixture->prepare = become_stranger;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_HEALED);
    assert_int_equal(stat_of(in_target(fixture, "..data/client.key")).st_uid, STRANGER);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_UNCHANGED);
    assert_true(was_logged(fixture, "sweep_failed") || count_sets(fixture) <= 2);
}

static void assert_refused_for_others(struct fixture *fixture, const char *why)
{
    assert_refused(fixture, 2, why);
    assert_false(was_logged(fixture, "target_writable_by_others"));
    fixture->target.others_accepted = true;
    assert_true(fixture_install(fixture, 1) >= 0);
    assert_true(was_logged(fixture, "target_writable_by_others"));
    fixture->target.others_accepted = false;
    forget_log(fixture);
}

static void directory_open_to_others_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char why[256];

    assert_int_equal(chmod(fixture->dir, 01777), 0);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    (void)snprintf(why, sizeof why, "run: chmod go-w %s,", fixture->dir);
    assert_int_equal(chmod(fixture->dir, 0777), 0);
    assert_refused_for_others(fixture, why);
    assert_int_equal(chmod(fixture->dir, 0775), 0);
    assert_refused_for_others(fixture, why);
    fixture->target.dir_mode = 0775; /* which says that the group may */
    assert_int_equal(fixture_install(fixture, 1), INSTALL_UNCHANGED);
    fixture->target.dir_mode = 0755;
    assert_int_equal(chmod(fixture->dir, 0755), 0);
    if (geteuid() == 0) {
        (void)snprintf(why, sizeof why, "%s belongs to uid 4321, who may", fixture->dir);
        assert_int_equal(chown(fixture->dir, STRANGER, STRANGER), 0);
        assert_refused_for_others(fixture, why);
        assert_int_equal(chown(fixture->dir, 0, 0), 0);
    }
    assert_int_equal(fixture_install(fixture, 1), INSTALL_UNCHANGED);
}

static void directory_open_to_others_is_not_written_to(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(chmod(fixture->dir, 0777), 0);
    fixture->target.sub = "new";
    assert_refused(fixture, 1, "run: chmod go-w ");
    assert_false(is_there(in_target(fixture, "new")));
}

static void path_to_no_directory(void **state)
{
    struct fixture *fixture = *state;

    put_file(in_target(fixture, "file"), "theirs 5\n");
    assert_int_equal(symlink("nowhere", in_target(fixture, "dangling")), 0);
    assert_int_equal(symlink("file", in_target(fixture, "to_file")), 0);
    assert_int_equal(symlink("loop", in_target(fixture, "loop")), 0);
    fixture->target.sub = "file";
    assert_refused(fixture, 1, "file is not a directory");
    fixture->target.sub = "dangling";
    assert_refused(fixture, 1, "dangling is a symbolic link to no directory");
    assert_int_equal(fixture_read(fixture), -1);
    assert_int_equal(fixture->err.code, ERR_TARGET_INVALID);
    fixture->target.sub = "to_file";
    assert_refused(fixture, 1, "to_file is a symbolic link to no directory");
    fixture->target.sub = "loop";
    assert_refused(fixture, 1, "loop is a symbolic link to no directory");
    assert_int_equal(number_in(fixture, "file"), 5);
    assert_int_equal(access(in_target(fixture, "nowhere"), F_OK), -1);
}

static void links_on_the_way(void **state)
{
    struct fixture *fixture = *state;
    char path[128];

    (void)snprintf(path, sizeof path, "%s/link/deep", fixture->base);
    fixture->target.dir = path;
    (void)snprintf(path, sizeof path, "%s/link", fixture->base);
    assert_int_equal(symlink("target", path), 0);
    if (geteuid() == 0) {
        assert_int_equal(lchown(path, STRANGER, STRANGER), 0);
        assert_refused(fixture, 1, "belongs to a stranger");
        assert_int_equal(lchown(path, 0, 0), 0);
    }
    (void)snprintf(path, sizeof path, "%s/link/deep", fixture->base);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(number_in(fixture, "deep/client.key"), 1);
}

/* A link of ours leads to a stranger's directory, whose own link leads on. */
static void links_texts_are_walked_name_by_name(void **state)
{
    struct fixture *fixture = *state;
    char path[160], text[160];

    need_root();
    assert_int_equal(mkdir(in_target(fixture, "theirs"), 0755), 0);
    assert_int_equal(mkdir(in_target(fixture, "victim"), 0755), 0);
    assert_int_equal(symlink("../victim", in_target(fixture, "theirs/inner")), 0);
    assert_int_equal(lchown(in_target(fixture, "theirs/inner"), STRANGER, STRANGER), 0);
    assert_int_equal(chown(in_target(fixture, "theirs"), STRANGER, STRANGER), 0);
    (void)snprintf(text, sizeof text, "%s/theirs/inner", fixture->dir);
    assert_int_equal(symlink(text, in_target(fixture, "absolute")), 0);
    assert_int_equal(symlink("theirs/inner", in_target(fixture, "relative")), 0);
    assert_int_equal(symlink("./absolute/.", in_target(fixture, "twice")), 0);
    static const char *const links[] = {"absolute", "relative", "twice"};
    for (size_t i = 0; i < 3; i++) {
        fixture->target.sub = links[i];
        fixture->target.others_accepted = true; /* so that it is the link that counts */
        assert_refused(fixture, 1, "theirs/inner is a symbolic link that belongs to a stranger");
        fixture->target.others_accepted = false;
    }
    assert_int_equal(access(in_target(fixture, "victim/..data"), F_OK), -1);

    assert_int_equal(lchown(in_target(fixture, "theirs/inner"), 0, 0), 0);
    assert_int_equal(chown(in_target(fixture, "theirs"), 0, 0), 0);
    (void)snprintf(path, sizeof path, "%s", "twice");
    fixture->target.sub = path;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(number_in(fixture, "victim/client.key"), 1);
}

static void directory_without_permission(void **state)
{
    struct fixture *fixture = *state;

    need_root();
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    fixture->prepare = become_stranger;
    assert_int_equal(fixture_install(fixture, 2), -1);
    assert_int_equal(fixture->err.code, ERR_INSTALL_FAILED);
    assert_non_null(strstr(fixture->err.reason, "Permission denied"));
    fixture->target.sub = "new";
    assert_int_equal(fixture_install(fixture, 2), -1);
    assert_int_equal(fixture->err.code, ERR_INSTALL_FAILED);
    assert_non_null(strstr(fixture->err.reason, "new cannot be created: Permission denied"));
    fixture->target.sub = "";
    assert_installed(fixture, 1);
}

static void agent_without_privileges(void **state)
{
    struct fixture *fixture = *state;

    need_root();
    give_to_stranger(fixture);
    fixture->prepare = become_stranger;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_UNCHANGED);
    assert_int_equal(fixture_read(fixture), 0);
    fixture->target.owner_set = true;
    fixture->target.owner = fixture->target.group = 0;
    assert_int_equal(fixture_install(fixture, 2), -1); /* it cannot give files away */
    assert_int_equal(fixture->err.code, ERR_INSTALL_FAILED);
    fixture->target.owner = fixture->target.group = STRANGER;
    assert_installed(fixture, 1);
    assert_int_equal(count_sets(fixture), 1);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(other_kinds_than_files_are_refused_by_name),
        ROW(link_that_is_somebodys_own_is_refused),
        ROW(data_that_is_not_ours_is_refused),
        ROW(strangers_things_are_replaced_and_never_read),
        ROW(names_taken_by_a_stranger_keep_nobody_out),
        ROW(set_of_whomever_is_swept),
        ROW(owners_that_change_are_healed),
        ROW(agent_that_becomes_another_user_goes_on),
        ROW(directory_open_to_others_is_refused),
        ROW(directory_open_to_others_is_not_written_to),
        ROW(path_to_no_directory),
        ROW(links_on_the_way),
        ROW(links_texts_are_walked_name_by_name),
        ROW(directory_without_permission),
        ROW(agent_without_privileges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
