/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/aws.h"
#include "aws/profile.h"
#include "aws/profile_chain.h"
#include "base/err.h"
#include "config/config.h"
#include "samples.h"

static struct err err;
static struct profiles profiles;
static char reason[PROFILE_REASON_MAX];

static int setup(void **state)
{
    (void)state;
    (void)unsetenv("AWS_CA_BUNDLE");
    profiles = (struct profiles){.name = "default", .credentials.kind = PROFILE_CREDENTIALS};
    err = (struct err){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    profile_file_free(&profiles.config);
    profile_file_free(&profiles.credentials);
    return 0;
}

static int parse_bytes(struct profile_file *file, const char *text, size_t len)
{
    profile_file_free(file);
    file->text.tag = ARENA_DOCUMENT;
    assert_int_equal(buf_append(&file->text, text, len), 0);
    return profile_file_parse(file, reason);
}

static void parse(struct profile_file *file, const char *text)
{
    if (parse_bytes(file, text, strlen(text)) < 0)
        fail_msg("%s", reason);
}

static void test_refusals_name_the_line_and_no_text(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"[profile a", "line 1 is a section that does not end with ]"},
        {"[", "line 1 is a section that does not end with ]"},
        {"[;]", "line 1 is a section that does not end with ]"},
        {"a = hunter2", "line 1 stands before the first section"},
        {" hunter2", "line 1 stands before the first section"},
        {"[default]\nhunter2", "line 2 has no ="},
        {"[default]\n\n= hunter2", "line 3 has no name before its ="},
        {"[default]\n hunter2", "line 2 is indented, but continues no property"},
        {"[default]\ns3 =\n hunter2", "line 3 is no name and value below a property"},
        {"[default]\ns3 =\n = hunter2", "line 3 is no name and value below a property"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse_bytes(&profiles.config, cases[i].text, strlen(cases[i].text)), -1);
        assert_string_equal(reason, cases[i].reason);
    }
    assert_int_equal(parse_bytes(&profiles.config, "[default]\na\0b = c", 16), -1);
    assert_string_equal(reason, "it holds a NUL byte");
}

static void test_too_many_lines_are_refused(void **state)
{
    struct buf text = {.tag = ARENA_DOCUMENT};
    size_t i;

    (void)state;
    for (i = 0; i < 20000; i++)
        assert_int_equal(buf_append_text(&text, "[a]\n"), 0);
    assert_int_equal(parse_bytes(&profiles.config, (char *)text.data, text.len), -1);
    assert_string_equal(reason, "line 16385 is one too many");
    buf_free(&text);
}

/* Any cut of a file is read, or refused; memory beyond it is left alone, which the sanitizer sees.
 */
static void test_every_cut_is_survived(void **state)
{
    static const char text[] =
        "; c\r\n[default]\r\nregion = a # c\r\n  b\r\ns3 =\r\n  x = y\r\n\r\n"
        "[services \t one]\nsts =\n endpoint_url = https://a\n[profile\tp]\n"
        "[profile default]\nRole_ARN=x\n[]\n[sso-session]\n=";
    size_t len;

    (void)state;
    for (len = 0; len < sizeof text; len++) {
        (void)parse_bytes(&profiles.config, text, len);
        (void)profile_get(&profiles, "default", "region");
    }
    assert_int_equal(parse_bytes(&profiles.config, text, strlen(text) - 1), 0);
    assert_string_equal(profile_get(&profiles, "default", "role_arn"), "x");
    assert_null(profile_get(&profiles, "default", "region")); /* [profile default] goes before */
    assert_true(profile_exists(&profiles, "p"));
    assert_false(profile_exists(&profiles, ""));
    assert_false(profile_exists(&profiles, "services one"));
    assert_string_equal(profile_file_get(&profiles.config, "services one", "sts"),
                        "\nendpoint_url = https://a");
}

static void test_comments_may_be_indented(void **state)
{
    (void)state;
    parse(&profiles.config, "[default]\nregion = eu-west-1\n  # not here\n\t; nor here\n");
    assert_string_equal(profile_get(&profiles, "default", "region"), "eu-west-1");
}

static void test_credentials_file_wins(void **state)
{
    (void)state;
    parse(&profiles.config, "[profile a]\nregion = one\noutput = json\n");
    parse(&profiles.credentials, "[a]\nregion = two\n");
    assert_string_equal(profile_get(&profiles, "a", "region"), "two");
    assert_string_equal(profile_get(&profiles, "a", "output"), "json");
}

static void assert_chain_fails(const char *name, const char *expected)
{
    struct profile_chain chain;

    assert_int_equal(profile_chain_resolve(&chain, &profiles, name, &err), SOURCE_FAILED);
    assert_int_equal(err.code, ERR_CREDENTIALS_FAILED);
    assert_string_equal(err.reason, expected);
}

static void test_what_is_not_supported_is_named(void **state)
{
    (void)state;
    parse(&profiles.config,
          "[profile sso]\nsso_session = x\naws_access_key_id = a\naws_secret_access_key = b\n"
          "[profile login]\nlogin_session = x\n[profile process]\ncredential_process = x\n"
          "[profile mfa]\nrole_arn = r\nsource_profile = sso\nmfa_serial = x\n");
    assert_chain_fails("sso", "profile sso needs SSO, which is not supported");
    assert_chain_fails("login", "profile login needs login_session, which is not supported");
    assert_chain_fails("process",
                       "profile process needs credential_process, which is not supported");
    assert_chain_fails("mfa", "profile mfa needs mfa_serial, which is not supported");
}

static void test_a_chain_without_end_is_refused(void **state)
{
    struct buf text = {.tag = ARENA_DOCUMENT};
    char line[128];
    int i;

    (void)state;
    for (i = 0; i < 40; i++) {
        (void)snprintf(line, sizeof line, "[profile p%d]\nrole_arn = r\nsource_profile = p%d\n", i,
                       i + 1);
        assert_int_equal(buf_append_text(&text, line), 0);
    }
    parse(&profiles.config, (char *)text.data);
    assert_chain_fails("p0", "profile p16 is one role too many");
    assert_chain_fails("p39", "profile p39 has source_profile p40, which does not exist");
    parse(&profiles.config, "[profile a]\nrole_arn = r\nsource_profile = b\n"
                            "[profile b]\nrole_arn = r\nsource_profile = a\n");
    assert_chain_fails("a", "profile b has a source_profile that leads back to it");
    buf_free(&text);
}

static void test_nothing_of_credentials_is_not_configured(void **state)
{
    struct profile_chain chain;

    (void)state;
    parse(&profiles.config, "[default]\nregion = a\n[profile b]\nrole_arn = r\n"
                            "source_profile = default\n");
    assert_int_equal(profile_chain_resolve(&chain, &profiles, "default", &err),
                     SOURCE_NOT_CONFIGURED);
    assert_chain_fails("b", "profile default holds no credentials");
}

/* A file on disk, found as the SDKs find it. */
static void test_files_are_found(void **state)
{
    static const char config_text[] = "[default]\nregion = eu-west-3\nendpoint_url = https://all\n"
                                      "ca_bundle =\nservices = mine\n"
                                      "[services mine]\nsecrets_manager =\n  other = 1\n"
                                      "  endpoint_url = https://own\n";
    char home[] = "/tmp/test_profile.XXXXXX", path[64];
    struct config config = {0};
    struct profiles *loaded = NULL;
    struct aws aws = {.config = &config};
    FILE *file;

    (void)state;
    assert_non_null(mkdtemp(home));
    (void)snprintf(path, sizeof path, "%s/config", home);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(config_text, file) >= 0);
    assert_int_equal(fclose(file), 0);

    (void)setenv("HOME", home, 1);
    (void)setenv("AWS_CONFIG_FILE", "~/config", 1);
    (void)setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials", 1);
    assert_int_equal(profiles_load(&config, &loaded, &err), 0);
    aws.profiles = loaded;
    assert_string_equal(profile_setting(&aws, "AWS_REGION_", "region"), "eu-west-3");
    assert_null(profile_setting(&aws, "AWS_CA_BUNDLE", "ca_bundle")); /* blank is unset */
    assert_string_equal(profile_endpoint_url(&aws, PROFILE_SECRETSMANAGER), "https://own");
    assert_string_equal(profile_endpoint_url(&aws, PROFILE_STS), "https://all");
    profiles_free(loaded);

    (void)setenv("AWS_CONFIG_FILE", home, 1); /* a directory */
    assert_int_equal(profiles_load(&config, &loaded, &err), -1);
    assert_int_equal(err.code, ERR_CONFIG);
    assert_string_equal(err.subject, home);
    (void)setenv("AWS_CONFIG_FILE", "/dev/null", 1);
    assert_int_equal(profiles_load(&config, &loaded, &err), 0);
    assert_false(profile_exists(loaded, "default"));
    profiles_free(loaded);
    (void)unlink(path);
    (void)rmdir(home);
}

static void test_name_of_the_profile(void **state)
{
    struct config config = {0};
    const char *named_by;

    (void)state;
    assert_string_equal(profile_name(&config, &named_by), "default");
    assert_null(named_by);
    (void)setenv("AWS_DEFAULT_PROFILE", "older", 1);
    assert_string_equal(profile_name(&config, &named_by), "older");
    (void)setenv("AWS_PROFILE", "newer", 1);
    assert_string_equal(profile_name(&config, &named_by), "newer");
    assert_string_equal(named_by, "AWS_PROFILE");
    config.profile = "flag";
    assert_string_equal(profile_name(&config, &named_by), "flag");
    assert_string_equal(named_by, "--profile");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refusals_name_the_line_and_no_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_lines_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_cut_is_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(test_comments_may_be_indented, setup, teardown),
        cmocka_unit_test_setup_teardown(test_credentials_file_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_supported_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_chain_without_end_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_of_credentials_is_not_configured, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_files_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_name_of_the_profile, setup, teardown),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
