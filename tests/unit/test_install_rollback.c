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

#include "base/clock.h"
#include "install/install_rollback.h"
#include "install_fixture.h"

/* Goes back to the set that the last read_previous() was of, or with number 0 to whichever. */
static int rollback_here(struct fixture *fixture, int number)
{
    fixture->err = (struct err){0};
    return install_rollback(&fixture->target, number ? fixture->facts.set : NULL, &fixture->err);
}

static int rollback(struct fixture *fixture)
{
    return fixture_run(fixture, rollback_here, 0);
}

static int read_previous_here(struct fixture *fixture, int unused)
{
    struct bundle bundle = {0};
    int result;

    (void)unused;
    fixture->err = (struct err){0};
    result = install_read_previous(&fixture->target, &bundle, &fixture->facts, &fixture->err);
    fixture_take(fixture, &bundle);
    return result;
}

static int read_previous(struct fixture *fixture)
{
    return fixture_run(fixture, read_previous_here, 0);
}

static void install_two(struct fixture *fixture)
{
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
}

static const char *in_previous(const struct fixture *fixture, const char *name)
{
    char path[96];

    (void)snprintf(path, sizeof path, "%s/%s", previous_set(fixture), name);
    return in_target(fixture, path);
}

/* Both ways to the set before say the same, and nothing has changed by that. */
static void assert_no_way_back(struct fixture *fixture, enum err_code code, const char *why)
{
    char current[64];
    int sets = count_sets(fixture);

    (void)snprintf(current, sizeof current, "%s", link_in(fixture, "..data"));
    assert_int_equal(read_previous(fixture), -1);
    assert_int_equal(fixture->err.code, code);
    if (!strstr(fixture->err.reason, why))
        fail_msg("\"%s\" does not say \"%s\"", fixture->err.reason, why);
    for (int i = 0; i < BUNDLE_FIELDS; i++)
        assert_string_equal(fixture->field[i], "");
    assert_int_equal(rollback(fixture), -1);
    assert_int_equal(fixture->err.code, code);
    assert_string_equal(link_in(fixture, "..data"), current);
    assert_int_equal(count_sets(fixture), sets);
}

static void set_before_comes_back(void **state)
{
    struct fixture *fixture = *state;
    char first[64];

    fixture->file_count = 5;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    (void)snprintf(first, sizeof first, "%s", link_in(fixture, "..data"));
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    assert_int_equal(rollback(fixture), 0);
    assert_installed(fixture, 1);
    assert_string_equal(link_in(fixture, "..data"), first);
    assert_int_equal(count_sets(fixture), 1);
    assert_no_way_back(fixture, ERR_NO_PREVIOUS, "replaced no other");

    assert_int_equal(fixture_install(fixture, 1), INSTALL_UNCHANGED);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    assert_installed(fixture, 2);
    assert_int_equal(rollback(fixture), 0);
    assert_installed(fixture, 1);
}

static void set_before_is_read_as_it_was_installed(void **state)
{
    struct fixture *fixture = *state;

    install_two(fixture);
    assert_int_equal(read_previous(fixture), 0);
    assert_string_equal(fixture->field[BUNDLE_CLIENT_CERT], "cert 1\n");
    assert_string_equal(fixture->field[BUNDLE_CLIENT_KEY], "key 1\n");
    assert_string_equal(fixture->field[BUNDLE_CA_CERT], "ca 1\n");
    assert_string_equal(fixture->field[BUNDLE_SERVER_CERT], "");
    assert_string_equal(fixture->facts.version_ids[0], "version-1");
    assert_string_equal(fixture->facts.set, previous_set(fixture));
    assert_int_equal(strlen(fixture->facts.version), 64);
    assert_installed(fixture, 2);
    assert_int_equal(count_sets(fixture), 2);
}

/* What was proved must be what comes into place. */
static void another_set_than_the_one_that_was_read_is_refused(void **state)
{
    struct fixture *fixture = *state;

    install_two(fixture);
    assert_int_equal(read_previous(fixture), 0);
    assert_int_equal(fixture_install(fixture, 3), INSTALL_DONE);
    assert_int_equal(fixture_run(fixture, rollback_here, 1), -1);
    assert_int_equal(fixture->err.code, ERR_NO_PREVIOUS);
    assert_installed(fixture, 3);
    assert_int_equal(read_previous(fixture), 0);
    assert_int_equal(fixture_run(fixture, rollback_here, 1), 0);
    assert_installed(fixture, 2);
}

static void links_are_those_of_the_set_that_came_back(void **state)
{
    struct fixture *fixture = *state;

    fixture->file_count = 4;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    fixture->file_count = 3;
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    assert_false(is_there(in_target(fixture, "server.crt")));
    fixture->file_count = 4;
    assert_int_equal(rollback(fixture), 0);
    assert_installed(fixture, 1);

    fixture->file_count = 5;
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    assert_true(is_there(in_target(fixture, "client.pem")));
    assert_int_equal(rollback(fixture), 0);
    assert_false(is_there(in_target(fixture, "client.pem")));
    fixture->file_count = 4;
    assert_installed(fixture, 1);
}

static void link_that_is_damaged_is_healed_on_the_way(void **state)
{
    struct fixture *fixture = *state;

    install_two(fixture);
    assert_int_equal(unlink(in_target(fixture, "client.key")), 0);
    put_file(in_target(fixture, "client.key"), "key 9\n");
    assert_int_equal(unlink(in_target(fixture, "ca.crt")), 0);
    assert_int_equal(rollback(fixture), 0);
    assert_installed(fixture, 1);
}

static void name_that_cannot_be_a_link_is_refused(void **state)
{
    struct fixture *fixture = *state;

    install_two(fixture);
    assert_int_equal(unlink(in_target(fixture, "client.key")), 0);
    assert_int_equal(mkdir(in_target(fixture, "client.key"), 0700), 0);
    assert_int_equal(rollback(fixture), -1);
    assert_int_equal(fixture->err.code, ERR_TARGET_INVALID);
    assert_non_null(strstr(fixture->err.reason, "client.key is no regular file"));
    assert_int_equal(pinned_pair(fixture), 2);
    assert_int_equal(count_sets(fixture), 2);
}

static void content_changed(struct fixture *fixture)
{
    put_file(in_previous(fixture, "client.crt"), "cert 2\n");
}

static void key_missing(struct fixture *fixture)
{
    assert_int_equal(unlink(in_previous(fixture, "client.key")), 0);
}

static void key_is_a_link(struct fixture *fixture)
{
    assert_int_equal(rename(in_previous(fixture, "client.key"), in_target(fixture, "key")), 0);
    assert_int_equal(symlink("../key", in_previous(fixture, "client.key")), 0);
}

static void key_is_a_fifo(struct fixture *fixture)
{
    key_missing(fixture);
    assert_int_equal(mkfifo(in_previous(fixture, "client.key"), 0600), 0);
}

static void key_open_to_others(struct fixture *fixture)
{
    assert_int_equal(chmod(in_previous(fixture, "client.key"), 0644), 0);
}

static void combined_cut(struct fixture *fixture)
{
    assert_int_equal(truncate(in_previous(fixture, "client.pem"), 3), 0);
}

static void file_too_much(struct fixture *fixture)
{
    put_file(in_previous(fixture, "server.key"), "key 3\n");
    assert_int_equal(chmod(in_previous(fixture, "server.key"), 0600), 0);
}

static void set_open_to_others(struct fixture *fixture)
{
    assert_int_equal(chmod(in_previous(fixture, ""), 0777), 0);
}

static void manifest_missing(struct fixture *fixture)
{
    assert_int_equal(unlink(in_previous(fixture, "manifest")), 0);
}

static void manifest_cut(struct fixture *fixture)
{
    assert_int_equal(truncate(in_previous(fixture, "manifest"), 40), 0);
}

/* Lists one more file, with the digest of nothing. */
static void list_file(struct fixture *fixture, const char *name)
{
    char text[4096] = "", *at;
    int fd = open(in_previous(fixture, "manifest"), O_RDWR | O_CLOEXEC);
    FILE *file;

    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    at = strstr(text, "fingerprint ");
    assert_non_null(at);
    file = fopen(in_previous(fixture, "manifest"), "w");
    assert_non_null(file);
    assert_true(fprintf(file, "%.*sfile %s %064d\n%s", (int)(at - text), text, name, 0, at) > 0);
    assert_int_equal(fclose(file), 0);
}

static void manifest_leads_out(struct fixture *fixture)
{
    list_file(fixture, "../../escaped");
}

static void manifest_names_the_link(struct fixture *fixture)
{
    list_file(fixture, "..data");
}

static void set_removed(struct fixture *fixture)
{
    assert_int_equal(rename(in_previous(fixture, ""), in_target(fixture, "away")), 0);
}

static void set_expired(struct fixture *fixture)
{
    char path[96];

    (void)snprintf(path, sizeof path, "%s", in_previous(fixture, "manifest"));
    assert_int_equal(truncate(path, (off_t)stat_of(path).st_size - 11), 0); /* "NNNNNNNNNN\n" */
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

    assert_int_equal(write(fd, "1700000000\n", 11), 11);
    close(fd);
}

static void current_without_manifest(struct fixture *fixture)
{
    assert_int_equal(unlink(in_target(fixture, "..data/manifest")), 0);
}

static void set_that_is_not_whole_is_not_gone_back_to(void **state)
{
    static const struct {
        void (*damage)(struct fixture *);
        const char *why;
    } rows[] = {
        {content_changed, "client.crt in ..set-"},
        {key_missing, "client.key in ..set-"},
        {key_is_a_link, "client.key in ..set-"},
        {key_is_a_fifo, "client.key in ..set-"},
        {key_open_to_others, "client.key in ..set-"},
        {combined_cut, "client.pem in ..set-"},
        {file_too_much, "server.key in ..set-"},
        {set_open_to_others, "is open to others"},
        {manifest_missing, "has no readable manifest"},
        {manifest_cut, "has no readable manifest"},
        {manifest_leads_out, "lists files that are not this agent's"},
        {manifest_names_the_link, "lists files that are not this agent's"},
        {set_removed, "was removed"},
        {set_expired, "expired at 2023-11-14T22:13:20Z"},
        {current_without_manifest, "has no readable manifest"},
    };
    void *own;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(fixture_setup(&own), 0);
        ((struct fixture *)own)->file_count = 5;
        install_two(own);
        rows[i].damage(own);
        assert_no_way_back(own, ERR_NO_PREVIOUS, rows[i].why);
        if (rows[i].damage != current_without_manifest)
            assert_int_equal(fixture_install(own, 2), INSTALL_UNCHANGED);
        fixture_teardown(&own);
    }
}

static void strangers_set_is_refused(void **state)
{
    struct fixture *fixture = *state;

    need_root();
    install_two(fixture);
    assert_int_equal(chown(in_previous(fixture, "client.key"), STRANGER, 0), 0);
    assert_no_way_back(fixture, ERR_NO_PREVIOUS, "client.key in ..set-");
    assert_int_equal(chown(in_previous(fixture, "client.key"), 0, 0), 0);
    assert_int_equal(chown(in_previous(fixture, ""), STRANGER, 0), 0);
    assert_no_way_back(fixture, ERR_NO_PREVIOUS, "belongs to a stranger");
    fixture->target.owner_set = true;
    fixture->target.owner = STRANGER;
    assert_int_equal(rollback(fixture), 0);
    assert_int_equal(pinned_pair(fixture), 1);
}

static void files_that_were_adopted_are_no_set_to_go_back_to(void **state)
{
    struct fixture *fixture = *state;

    put_file(in_target(fixture, "client.crt"), "cert 1\n");
    assert_int_equal(fixture_install(fixture, 2), INSTALL_ADOPTED);
    assert_no_way_back(fixture, ERR_NO_PREVIOUS, "has no readable manifest");
    assert_installed(fixture, 2);
}

static void nothing_to_go_back_from(void **state)
{
    struct fixture *fixture = *state;

    assert_no_way_back(fixture, ERR_NO_IDENTITY, "holds no set");
    fixture->target.sub = "missing";
    assert_no_way_back(fixture, ERR_NO_IDENTITY, "does not exist");
    assert_false(is_there(in_target(fixture, "missing")));
    fixture->target.sub = "";
    assert_int_equal(symlink("..set-0123456789abcdef", in_target(fixture, "..data")), 0);
    assert_no_way_back(fixture, ERR_NO_PREVIOUS, "has no readable manifest");
}

/* A roll-back that fails removes nothing, even if the time of the set before is over. */
static void set_past_its_time_survives_a_failure(void **state)
{
    struct fixture *fixture = *state;

    install_two(fixture);
    age_swap(fixture, 7200);
    assert_int_equal(unlink(in_target(fixture, "client.key")), 0);
    assert_int_equal(mkdir(in_target(fixture, "client.key"), 0700), 0);
    assert_int_equal(rollback(fixture), -1);
    assert_int_equal(rmdir(in_target(fixture, "client.key")), 0);
    assert_int_equal(rollback(fixture), 0);
    assert_installed(fixture, 1);
}

static void newest_previous_set_stays_however_old_until_it_expires(void **state)
{
    struct fixture *fixture = *state;
    char second[64];

    fixture->target.keep_newest = true;
    fixture->target.keep_previous_ms = 0;
    assert_int_equal(fixture_install(fixture, 1), INSTALL_DONE);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_DONE);
    (void)snprintf(second, sizeof second, "%s", link_in(fixture, "..data"));
    age_swap(fixture, 86400 * 365);
    assert_int_equal(fixture_install(fixture, 2), INSTALL_UNCHANGED);
    assert_int_equal(count_sets(fixture), 2);

    fixture->not_after = clock_wall() - 1;
    assert_int_equal(fixture_install(fixture, 3), INSTALL_DONE);
    assert_string_equal(previous_set(fixture), second);
    assert_int_equal(count_sets(fixture), 2);
    fixture->not_after = clock_wall() + 86400;
    assert_int_equal(fixture_install(fixture, 4), INSTALL_DONE);
    assert_int_equal(count_sets(fixture), 1);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(set_before_comes_back),
        ROW(set_before_is_read_as_it_was_installed),
        ROW(another_set_than_the_one_that_was_read_is_refused),
        ROW(links_are_those_of_the_set_that_came_back),
        ROW(link_that_is_damaged_is_healed_on_the_way),
        ROW(name_that_cannot_be_a_link_is_refused),
        cmocka_unit_test(set_that_is_not_whole_is_not_gone_back_to),
        ROW(strangers_set_is_refused),
        ROW(files_that_were_adopted_are_no_set_to_go_back_to),
        ROW(nothing_to_go_back_from),
        ROW(set_past_its_time_survives_a_failure),
        ROW(newest_previous_set_stays_however_old_until_it_expires),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
