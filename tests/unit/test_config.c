/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "config/config.h"
#include "config/options.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ARN          "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls-AbCdEf"

static char folder[] = "/tmp/test_config.XXXXXX";
static char conf[64];

static struct config *config;
static struct err err;

/* Writes the configuration file that --config=CONF names. */
static void write_conf(const char *text, size_t len)
{
    FILE *file = fopen(conf, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(conf, 0644), 0);
}

static void write_text(const char *text)
{
    write_conf(text, strlen(text));
}

/* Parses words that a space separates, behind the program's name; CONF is the file's path. */
static int parse(const char *line)
{
    static char copy[1 << 15];
    char *argv[32] = {"mtls-agent"};
    char *rest = NULL;
    int argc = 1;

    config_free(config);
    config = NULL;
    memset(&err, 0, sizeof err);
    (void)snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = strcmp(word, "CONF") == 0 ? conf : word;
    return config_parse(argc, argv, &config, &err);
}

static void assert_parses(const char *line)
{
    if (parse(line))
        fail_msg("%s: %s: %s", line, err.subject, err.reason);
}

static void assert_refused(const char *line, enum err_code code, const char *subject,
                           const char *reason)
{
    if (parse(line) == 0)
        fail_msg("%s: accepted", line);
    assert_int_equal(err.code, code);
    assert_string_equal(err.subject, subject);
    if (!strstr(err.reason, reason))
        fail_msg("%s: the reason is: %s", line, err.reason);
    assert_null(config);
}

static void assert_file_refused(const char *text, const char *reason)
{
    write_conf(text, strlen(text));
    assert_refused("probe --config CONF", ERR_CONFIG, conf, reason);
}

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(conf, sizeof conf, "%s/agent.conf", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(conf);
    return rmdir(folder);
}

static int forget(void **state)
{
    (void)state;
    config_free(config);
    config = NULL;
    return clearenv();
}

static void test_defaults(void **state)
{
    (void)state;
    assert_parses("");
    assert_null(config->command);
    assert_null(config->file);
    assert_int_equal(config->set_count, 0);
    assert_int_equal(config->endpoint_count, 0);
    assert_string_equal(config->dir, "/etc/ecs/mtls");
    assert_string_equal(config->root, "");
    assert_null(config->region);
    assert_null(config->endpoint_url);
    assert_false(config->allow_plaintext_endpoint);
    assert_false(config->owner_set);
    assert_int_equal(config->key_mode, 0600);
    assert_int_equal(config->cert_mode, 0644);
    assert_int_equal(config->dir_mode, 0755);
    assert_string_equal(config->health_path, "/health");
    assert_false(config->allow_cn);
    assert_int_equal(config->rehearse, REHEARSE_REFUSE);
    assert_true(config->keep_if_unreachable);
    assert_false(config->require_client_chain);
    assert_int_equal(config->deadline_ms, 60000);
    assert_int_equal(config->keep_previous_ms, 3600000);
    assert_false(config->combined);
    assert_false(config->memory_lock_preferred);
    assert_int_equal(config->log.level, LOG_LEVEL_INFO);
    assert_int_equal(config->log.format, LOG_FORMAT_TEXT);
    assert_null(config->log.file);
}

static void test_every_flag(void **state)
{
    (void)state;
    assert_parses("--deadline 90s fetch --secret=" ARN " --secret other --endpoint a:1,b:2 "
                  "--dir /d --root /r --region us-east-1 --endpoint-url https://sm.internal:8443/x "
                  "--allow-plaintext-endpoint --owner 7:8 --key-mode 400 --cert-mode 0640 "
                  "--dir-mode 0750");
    assert_string_equal(config->command, "fetch");
    assert_int_equal(config->deadline_ms, 90000);
    assert_int_equal(config->set_count, 1);
    assert_int_equal(config->sets[0].secret_count, 2);
    assert_string_equal(config->sets[0].secrets[0], ARN);
    assert_string_equal(config->sets[0].secrets[1], "other");
    assert_int_equal(config->endpoint_count, 2);
    assert_string_equal(config->endpoints[1].name, "b");
    assert_string_equal(config->dir, "/d");
    assert_string_equal(config->root, "/r");
    assert_string_equal(config->region, "us-east-1");
    assert_string_equal(config->endpoint_url, "https://sm.internal:8443/x");
    assert_true(config->allow_plaintext_endpoint);
    assert_true(config->owner_set);
    assert_int_equal(config->owner, 7);
    assert_int_equal(config->group, 8);
    assert_int_equal(config->key_mode, 0400);
    assert_int_equal(config->cert_mode, 0640);
    assert_int_equal(config->dir_mode, 0750);

    assert_parses(
        "fetch --secret a --endpoint e:1 --health-path /ready?deep=1 --allow-cn --rehearse require "
        "--if-unreachable fail --client-chain require --keep-previous 0 --combined=on "
        "--memory-lock=prefer --log-level debug --log-format json --log-file /l");
    assert_string_equal(config->health_path, "/ready?deep=1");
    assert_true(config->allow_cn);
    assert_int_equal(config->rehearse, REHEARSE_REQUIRE);
    assert_false(config->keep_if_unreachable);
    assert_true(config->require_client_chain);
    assert_int_equal(config->keep_previous_ms, 0);
    assert_true(config->combined);
    assert_true(config->memory_lock_preferred);
    assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);
    assert_int_equal(config->log.format, LOG_FORMAT_JSON);
    assert_string_equal(config->log.file, "/l");

    assert_parses("healthcheck --expires-within 7d --max-fetch-age 20m --min-endpoints 2");
    assert_int_equal(config->expires_within_ms, 7 * 86400000LL);
    assert_int_equal(config->max_fetch_age_ms, 1200000);
    assert_int_equal(config->min_endpoints, 2);

    assert_parses("--rehearse off --log-level=error --if-unreachable=keep --client-chain=warn");
    assert_int_equal(config->rehearse, REHEARSE_OFF);
    assert_int_equal(config->log.level, LOG_LEVEL_ERROR);
    assert_true(config->keep_if_unreachable);
    assert_false(config->require_client_chain);
}

static void test_wrong_flags(void **state)
{
    static const struct {
        const char *line, *subject, *reason;
    } cases[] = {
        {"fetch --secrte x", "--secrte", "unknown option \"secrte\"; did you mean \"secret\"?"},
        {"fetch --key_mode=600", "--key_mode", "did you mean \"key-mode\"?"},
        {"fetch --zzzzzz", "--zzzzzz", "unknown option \"zzzzzz\""},
        {"fetch --", "--", "unknown option"},
        {"fetch -s x", "-s", "unknown option"},
        {"--command fetch", "--command", "cannot be set here"},
        {"fetch again and", "command line", "unexpected word \"and\""},
        {"fetch - -", "command line", "unexpected word \"-\""},
        {"fetch --expect-subject=", "--expect-subject", "is not of 1 to 512 characters"},
        {"fetch --expect-san a,\xc3\xa4", "--expect-san", "has other characters than"},
        {"fetch --ca-overlap=8d", "--ca-overlap", "is not within 0s to 7d"},
        {"fetch --secret a --dry-run", "--dry-run", "proves nothing without an endpoint"},
        {"fetch --secret a --endpoint a:1 --dry-run --rehearse=off", "--dry-run", "proves nothing"},
        {"fetch --dir", "--dir", "needs a value: --dir DIR"},
        {"fetch --dir --combined", "--dir", "needs a value"},
        {"fetch --dir=", "--dir", "is not an absolute path"},
        {"fetch --dir /a --dir /a", "--dir", "dir is given twice"},
        {"fetch --combined --combined=no", "--combined", "is given twice"},
        {"fetch --combined=maybe", "--combined", "\"maybe\" is not one of true"},
        {"fetch --rehearse=on", "--rehearse", "\"on\" is not one of refuse|require|off"},
        {"fetch --rehearse=refuse|off", "--rehearse", "is not one of"},
        {"fetch --log-level=warn", "--log-level", "is not one of debug|info|warning|error"},
        {"fetch --deadline=0", "--deadline", "is not within 1s to 1h"},
        {"fetch --deadline=61m", "--deadline", "is not within 1s to 1h"},
        {"fetch --deadline=soon", "--deadline", "\"soon\" is not a duration"},
        {"healthcheck --max-fetch-age=0s", "--max-fetch-age", "is not within 1s to 365d"},
        {"healthcheck --min-endpoints=0", "--min-endpoints", "is not a number from 1 to 1024"},
        {"fetch --key-mode=0604", "--key-mode", "or has others than 0770"},
        {"fetch --key-mode=0200", "--key-mode", "does not have the bits 0400"},
        {"fetch --key-mode=4600", "--key-mode", "or has others than 0770"},
        {"fetch --cert-mode=0646", "--cert-mode", "or has others than 0775"},
        {"fetch --dir-mode=0600", "--dir-mode", "does not have the bits 0700"},
        {"fetch --dir-mode=1777", "--dir-mode", "or has others than 0775"},
        {"fetch --secret a,b,a", "--secret", "\"a\" is given twice"},
        {"fetch --secret a,,b", "--secret", "secret (0 bytes) is not a secret's name"},
        {"fetch --endpoint a:1,b", "--endpoint", "endpoint \"b\" has no port"},
        {"fetch --endpoint a\x1b[31m:1", "--endpoint", "endpoint (8 bytes) has a space, a control"},
        {"fetch --endpoint https://me:hunter2@a:1", "--endpoint", "endpoint (22 bytes) has user"},
        {"fetch --endpoint-url https://me:hunter2@a", "--endpoint-url",
         "endpoint-url (20 bytes) has user"},
        {"fetch", "", "fetch needs a secret"},
        {"fetch --secret a --rehearse=require", "--rehearse", "there is no endpoint to ask"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_refused(cases[i].line, ERR_USAGE, cases[i].subject, cases[i].reason);
}

static void test_long_words_are_cut(void **state)
{
    char line[2048] = "fetch --region=";

    (void)state;
    memset(line + strlen(line), 'a', 1000);
    assert_int_equal(parse(line), -1);
    assert_true(strlen(err.reason) < 200);
    assert_non_null(strstr(err.reason, "region (1000 bytes) is not an AWS region"));
}

static void test_booleans(void **state)
{
    static const char *const yes[] = {"true", "yes", "on", "1", "True", "YES"};
    static const char *const no[] = {"false", "no", "off", "0", "OFF"};
    char line[64];

    (void)state;
    for (size_t i = 0; i < COUNT(yes); i++) {
        (void)snprintf(line, sizeof line, "--allow-cn=%s", yes[i]);
        assert_parses(line);
        assert_true(config->allow_cn);
    }
    for (size_t i = 0; i < COUNT(no); i++) {
        (void)snprintf(line, sizeof line, "--allow-cn=%s", no[i]);
        assert_parses(line);
        assert_false(config->allow_cn);
    }
    assert_refused("--allow-cn=", ERR_USAGE, "--allow-cn", "is not one of true");
}

static void test_environment(void **state)
{
    (void)state;
    setenv("MTLS_AGENT_SECRET", " a , b=" ARN " ", 1);
    setenv("MTLS_AGENT_KEY_MODE", "0440", 1);
    setenv("MTLS_AGENT_COMBINED", "yes", 1);
    setenv("MTLS_AGENT_REGION", " \t", 1);
    setenv("MTLS_AGENT_DIR", "", 1);
    setenv("MTLS_AGENT_COMMAND", "probe", 1);
    assert_parses("fetch");
    assert_string_equal(config->command, "fetch");
    assert_int_equal(config->set_count, 2);
    assert_string_equal(config->sets[0].secrets[0], "a");
    assert_string_equal(config->sets[1].sub, "b");
    assert_string_equal(config->sets[1].secrets[0], ARN);
    assert_int_equal(config->key_mode, 0440);
    assert_true(config->combined);
    assert_null(config->region);
    assert_string_equal(config->dir, "/etc/ecs/mtls");

    setenv("MTLS_AGENT_DEADLINE", "2h", 1);
    assert_refused("fetch", ERR_CONFIG, "MTLS_AGENT_DEADLINE", "deadline \"2h\" is not within");
    unsetenv("MTLS_AGENT_DEADLINE");
    unsetenv("MTLS_AGENT_SECRET");
    assert_refused("fetch", ERR_CONFIG, "", "fetch needs a secret");
}

static void test_enclave_endpoint(void **state)
{
    (void)state;
    setenv("ENCLAVE_ENDPOINT", "https://enclave.example.com:3000/", 1);
    assert_parses("probe");
    assert_int_equal(config->endpoint_count, 1);
    assert_string_equal(config->endpoints[0].name, "enclave.example.com");
    assert_int_equal(config->endpoints[0].port, 3000);
    assert_string_equal(config->endpoints[0].path, "");

    setenv("ENCLAVE_ENDPOINT", "http://enclave.example.com:3000", 1);
    assert_refused("probe", ERR_CONFIG, "ENCLAVE_ENDPOINT", "is no https:// URL");

    setenv("MTLS_AGENT_ENDPOINT", "a:1,b:2", 1);
    assert_parses("probe");
    assert_int_equal(config->endpoint_count, 2);
    assert_parses("probe --endpoint c:3");
    assert_int_equal(config->endpoint_count, 1);
    assert_string_equal(config->endpoints[0].name, "c");
}

static void test_file(void **state)
{
    static const char text[] = "# comment\r\n"
                               "\r\n"
                               "  command = fetch\r\n"
                               "secret = one\n"
                               "secret = sub=" ARN ", two\n"
                               "\tendpoint=enclave:3000\t\n"
                               "health-path = /a=b # no comment here\n";
    static const char good[] = "command = fetch\r\nsecret=a\nsecret = b, c\nlog-file=/v/a#b\n"
                               "region =\nAWS_REGION = eu-west-1\nAWS_CA_BUNDLE=/ca.pem\n"
                               "combined = true";

    (void)state;
    write_conf(text, sizeof text - 1);
    assert_refused("--config CONF", ERR_CONFIG, conf, "line 7: health-path \"/a=b # no comment");
    write_conf(good, sizeof good - 1);
    assert_parses("--config CONF");
    assert_string_equal(config->file, conf);
    assert_string_equal(config->command, "fetch");
    assert_int_equal(config->sets[0].secret_count, 3);
    assert_string_equal(config->sets[0].secrets[2], "c");
    assert_string_equal(config->log.file, "/v/a#b");
    assert_null(config->region);
    assert_true(config->combined);
    assert_string_equal(config_variable(config, "AWS_REGION"), "eu-west-1");
    assert_null(config_variable(config, "AWS_ENDPOINT_URL"));
    assert_parses("probe --config CONF");
    assert_string_equal(config->command, "probe");

    write_conf("", 0);
    assert_parses("probe --config CONF");
    assert_refused("fetch --config CONF", ERR_CONFIG, conf, "fetch needs a secret");
}

static void test_wrong_files(void **state)
{
    (void)state;
    assert_file_refused("\n\n# x\n\n\n\nsecrte = a\n",
                        "line 7: unknown option \"secrte\"; did you mean \"secret\"?");
    assert_file_refused("comand = fetch\n", "did you mean \"command\"?");
    assert_file_refused("dir = /a\ndir = /b\n", "line 2: dir is given twice");
    assert_file_refused("command = fetch\ncommand = probe\n", "line 2: command is given twice");
    assert_file_refused("deadline = 5x\n", "line 1: deadline \"5x\" does not end");
    assert_file_refused("endpoint = enclave:99999\n", "line 1: endpoint \"enclave:99999\" has no");
    assert_file_refused("config = /other\n", "line 1: \"config\" cannot be set here");
    assert_file_refused("combined\n", "line 1: \"combined\" is not followed by '='");
    assert_file_refused("= x\n", "line 1: unknown option \"\"");
    assert_file_refused("AWS_REGIN = a\n", "line 1: unknown variable \"AWS_REGIN\"");
    assert_file_refused("AWS_REGION = a\nAWS_REGION = b\n", "line 2: AWS_REGION is given twice");
    assert_file_refused("MTLS_AGENT_DIR = /a\n", "unknown option \"MTLS_AGENT_DIR\"");
    assert_file_refused("secret = \"a\"\n", "line 1: secret (3 bytes) is not a secret's name");
}

/* Comments are comments, and a block of PEM is one only where an option takes it. */
static void test_pem_in_a_file(void **state)
{
    static const char *const comments[] = {
        "# ca-bundle = -----BEGIN CERTIFICATE-----\n# MIIB\n# -----END CERTIFICATE-----\n",
        "# it was ca-bundle = -----BEGIN CERTIFICATE-----, once\n",
        "  #ca-bundle=-----BEGIN CERTIFICATE-----\n",
    };
    static const char two[] = "ca-bundle = -----BEGIN CERTIFICATE-----\r\n MII+/=\r\n"
                              "-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nMIIB==\n"
                              "-----END CERTIFICATE-----\n# and\ndir = /later\n";
    char text[512];

    (void)state;
    for (size_t i = 0; i < COUNT(comments); i++) {
        (void)snprintf(text, sizeof text, "%sdir = /later\n", comments[i]);
        write_conf(text, strlen(text));
        assert_parses("probe --config CONF");
        assert_string_equal(config->dir, "/later");
    }
    write_conf(two, sizeof two - 1);
    assert_parses("probe --config CONF");
    assert_string_equal(config->dir, "/later");
    assert_non_null(strstr(config->ca_bundle, "MIIB=="));
    assert_file_refused("dir = /a\nca-bundle = -----BEGIN CERTIFICATE-----\nMIIB\ndir = /b\n"
                        "-----END CERTIFICATE-----\n",
                        "line 2: a PEM block begins here, and has no line -----END");
    assert_file_refused("ca-bundle = -----BEGIN CERTIFICATE-----\nMIIB\n# no\n", "line 1: a PEM");
    assert_file_refused("ca-bundle = -----BEGIN CERTIFICATE-----\nMIIB\n"
                        "-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nMIIB\n",
                        "line 4: a PEM block begins here");
    assert_file_refused("expect-subject = -----BEGIN CERTIFICATE-----\nMIIB\n"
                        "-----END CERTIFICATE-----\ndir = /a\n",
                        "line 2: \"MIIB\" is not followed by");
    assert_file_refused("\n-----BEGIN CERTIFICATE-----\nMIIB\n",
                        "line 2: a PEM block stands where");
}

static void test_byte_order_marks(void **state)
{
    (void)state;
    write_conf("\xEF\xBB\xBF"
               "dir = /a\n",
               12);
    assert_parses("probe --config CONF");
    assert_string_equal(config->dir, "/a");
    write_conf("\xFF\xFE"
               "d\0i\0r\0",
               8);
    assert_refused("probe --config CONF", ERR_CONFIG, conf, "is UTF-16");
}

static void test_options_of_other_commands(void **state)
{
    static const struct {
        const char *line, *subject, *reason;
    } cases[] = {
        {"fetch --secret a --count 5", "--count", "count means nothing to fetch: it is for probe"},
        {"fetch --secret a --json", "--json", "it is for inspect, probe, status,"},
        {"purge --json", "--json", "it is for inspect, probe, status,"},
        {"healthcheck --attest report", "--attest", "attest means nothing to healthcheck"},
        {"probe --endpoint a:1 --interval 5m", "--interval", "it is for fetch and run"},
        {"status --region eu-west-1", "--region", "it is for fetch and run"},
        {"purge --min-endpoints 1", "--min-endpoints", "it is for healthcheck"},
        {"fetchh --secret a", "command line", "\"fetchh\" is no command: fetch, inspect"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_refused(cases[i].line, ERR_USAGE, cases[i].subject, cases[i].reason);
    /* One file is for all of them. */
    write_text("secret = a\ncount = 5\ninterval = 5m\nmin-endpoints = 1\n");
    assert_parses("fetch --config CONF");
    assert_parses("run --config CONF");
    /* A wrong word is that, whatever is wrong with the file. */
    write_text("zzz = 5\n");
    assert_refused("fetchh --config CONF", ERR_USAGE, "command line", "is no command");
}

static void test_what_means_nothing_together(void **state)
{
    static const struct {
        const char *line, *subject, *reason;
    } cases[] = {
        {"run --secret a --rollback-on-failure", "--rollback-on-failure", "there is none"},
        {"run --secret a --endpoint a:1 --rollback-on-failure --probe-interval 0s",
         "--rollback-on-failure", "probe-interval is 0s"},
        {"run --secret a --endpoint a:1 --rollback-on-failure --keep-previous 0s",
         "--rollback-on-failure", "keep-previous is 0s"},
        {"run --secret a --status-file /x --metrics-file /x", "--metrics-file",
         "is the file of status-file as well"},
        {"run --secret a --metrics-file /x --log-file /x", "--log-file", "of metrics-file as well"},
        {"run --secret a --dir /d --log-file /d/client.key", "--log-file", "of the installed set"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_refused(cases[i].line, ERR_USAGE, cases[i].subject, cases[i].reason);
    write_text("endpoint = a:1\nmin-endpoints = 2\n");
    assert_refused("healthcheck --config CONF", ERR_CONFIG, conf, "more than there are endpoints");
    assert_parses("run --secret a --endpoint a:1 --rollback-on-failure");
    assert_parses("healthcheck --min-endpoints 2");
}

/* What a command does without, it does not fail on. */
static void test_mistakes_in_what_is_not_needed(void **state)
{
    static const char text[] = "dir = /d\nendpoint = bad\ninterval = soon\ndeadline = soon\n"
                               "frobnicate = 1\nno line\nAWS_REGIN = x\nsecret = \"a\"\n";

    (void)state;
    write_conf(text, sizeof text - 1);
    assert_refused("probe --config CONF", ERR_CONFIG, conf, "line 2: endpoint");
    assert_parses("healthcheck --config CONF");
    assert_string_equal(config->dir, "/d");
    assert_int_equal(config->deadline_ms, 60000);
    assert_non_null(strstr(config->mistakes[0].reason, "line 2: endpoint"));
    assert_parses("status --config CONF");
    assert_parses("inspect - --config CONF");
    assert_refused("purge --config CONF", ERR_CONFIG, conf, "line 4: deadline");
    write_text("dirr = /d\n");
    assert_refused("healthcheck --config CONF", ERR_CONFIG, conf, "did you mean \"dir\"?");
    write_text("status-file = d\n");
    assert_refused("status --config CONF", ERR_CONFIG, conf, "is not an absolute path");
    setenv("MTLS_AGENT_ENDPOINT", "bad", 1);
    assert_parses("healthcheck");
    assert_refused("probe", ERR_CONFIG, "MTLS_AGENT_ENDPOINT", "has no port");
}

static void test_no_secret_in_a_file(void **state)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN"};
    char line[128];

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        (void)snprintf(line, sizeof line, "%s = hunter2\n", names[i]);
        assert_file_refused(line, "may not stand in a file");
        assert_null(strstr(err.reason, "hunter2"));
    }
    assert_file_refused("export AWS_SECRET_ACCESS_KEY hunter2\n", "\"export\" is not followed by");
    assert_null(strstr(err.reason, "hunter2"));
}

static void test_hostile_files(void **state)
{
    const size_t size = 2 * 1024 * 1024 + 1;
    char *text = malloc(size);

    (void)state;
    assert_non_null(text);
    write_conf("dir = /a\nroot = /b\0c\n", 21);
    assert_refused("--config CONF", ERR_CONFIG, conf, "line 2: holds a NUL byte");

    memset(text, '#', size);
    write_conf(text, 4096);
    assert_parses("--config CONF");
    write_conf(text, 4097);
    assert_refused("--config CONF", ERR_CONFIG, conf, "line 1: is longer than 4096 bytes");
    for (size_t i = 63; i < size; i += 64)
        text[i] = '\n';
    write_conf(text, size - 1);
    assert_parses("--config CONF");
    write_conf(text, size);
    assert_refused("--config CONF", ERR_CONFIG, conf, "is larger than 2097152 bytes");
    free(text);
}

static void test_trust_in_the_file(void **state)
{
    (void)state;
    write_conf("dir = /a\n", 9);
    assert_int_equal(chmod(conf, 0660), 0);
    assert_refused("--config CONF", ERR_CONFIG, conf, "has mode 0660");
    assert_int_equal(chmod(conf, 0602), 0);
    assert_refused("--config CONF", ERR_CONFIG, conf, "has mode 0602");
    assert_int_equal(chmod(conf, 0600), 0);
    assert_parses("--config CONF");
    if (geteuid() == 0) {
        assert_int_equal(chown(conf, 12345, 0), 0);
        assert_refused("--config CONF", ERR_CONFIG, conf, "belongs to user 12345");
        assert_int_equal(chown(conf, 0, 0), 0);
    }
    assert_refused("--config /dev/null", ERR_CONFIG, "/dev/null", "is not a regular file");
    assert_refused("--config /nonexistent", ERR_CONFIG, "/nonexistent", "cannot be opened: ");
    setenv("MTLS_AGENT_CONFIG", "/nonexistent2", 1);
    assert_refused("probe", ERR_CONFIG, "/nonexistent2", "cannot be opened: ");
    assert_refused("--config /dev/null", ERR_CONFIG, "/dev/null", "is not a regular file");
}

static void test_precedence(void **state)
{
    static const char text[] = "dir = /file\nroot = /file\nregion = file\nsecret = f1,f2\n"
                               "endpoint = f:1\nAWS_REGION = file\n";

    (void)state;
    write_conf(text, sizeof text - 1);
    setenv("MTLS_AGENT_CONFIG", conf, 1);
    setenv("MTLS_AGENT_DIR", "/env", 1);
    setenv("MTLS_AGENT_ROOT", "/env", 1);
    setenv("MTLS_AGENT_SECRET", "e1,e2,e3", 1);
    assert_parses("fetch --dir /flag --secret x --secret y");
    assert_string_equal(config->dir, "/flag");
    assert_string_equal(config->root, "/env");
    assert_string_equal(config->region, "file");
    assert_int_equal(config->sets[0].secret_count, 2);
    assert_string_equal(config->sets[0].secrets[0], "x");
    assert_string_equal(config->sets[0].secrets[1], "y");
    assert_string_equal(config->endpoints[0].name, "f");
    assert_parses("fetch --root=");
    assert_string_equal(config->root, "");
    assert_int_equal(config->sets[0].secret_count, 3);

    assert_string_equal(config_variable(config, "AWS_REGION"), "file");
    setenv("AWS_REGION", "  ", 1);
    assert_string_equal(config_variable(config, "AWS_REGION"), "file");
    setenv("AWS_REGION", "env", 1);
    assert_string_equal(config_variable(config, "AWS_REGION"), "env");
    setenv("AWS_ENDPOINT_URL", "", 1);
    assert_null(config_variable(config, "AWS_ENDPOINT_URL"));
}

static void test_which_file(void **state)
{
    const char *const none[] = {"/nonexistent", "/dev/null/below", NULL};
    const char *const one[] = {"/nonexistent", conf, NULL};
    const char *const two[] = {conf, "/dev/null", NULL};
    const char *ignored;

    (void)state;
    write_conf("", 0);
    assert_null(config_file_find(NULL, none, &ignored));
    assert_null(ignored);
    assert_string_equal(config_file_find(NULL, one, &ignored), conf);
    assert_null(ignored);
    assert_string_equal(config_file_find(NULL, two, &ignored), conf);
    assert_string_equal(ignored, "/dev/null");
    assert_string_equal(config_file_find("/named", none, &ignored), "/named");
    assert_null(ignored);
    assert_string_equal(config_file_find("/named", one, &ignored), "/named");
    assert_string_equal(ignored, conf);
    assert_string_equal(config_file_find("/dev/null", two, &ignored), "/dev/null");
    assert_string_equal(ignored, conf);
    assert_string_equal(config_file_find(conf, one, &ignored), conf);
    assert_null(ignored);
}

static void test_sets(void **state)
{
    static char line[1 << 15] = "fetch";

    (void)state;
    assert_parses("fetch --secret b=" ARN " --secret x,a.b-C_9=" ARN ",b=" ARN "2 --secret y");
    assert_int_equal(config->set_count, 3);
    assert_string_equal(config->sets[0].sub, "b");
    assert_int_equal(config->sets[0].secret_count, 2);
    assert_string_equal(config->sets[0].secrets[1], ARN "2");
    assert_string_equal(config->sets[1].sub, "");
    assert_int_equal(config->sets[1].secret_count, 2);
    assert_string_equal(config->sets[1].secrets[1], "y");
    assert_string_equal(config->sets[2].sub, "a.b-C_9");

    for (int i = 0; i < CONFIG_SECRETS_MAX; i++)
        (void)snprintf(line + strlen(line), sizeof line - strlen(line), "%s%d",
                       i ? "," : " --secret=s", i);
    assert_parses(line);
    assert_int_equal(config->sets[0].secret_count, CONFIG_SECRETS_MAX);
    (void)snprintf(line + strlen(line), sizeof line - strlen(line), ",more");
    assert_refused(line, ERR_USAGE, "--secret", "\"more\" is one too many for its directory");

    (void)snprintf(line, sizeof line, "fetch --secret=x");
    for (int i = 1; i < CONFIG_SETS_MAX; i++)
        (void)snprintf(line + strlen(line), sizeof line - strlen(line), ",s%d=%s", i, ARN);
    assert_parses(line);
    assert_int_equal(config->set_count, CONFIG_SETS_MAX);
    (void)snprintf(line + strlen(line), sizeof line - strlen(line), ",s256=%s", ARN);
    assert_refused(line, ERR_USAGE, "--secret", "is one subdirectory too many: at most 256");
}

static void test_endpoint_count(void **state)
{
    static char line[16384] = "probe --endpoint a:1";

    (void)state;
    for (int i = 1; i < CONFIG_ENDPOINTS_MAX; i++)
        (void)snprintf(line + strlen(line), sizeof line - strlen(line), ",a:%d", i);
    assert_parses(line);
    assert_int_equal(config->endpoint_count, CONFIG_ENDPOINTS_MAX);
    (void)snprintf(line + strlen(line), sizeof line - strlen(line), ",b:1");
    assert_refused(line, ERR_USAGE, "--endpoint", "\"b:1\" is one too many: at most 1024");
}

static void test_plaintext_needs_consent(void **state)
{
    (void)state;
    assert_refused("fetch --secret a --endpoint-url http://127.0.0.1:4566", ERR_USAGE,
                   "--endpoint-url", "there is allow-plaintext-endpoint");
    assert_parses(
        "fetch --secret a --endpoint-url http://127.0.0.1:4566 --allow-plaintext-endpoint");
    assert_parses("fetch --secret a --endpoint-url https://127.0.0.1:4566");
    setenv("MTLS_AGENT_ENDPOINT_URL", "HTTP://localhost", 1);
    assert_refused("probe", ERR_CONFIG, "MTLS_AGENT_ENDPOINT_URL", "is http://");
    unsetenv("MTLS_AGENT_ENDPOINT_URL");
    assert_file_refused("endpoint-url = http://[::1]/\n", "endpoint-url is http://");
}

static void test_group_opens_the_key(void **state)
{
    char line[64];

    (void)state;
    assert_parses("--owner 1000");
    assert_int_equal(config->key_mode, 0600);
    (void)snprintf(line, sizeof line, "--owner 1000:%u", (unsigned)getegid());
    assert_parses(line);
    assert_int_equal(config->key_mode, 0600);
    (void)snprintf(line, sizeof line, "--owner 0:%u", (unsigned)getegid() + 1);
    assert_parses(line);
    assert_int_equal(config->key_mode, 0640);
    (void)snprintf(line, sizeof line, "--key-mode 0600 --owner 0:%u", (unsigned)getegid() + 1);
    assert_parses(line);
    assert_int_equal(config->key_mode, 0600);
}

/* Reads what config_help() writes into text. */
static void read_help(char *text, size_t size)
{
    int ends[2];
    ssize_t got;
    size_t len = 0;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(config_help(ends[1], NULL), 0);
    assert_int_equal(close(ends[1]), 0);
    while ((got = read(ends[0], text + len, size - 1 - len)) > 0)
        len += (size_t)got;
    assert_int_equal(close(ends[0]), 0);
    text[len] = '\0';
}

static void test_help(void **state)
{
    static char text[16384];
    char *rest = NULL;
    size_t rows = 0;

    (void)state;
    read_help(text, sizeof text);
    assert_non_null(strstr(text, "\n  --deadline DURATION         time limit of the whole command "
                                 "(default: 60s)\n"));
    assert_null(strstr(text, "--command"));
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        assert_true(strlen(line) <= 80);
        assert_int_not_equal(line[strlen(line) - 1], ' ');
        rows += strncmp(line, "  --", 4) == 0;
    }
    assert_int_equal(rows, option_count - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_defaults, forget),
        cmocka_unit_test_setup(test_every_flag, forget),
        cmocka_unit_test_setup(test_wrong_flags, forget),
        cmocka_unit_test_setup(test_long_words_are_cut, forget),
        cmocka_unit_test_setup(test_booleans, forget),
        cmocka_unit_test_setup(test_environment, forget),
        cmocka_unit_test_setup(test_enclave_endpoint, forget),
        cmocka_unit_test_setup(test_file, forget),
        cmocka_unit_test_setup(test_wrong_files, forget),
        cmocka_unit_test_setup(test_pem_in_a_file, forget),
        cmocka_unit_test_setup(test_byte_order_marks, forget),
        cmocka_unit_test_setup(test_options_of_other_commands, forget),
        cmocka_unit_test_setup(test_what_means_nothing_together, forget),
        cmocka_unit_test_setup(test_mistakes_in_what_is_not_needed, forget),
        cmocka_unit_test_setup(test_no_secret_in_a_file, forget),
        cmocka_unit_test_setup(test_hostile_files, forget),
        cmocka_unit_test_setup(test_trust_in_the_file, forget),
        cmocka_unit_test_setup(test_precedence, forget),
        cmocka_unit_test_setup(test_which_file, forget),
        cmocka_unit_test_setup(test_sets, forget),
        cmocka_unit_test_setup(test_endpoint_count, forget),
        cmocka_unit_test_setup(test_plaintext_needs_consent, forget),
        cmocka_unit_test_setup(test_group_opens_the_key, forget),
        cmocka_unit_test_setup_teardown(test_help, forget, forget),
    };

    return cmocka_run_group_tests_name("config", tests, setup, teardown);
}
