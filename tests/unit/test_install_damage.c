/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "install_fixture.h"

static void content_changed(struct fixture *fixture)
{
    put_file(in_target(fixture, "..data/client.crt"), "cert 2\n");
}

static void key_cut(struct fixture *fixture)
{
    assert_int_equal(truncate(in_target(fixture, "..data/client.key"), 3), 0);
}

static void file_lengthened(struct fixture *fixture)
{
    put_file(in_target(fixture, "..data/ca.crt"), "ca 1\nmore\n");
}

static void file_missing(struct fixture *fixture)
{
    assert_int_equal(unlink(in_target(fixture, "..data/client.key")), 0);
}

static void file_is_a_link(struct fixture *fixture)
{
    assert_int_equal(rename(in_target(fixture, "..data/client.key"), in_target(fixture, "key")), 0);
    assert_int_equal(symlink("../key", in_target(fixture, "..data/client.key")), 0);
}

static void file_is_a_directory(struct fixture *fixture)
{
    file_missing(fixture);
    assert_int_equal(mkdir(in_target(fixture, "..data/client.key"), 0755), 0);
}

static void file_is_a_fifo(struct fixture *fixture)
{
    file_missing(fixture);
    assert_int_equal(mkfifo(in_target(fixture, "..data/client.key"), 0600), 0);
}

static void key_mode_wrong(struct fixture *fixture)
{
    assert_int_equal(chmod(in_target(fixture, "..data/client.key"), 0644), 0);
}

static void cert_mode_wrong(struct fixture *fixture)
{
    assert_int_equal(chmod(in_target(fixture, "..data/ca.crt"), 0600), 0);
}

static void set_mode_wrong(struct fixture *fixture)
{
    assert_int_equal(chmod(in_target(fixture, "..data"), 0700), 0);
}

static void owner_wrong(struct fixture *fixture)
{
    if (geteuid() == 0)
        assert_int_equal(chown(in_target(fixture, "..data/client.key"), 4321, 4321), 0);
    else
        key_mode_wrong(fixture);
}

static void link_missing(struct fixture *fixture)
{
    assert_int_equal(unlink(in_target(fixture, "client.key")), 0);
}

static void link_is_a_file(struct fixture *fixture)
{
    link_missing(fixture);
    put_file(in_target(fixture, "client.key"), "key 9\n");
}

static void link_to_elsewhere(struct fixture *fixture)
{
    link_missing(fixture);
    assert_int_equal(symlink("/etc/passwd", in_target(fixture, "client.key")), 0);
}

static void data_missing(struct fixture *fixture)
{
    assert_int_equal(unlink(in_target(fixture, "..data")), 0);
}

static void set_gone(struct fixture *fixture)
{
    const char *name = link_in(fixture, "..data");

    /* to a name that no sweep knows */
    assert_int_equal(rename(in_target(fixture, name), in_target(fixture, name + 6)), 0);
}

static void manifest_cut(struct fixture *fixture)
{
    assert_int_equal(truncate(in_target(fixture, "..data/manifest"), 40), 0);
}

static void manifest_missing(struct fixture *fixture)
{
    assert_int_equal(unlink(in_target(fixture, "..data/manifest")), 0);
}

static void manifest_with_more(struct fixture *fixture)
{
    int fd = open(in_target(fixture, "..data/manifest"), O_WRONLY | O_APPEND | O_CLOEXEC);

    assert_int_equal(write(fd, "more\n", 5), 5);
    close(fd);
}

static void manifest_writable(struct fixture *fixture)
{
    assert_int_equal(chmod(in_target(fixture, "..data/manifest"), 0666), 0);
}

static void each_damage_is_healed(void **state)
{
    static const struct {
        const char *name;
        void (*damage)(struct fixture *);
    } rows[] = {
        {"content_changed", content_changed},
        {"key_cut", key_cut},
        {"file_lengthened", file_lengthened},
        {"file_missing", file_missing},
        {"file_is_a_link", file_is_a_link},
        {"file_is_a_directory", file_is_a_directory},
        {"file_is_a_fifo", file_is_a_fifo},
        {"key_mode_wrong", key_mode_wrong},
        {"cert_mode_wrong", cert_mode_wrong},
        {"set_mode_wrong", set_mode_wrong},
        {"owner_wrong", owner_wrong},
        {"link_missing", link_missing},
        {"link_is_a_file", link_is_a_file},
        {"link_to_elsewhere", link_to_elsewhere},
        {"data_missing", data_missing},
        {"set_gone", set_gone},
        {"manifest_cut", manifest_cut},
        {"manifest_missing", manifest_missing},
        {"manifest_with_more", manifest_with_more},
        {"manifest_writable", manifest_writable},
    };
    void *own;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(fixture_setup(&own), 0);
        assert_int_equal(fixture_install(own, 3), INSTALL_DONE); /* a previous set */
        assert_int_equal(fixture_install(own, 1), INSTALL_DONE);
        rows[i].damage(own);
        if (fixture_install(own, 1) != INSTALL_HEALED)
            fail_msg("%s was not healed", rows[i].name);
        assert_installed(own, 1);
        assert_int_equal(fixture_install(own, 1), INSTALL_UNCHANGED);

        rows[i].damage(own);
        if (fixture_install(own, 2) < 0)
            fail_msg("no new version over %s", rows[i].name);
        assert_installed(own, 2);
        fixture_teardown(&own);
    }
}

static void set_that_showed_its_key_is_not_kept(void **state)
{
    struct fixture *fixture = *state;
    char first[64], second[64];

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    (void)snprintf(first, sizeof first, "%s", link_in(fixture, "..data"));
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    (void)snprintf(second, sizeof second, "%s", link_in(fixture, "..data"));
    key_mode_wrong(fixture);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_HEALED);
    assert_string_not_equal(link_in(fixture, "..data"), second);
    assert_int_equal(count_sets(fixture), 2);
    assert_string_equal(previous_set(fixture), first);
}

static void whole_set_stays_when_its_links_are_healed(void **state)
{
    struct fixture *fixture = *state;
    char set[64];

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    (void)snprintf(set, sizeof set, "%s", link_in(fixture, "..data"));
    link_is_a_file(fixture);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_HEALED);
    assert_installed(fixture, 1);
    assert_string_equal(link_in(fixture, "..data"), set);
    assert_int_equal(count_sets(fixture), 1);
}

static void modes_and_files_follow_the_configuration(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    fixture->target.key_mode = 0640;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_HEALED);
    assert_installed(fixture, 1);
    fixture->file_count = 4;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_HEALED);
    assert_installed(fixture, 1);
}

static void leftovers_of_a_killed_run_are_swept(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(mkdir(in_target(fixture, "..set-00000000deadbeef"), 0700), 0);
    put_file(in_target(fixture, "..set-00000000deadbeef/client.key"), "half");
    assert_int_equal(symlink("..set-00000000deadbeef", in_target(fixture, "..data.tmp")), 0);
    put_file(in_target(fixture, "..agent.tmp"), "half");
    assert_int_equal(
        symlink("..set-00000000deadbeef", in_target(fixture, "..tmp-00000000deadbeef")), 0);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_UNCHANGED);
    assert_int_equal(count_sets(fixture), 1);
    assert_installed(fixture, 1);
    assert_false(is_there(in_target(fixture, "..agent.tmp")));
}

/* Mounts a small file system on the target, in a namespace that goes with this process. */
static bool mount_small(struct fixture *fixture)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", fixture->dir, "tmpfs", 0, "size=64k,mode=0755") == 0;
}

enum { NOT_PERMITTED = 77 };

/* Runs steps in a process of its own; they give 0, or the line that failed. */
static void run_mounted(struct fixture *fixture, int (*steps)(struct fixture *))
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(mount_small(fixture) ? steps(fixture) : NOT_PERMITTED);
    status = fixture_wait(pid);
    if (status == NOT_PERMITTED) {
        print_message("skipped: mount(2) is not permitted here\n");
        skip();
    }
    if (status != 0)
        fail_msg("step %d, then \"%s\"", status, fixture->err.reason);
}

#define STEP(number, condition)                                                                    \
    do                                                                                             \
        if (!(condition))                                                                          \
            return number;                                                                         \
    while (0)

static int full_steps(struct fixture *fixture)
{
    static const char page[4096];
    int fd = open(in_target(fixture, "filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    off_t size = 0;

    STEP(1, fixture_install(fixture, 1) == INSTALL_DONE);
    while (write(fd, page, sizeof page) == sizeof page)
        size += (off_t)sizeof page;
    for (int room = 0; room < 4; room++) { /* pages; a set takes four, one a file */
        STEP(2, ftruncate(fd, size - room * (off_t)sizeof page) == 0);
        STEP(3, fixture_install(fixture, 2) == -1);
        STEP(4, fixture->err.code == ERR_INSTALL_FAILED);
        STEP(5, strstr(fixture->err.reason, "No space left on device"));
        STEP(6, pinned_pair(fixture) == 1 && count_sets(fixture) == 1);
        STEP(7, fixture_install(fixture, 1) == INSTALL_UNCHANGED);
    }
    STEP(8, ftruncate(fd, 0) == 0 && fixture_install(fixture, 2) == INSTALL_DONE);
    STEP(9, pinned_pair(fixture) == 2);
    return 0;
}

static void full_file_system(void **state)
{
    run_mounted(*state, full_steps);
}

static int read_only_steps(struct fixture *fixture)
{
    STEP(1, fixture_install(fixture, 1) == INSTALL_DONE);
    STEP(2, mount("none", fixture->dir, "none", MS_REMOUNT | MS_RDONLY, NULL) == 0);
    STEP(3, fixture_install(fixture, 2) == -1);
    STEP(4, fixture->err.code == ERR_INSTALL_FAILED);
    STEP(5, strstr(fixture->err.reason, "Read-only file system"));
    STEP(6, fixture_install(fixture, 1) == INSTALL_UNCHANGED);
    fixture->target.sub = "new";
    STEP(7, fixture_install(fixture, 1) == -1);
    STEP(8, fixture->err.code == ERR_INSTALL_FAILED);
    return 0;
}

static void read_only_file_system(void **state)
{
    run_mounted(*state, read_only_steps);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_damage_is_healed),
        ROW(set_that_showed_its_key_is_not_kept),
        ROW(whole_set_stays_when_its_links_are_healed),
        ROW(modes_and_files_follow_the_configuration),
        ROW(leftovers_of_a_killed_run_are_swept),
        ROW(full_file_system),
        ROW(read_only_file_system),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
