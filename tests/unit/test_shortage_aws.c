/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is short on the way to AWS, and while the configuration is read: each allocation from
 * the Nth on fails, for each N, and every time that is what is said. */
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
#include "aws/environment.h"
#include "aws/profile.h"
#include "aws/region.h"
#include "aws/roots.h"
#include "aws/secretsmanager.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "config/config.h"
#include "fake_server.h"
#include "shortage.h"

#define ARN "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls/host-a1B2c3"

enum { MOST = 5000 };

static struct config config;
static struct environment environment;
static struct aws aws;

/* What is tried: 0, or -1 with err. It leaves nothing behind. */
typedef int work(struct err *err);

static void assert_only_memory_is_short(work *attempt, size_t least)
{
    struct err err;
    int result = -1;

    for (allocations.from = 1; allocations.from < MOST; allocations.from++) {
        err = (struct err){.code = ERR_NONE};
        aws.deadline = clock_ms() + 60000;
        allocations.count = 0;
        allocations.starved = false;
        allocations.armed = true;
        result = attempt(&err);
        allocations.armed = false;
        if (!allocations.starved)
            break;
        if (result < 0 && err.code != ERR_MEMORY_FULL)
            fail_msg("from allocation %zu on: %s: %s", allocations.from, err_info(err.code)->name,
                     err.reason);
        if (result == 0 && allocations.from < least)
            fail_msg("from allocation %zu on it is said to succeed", allocations.from);
    }
    if (result < 0)
        fail_msg("with enough memory: %s: %s", err_info(err.code)->name, err.reason);
    assert_true(allocations.from > least && allocations.from < MOST);
}

static int open_arena(void **state)
{
    struct err err;

    (void)state;
    if (log_open(&(struct log_options){.level = LOG_LEVEL_ERROR}, &err) < 0)
        return -1;
    return arena_open(&(struct arena_options){.lock_preferred = true}, &err);
}

static int setup(void **state)
{
    (void)state;
    (void)setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    (void)unsetenv("HOME");
    config = (struct config){.region = "eu-central-1", .allow_plaintext_endpoint = true};
    environment = (struct environment){.access_key_id = "AKIDEXAMPLE",
                                       .secret_access_key = "wJalrXUtnFEMIK7MDENG"};
    aws = (struct aws){.config = &config, .environment = &environment};
    return 0;
}

static int get(struct err *err)
{
    struct secretsmanager *manager = secretsmanager_new(&aws, err);
    struct secret secret;
    int result = manager ? secretsmanager_get(manager, ARN, &secret, err) : -1;

    if (result == 0)
        secret_free(&secret);
    secretsmanager_free(manager);
    return result;
}

static int describe(struct err *err)
{
    struct secretsmanager *manager = secretsmanager_new(&aws, err);
    struct secret_version version;
    int result = manager ? secretsmanager_describe(manager, ARN, &version, err) : -1;

    secretsmanager_free(manager);
    return result;
}

static void test_a_value(void **state)
{
    struct fake_server *server = fake_server_repeat(
        fake_reply(200, "", "{\"ARN\":\"" ARN "\",\"SecretString\":\"t\",\"VersionId\":\"7b1d\"}"));

    (void)state;
    config.endpoint_url = fake_server_url(server);
    assert_only_memory_is_short(get, 50);
    (void)fake_server_stop(server);
}

static void test_a_description(void **state)
{
    struct fake_server *server = fake_server_repeat(fake_reply(
        200, "", "{\"ARN\":\"" ARN "\",\"VersionIdsToStages\":{\"7b1d\":[\"AWSCURRENT\"]}}"));

    (void)state;
    config.endpoint_url = fake_server_url(server);
    assert_only_memory_is_short(describe, 50);
    (void)fake_server_stop(server);
}

/* The credentials are another exchange, and another reader. */
static void test_credentials_of_a_container(void **state)
{
    struct fake_server *agent = fake_server_repeat(
        fake_reply(200, "",
                   "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\",\"Code\":"
                   "\"Success\",\"Expiration\":\"2099-02-13T23:31:30Z\"}"));
    struct fake_server *server = fake_server_repeat(
        fake_reply(200, "", "{\"ARN\":\"" ARN "\",\"SecretString\":\"t\",\"VersionId\":\"7b1d\"}"));

    (void)state;
    (void)setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", fake_server_url(agent), 1);
    environment = (struct environment){.container_token = "token"};
    config.endpoint_url = fake_server_url(server);
    assert_only_memory_is_short(get, 100);
    (void)unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    (void)fake_server_stop(agent);
    (void)fake_server_stop(server);
}

static int find_region(struct err *err)
{
    char region[REGION_MAX];

    return region_resolve(&aws, "name", region, err);
}

/* Its session token and its region are one word here. */
static void test_the_instances_region(void **state)
{
    struct fake_server *server = fake_server_repeat(fake_reply(200, "", "eu-west-1"));

    (void)state;
    (void)unsetenv("AWS_EC2_METADATA_DISABLED");
    (void)setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", fake_server_url(server), 1);
    config.region = NULL;
    assert_only_memory_is_short(find_region, 50);
    (void)unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    (void)fake_server_stop(server);
}

static int load_profiles(struct err *err)
{
    struct profiles *profiles = NULL;
    int result = profiles_load(&config, &profiles, err);

    profiles_free(profiles);
    return result;
}

static int load_roots(struct err *err)
{
    struct anchors *anchors = roots_load(&aws, err);

    anchors_free(anchors);
    return anchors ? 0 : -1;
}

/* A file of that text, for as long as attempt is tried. */
static void with_file(const char *text, const char *variable, work *attempt, size_t least)
{
    char path[] = "/tmp/test_shortage_aws.XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    (void)setenv(variable, path, 1);
    assert_only_memory_is_short(attempt, least);
    (void)unsetenv(variable);
    (void)unlink(path);
}

static void test_shared_files(void **state)
{
    (void)state;
    with_file("[default]\nregion = eu-west-3\nservices = mine\n[services mine]\n"
              "secrets_manager =\n  endpoint_url = https://own\n",
              "AWS_CONFIG_FILE", load_profiles, 3);
}

static void test_built_in_roots(void **state)
{
    (void)state;
    assert_only_memory_is_short(load_roots, 3);
}

static int parse(struct err *err)
{
    char *const argv[] = {"mtls-agent", "fetch", "--secret=a,b", "--endpoint=a:1,b:2,c:3",
                          "--on-change-exec=/bin/true x"};
    struct config *parsed = NULL;
    int result = config_parse(5, argv, &parsed, err);

    config_free(parsed);
    return result;
}

static void test_the_configuration(void **state)
{
    (void)state;
    with_file("expect-subject = CN=a\nforbid-version = 7b1d9a1e-0000-4000-8000-000000000001\n",
              "MTLS_AGENT_CONFIG", parse, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_value, setup),
        cmocka_unit_test_setup(test_a_description, setup),
        cmocka_unit_test_setup(test_credentials_of_a_container, setup),
        cmocka_unit_test_setup(test_the_instances_region, setup),
        cmocka_unit_test_setup(test_shared_files, setup),
        cmocka_unit_test_setup(test_built_in_roots, setup),
        cmocka_unit_test_setup(test_the_configuration, setup),
    };

    return cmocka_run_group_tests(tests, open_arena, NULL);
}
