/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
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

#include "base/clock.h"
#include "install_fixture.h"

static void strict_umask(struct fixture *fixture)
{
    (void)fixture;
    umask(geteuid() == 0 ? 0777 : 0077);
}

static void loose_umask(struct fixture *fixture)
{
    (void)fixture;
    umask(0);
}

static void first_set(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_installed(fixture, 1);
    assert_int_equal(count_sets(fixture), 1);
}

static void umask_does_not_matter(void **state)
{
    struct fixture *fixture = *state;
    char path[128];

    (void)snprintf(path, sizeof path, "%s/new/below", fixture->dir);
    fixture->target.dir = path;
    fixture->prepare = strict_umask;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(stat_of(in_target(fixture, "new")).st_mode & 07777, 0755);
    assert_int_equal(stat_of(in_target(fixture, "new/below")).st_mode & 07777, 0755);
    fixture->target.dir = fixture->dir;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_installed(fixture, 1);
    fixture->prepare = loose_umask;
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    assert_installed(fixture, 2);
}

static void same_set_writes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct stat dir, now, data, key;

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    dir = stat_of(fixture->dir);
    data = stat_of(in_target(fixture, "..data"));
    key = stat_of(in_target(fixture, "..data/client.key"));
    clock_sleep(20, INT64_MAX);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_UNCHANGED);
    assert_installed(fixture, 2);
    now = stat_of(fixture->dir);
    assert_memory_equal(&dir.st_ctim, &now.st_ctim, sizeof dir.st_ctim);
    assert_int_equal(data.st_ino, stat_of(in_target(fixture, "..data")).st_ino);
    assert_int_equal(key.st_ino, stat_of(in_target(fixture, "..data/client.key")).st_ino);
}

static void new_version_is_installed_though_its_content_is_the_same(void **state)
{
    struct fixture *fixture = *state;

    fixture->version_id = "one";
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    fixture->version_id = "two";
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(fixture_read(fixture), 0);
    assert_string_equal(fixture->facts.version_ids[0], "two");
}

static void put_overlap(struct fixture *fixture, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        fixture->overlap[i] = (struct install_overlap){.until = 2000000000 + (int64_t)i};
    for (i = 0; i < count; i++)
        (void)snprintf(fixture->overlap[i].digest, sizeof fixture->overlap[i].digest, "%064zx", i);
    fixture->overlap_count = count;
}

static void overlap_is_read_as_it_was_written(void **state)
{
    struct fixture *fixture = *state;

    put_overlap(fixture, INSTALL_OVERLAP_MAX);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_UNCHANGED);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE); /* with a line "previous" */
    assert_int_equal(fixture_install(fixture, 2), INSTALL_UNCHANGED);
    assert_int_equal(fixture_read(fixture), 0);
    assert_int_equal(fixture->facts.overlap_count, INSTALL_OVERLAP_MAX);
    assert_memory_equal(fixture->facts.overlap, fixture->overlap, sizeof fixture->overlap);
}

static void the_end_of_an_overlap_is_told_from_damage(void **state)
{
    struct fixture *fixture = *state;

    put_overlap(fixture, 2);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    put_overlap(fixture, 1);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_OVERLAP_ENDED);
    fixture->overlap[0].until--;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_HEALED);
    put_overlap(fixture, 0);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_OVERLAP_ENDED);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_UNCHANGED);
}

static void previous_set_is_kept_and_no_older_one(void **state)
{
    struct fixture *fixture = *state;
    char second[64];

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    assert_int_equal(count_sets(fixture), 2);
    (void)snprintf(second, sizeof second, "%s", link_in(fixture, "..data"));
    assert_int_equal(fixture_install(fixture, 3), INSTALL_DONE);
    assert_int_equal(count_sets(fixture), 2);
    assert_string_equal(previous_set(fixture), second);
    assert_int_equal(fixture_install(fixture, 3), INSTALL_UNCHANGED);
    assert_string_equal(previous_set(fixture), second);
}

static void previous_set_goes_after_its_time(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    age_swap(fixture, 3590);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_UNCHANGED);
    assert_int_equal(count_sets(fixture), 2);
    age_swap(fixture, 3601);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_UNCHANGED);
    assert_int_equal(count_sets(fixture), 1);
    assert_installed(fixture, 2);
}

static void previous_set_goes_at_once_when_none_is_to_be_kept(void **state)
{
    struct fixture *fixture = *state;

    fixture->target.keep_previous_ms = 0;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    assert_int_equal(count_sets(fixture), 1);
    assert_installed(fixture, 2);
}

static void previous_set_goes_at_once_when_it_has_expired(void **state)
{
    struct fixture *fixture = *state;

    fixture->not_after = clock_wall() - 1;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    fixture->not_after = clock_wall() + 86400;
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    assert_int_equal(count_sets(fixture), 1);
    assert_installed(fixture, 2);
}

static void owner_and_modes_as_configured(void **state)
{
    struct fixture *fixture = *state;

    if (geteuid() != 0) {
        print_message("skipped: only root gives files away\n");
        skip();
    }
    fixture->target.owner_set = true;
    fixture->target.owner = 1234;
    fixture->target.group = 2345;
    fixture->target.key_mode = 0640;
    fixture->target.cert_mode = 0444;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_installed(fixture, 1);
    assert_int_equal(stat_of(in_target(fixture, "..data/client.key")).st_uid, 1234);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_UNCHANGED);
    assert_int_equal(stat_of(fixture->dir).st_uid, 0);
}

static void directories_are_made_and_existing_ones_left(void **state)
{
    struct fixture *fixture = *state;
    char path[128];

    (void)snprintf(path, sizeof path, "%s//a/./b/", fixture->dir);
    assert_int_equal(chmod(fixture->dir, 0711), 0);
    fixture->target.dir = path;
    fixture->target.sub = "edge";
    fixture->target.dir_mode = 0750;
    if (geteuid() == 0) {
        fixture->target.owner_set = true;
        fixture->target.owner = 1234;
        fixture->target.group = 2345;
    }
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(number_in(fixture, "a/b/edge/client.key"), 1);
    assert_int_equal(stat_of(fixture->dir).st_mode & 07777, 0711);
    assert_int_equal(stat_of(in_target(fixture, "a")).st_mode & 07777, 0750);
    assert_int_equal(stat_of(in_target(fixture, "a/b/edge")).st_mode & 07777, 0750);
    if (geteuid() == 0) { /* the group may pass, the owner may not rename */
        assert_int_equal(stat_of(in_target(fixture, "a/b/edge")).st_uid, 0);
        assert_int_equal(stat_of(in_target(fixture, "a/b/edge")).st_gid, 2345);
    }
}

static void path_that_cannot_be_one(void **state)
{
    static const char *const subs[] = {"a/b", "..", "..data", "/"};
    static const char *const dirs[] = {"relative", "/tmp/../tmp/x", ""};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof subs / sizeof *subs; i++) {
        fixture->target.sub = subs[i];
        assert_int_equal(fixture_install(fixture, 1), -1);
        assert_int_equal(fixture->err.code, ERR_TARGET_INVALID);
    }
    fixture->target.sub = "";
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        fixture->target.dir = dirs[i];
        assert_int_equal(fixture_install(fixture, 1), -1);
        assert_int_equal(fixture->err.code, ERR_TARGET_INVALID);
    }
}

static void root_is_put_in_front(void **state)
{
    struct fixture *fixture = *state;

    fixture->target.root = fixture->dir;
    fixture->target.dir = "/etc/ecs/mtls";
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(number_in(fixture, "etc/ecs/mtls/client.crt"), 1);
    assert_int_equal(symlink("/etc", in_target(fixture, "link")), 0);
    fixture->target.dir = "/link/mtls";
    assert_int_equal(fixture_install(fixture, 1), -1);
    assert_int_equal(fixture->err.code, ERR_TARGET_INVALID);
    assert_non_null(strstr(fixture->err.reason, "link is a symbolic link"));
}

static void foreign_files_are_left_alone(void **state)
{
    static const char *const files[] = {"..status.json", "notes.txt", "..set-notes", "app.pem"};
    static const char *const dirs[] = {"..2024_05_01_10_00_00.123", "..set-0123",
                                       "..set-0123456789ABCDEF", "sub"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < 4; i++) {
        put_file(in_target(fixture, files[i]), "theirs 77\n");
        assert_int_equal(mkdir(in_target(fixture, dirs[i]), 0700), 0);
    }
    assert_int_equal(symlink("..data/client.crt", in_target(fixture, "tls.crt")), 0);
    assert_int_equal(symlink("nowhere", in_target(fixture, "dangling")), 0);
    for (int number = 1; number < 4; number++)
        assert_int_equal(fixture_install(fixture, number), INSTALL_DONE);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(number_in(fixture, files[i]), 77);
        assert_true(S_ISDIR(stat_of(in_target(fixture, dirs[i])).st_mode));
    }
    assert_int_equal(number_in(fixture, "tls.crt"), 3);
    assert_string_equal(link_in(fixture, "dangling"), "nowhere");
}

static void link_of_a_file_that_left_the_set_goes(void **state)
{
    struct fixture *fixture = *state;

    fixture->file_count = 4;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(number_in(fixture, "server.crt"), 1);
    fixture->file_count = 3;
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    assert_false(is_there(in_target(fixture, "server.crt")));
    fixture->file_count = 4;
    assert_int_equal(fixture_install(fixture, 3), INSTALL_DONE);
    assert_int_equal(number_in(fixture, "server.crt"), 3);
}

static void version_id_that_would_forge_the_manifest_is_refused(void **state)
{
    static const char *const ids[] = {"", "a b", "a\nfile client.key", "\x01", "caf\xc3\xa9"};
    struct fixture *fixture = *state;

    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        fixture->version_id = ids[i];
        assert_int_equal(fixture_install(fixture, 2), -1);
        assert_int_equal(fixture->err.code, ERR_INSTALL_FAILED);
    }
    assert_installed(fixture, 1);
    assert_int_equal(count_sets(fixture), 1);
}

static void plain_files_are_adopted(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    struct stat key;

    fixture_put_plain(fixture, 50);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_ADOPTED);
    assert_installed(fixture, 1);
    assert_int_equal(count_sets(fixture), 2);

    (void)snprintf(path, sizeof path, "%s/client.key", previous_set(fixture));
    assert_int_equal(number_in(fixture, path), 50);
    key = stat_of(in_target(fixture, path));
    assert_int_equal(key.st_mode & 07777, 0640);
    if (geteuid() == 0)
        assert_int_equal(key.st_uid, 1000);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_UNCHANGED);
    assert_true(is_there(in_target(fixture, path)));
    age_swap(fixture, 3601);
    assert_int_equal(fixture_install(fixture, 1), INSTALL_UNCHANGED);
    assert_false(is_there(in_target(fixture, path)));
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(first_set),
        ROW(umask_does_not_matter),
        ROW(same_set_writes_nothing),
        ROW(new_version_is_installed_though_its_content_is_the_same),
        ROW(overlap_is_read_as_it_was_written),
        ROW(the_end_of_an_overlap_is_told_from_damage),
        ROW(previous_set_is_kept_and_no_older_one),
        ROW(previous_set_goes_after_its_time),
        ROW(previous_set_goes_at_once_when_none_is_to_be_kept),
        ROW(previous_set_goes_at_once_when_it_has_expired),
        ROW(owner_and_modes_as_configured),
        ROW(directories_are_made_and_existing_ones_left),
        ROW(path_that_cannot_be_one),
        ROW(root_is_put_in_front),
        ROW(foreign_files_are_left_alone),
        ROW(link_of_a_file_that_left_the_set_goes),
        ROW(version_id_that_would_forge_the_manifest_is_refused),
        ROW(plain_files_are_adopted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
