/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "config/config.h"
#include "config/config_values.h"

#define ARN "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls-AbCdEf"

static char text[512];
static const char *words[CONFIG_WORDS_MAX + 1];

static const char *split(const char *command)
{
    (void)snprintf(text, sizeof text, "%s", command);
    return value_words(text, words);
}

static void assert_words(const char *command, size_t count, const char *const *expected)
{
    const char *why = split(command);
    size_t i;

    if (why)
        fail_msg("<%s> %s", command, why);
    for (i = 0; i < count; i++)
        assert_string_equal(words[i], expected[i]);
    assert_null(words[count]);
}

static void a_command_is_split_as_it_is_written(void **state)
{
    (void)state;
    assert_words("/bin/true", 1, (const char *[]){"/bin/true"});
    assert_words(" /usr/sbin/nginx \t -s  reload ", 3,
                 (const char *[]){"/usr/sbin/nginx", "-s", "reload"});
    assert_words("/bin/a 'b c' \"d e\" f\\ g", 4, (const char *[]){"/bin/a", "b c", "d e", "f g"});
    assert_words("/bin/a '' \"\"", 3, (const char *[]){"/bin/a", "", ""});
    assert_words("/bin/a x'y z'\"w\"", 2, (const char *[]){"/bin/a", "xy zw"});
    assert_words("/bin/a '\\n' \"\\\"\" \\'", 4, (const char *[]){"/bin/a", "\\n", "\"", "'"});
    assert_words("/bin/a $HOME *.pem ;ls |x", 5,
                 (const char *[]){"/bin/a", "$HOME", "*.pem", ";ls", "|x"});
}

static void what_is_no_command(void **state)
{
    char many[CONFIG_WORDS_MAX * 2 + 16] = "/a";
    int i;

    (void)state;
    assert_non_null(split(""));
    assert_non_null(split("  "));
    assert_non_null(strstr(split("nginx -s reload"), "absolute path"));
    assert_non_null(strstr(split("''"), "absolute path"));
    assert_non_null(strstr(split("/bin/a 'b"), "quote"));
    assert_non_null(strstr(split("/bin/a \"b"), "quote"));
    assert_non_null(strstr(split("/bin/a \\"), "backslash"));
    for (i = 1; i < CONFIG_WORDS_MAX; i++)
        (void)strcat(many, " b");
    assert_null(split(many));
    (void)strcat(many, " b");
    assert_non_null(strstr(split(many), "32"));
}

static void signals_have_names(void **state)
{
    struct change_signal value;

    (void)state;
    assert_null(value_signal("HUP:/run/nginx.pid", &value));
    assert_int_equal(value.number, SIGHUP);
    assert_string_equal(value.pid_file, "/run/nginx.pid");
    assert_int_equal(value.pid, 0);
    assert_null(value_signal("SIGUSR1:17", &value));
    assert_int_equal(value.number, SIGUSR1);
    assert_string_equal(value.name, "USR1");
    assert_int_equal(value.pid, 17);
    assert_null(value.pid_file);
}

static void what_is_no_signal(void **state)
{
    static const char *const bad[] = {"",          "HUP",         "HUP:",           "hup:1",
                                      "SIG:1",     "KILL:1",      "STOP:1",         "1:1",
                                      "HUP:0",     "HUP:-1",      "HUP:+1",         "HUP:1 2",
                                      "HUP:run/a", "HUP:/a/../b", "HUP:4194305",    ":1",
                                      "HUPS:1",    "HUP :1",      "HUP:99999999999"};
    struct change_signal value;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!value_signal(bad[i], &value))
            fail_msg("<%s> is accepted", bad[i]);
}

/* ---- reading again ---- */

static char file[] = "/tmp/test_config_change.XXXXXX";
static char flag[64];
static char *arguments[] = {"mtls-agent", "run", flag, "--deadline=7s", NULL};

static void write_file(const char *content)
{
    FILE *stream = fopen(file, "w");

    assert_non_null(stream);
    assert_true(fputs(content, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

static struct config *first(const char *content)
{
    struct config *config = NULL;
    struct err err;

    write_file(content);
    if (config_parse(4, arguments, &config, &err) < 0)
        fail_msg("%s: %s", err.subject, err.reason);
    return config;
}

static void the_file_is_read_again(void **state)
{
    struct config *config = first("secret = " ARN "\ninterval = 1m\ndeadline = 9s\n"), *again;
    struct err err;

    (void)state;
    write_file("secret = " ARN "\ninterval = 2m\nendpoint = enclave:3000\ndir = /etc/ecs/mtls\n");
    assert_int_equal(config_reload(config, &again, &err), 0);
    assert_int_equal(again->interval_ms, 120000);
    assert_int_equal(again->endpoint_count, 1);
    assert_int_equal(again->deadline_ms, 7000);
    assert_int_equal(config->interval_ms, 60000);
    config_free(config);
    config_free(again);
}

static void assert_not_reloaded(const char *before, const char *after, const char *word)
{
    struct config *config = first(before), *again = NULL;
    struct err err;

    write_file(after);
    assert_int_equal(config_reload(config, &again, &err), -1);
    assert_null(again);
    assert_int_equal(err.code, ERR_CONFIG);
    if (!strstr(err.reason, word))
        fail_msg("%s", err.reason);
    config_free(config);
}

static void what_cannot_change_is_refused_as_a_whole(void **state)
{
    (void)state;
    assert_not_reloaded("secret = " ARN "\n", "secret = " ARN "\ndir = /elsewhere\n", "dir");
    assert_not_reloaded("secret = " ARN "\n", "secret = " ARN "\non-change-exec = /bin/true\n",
                        "on-change-exec");
    assert_not_reloaded("secret = " ARN "\non-change-signal = HUP:1,USR1:1\n",
                        "secret = " ARN "\non-change-signal = HUP:1\n", "on-change-signal");
    assert_not_reloaded("secret = " ARN "\nmemory-lock = prefer\n", "secret = " ARN "\n",
                        "memory-lock");
    assert_not_reloaded("secret = " ARN "\n", "secret = " ARN "\nnonsense = 1\n", "nonsense");
    assert_not_reloaded("secret = " ARN "\n", "endpoint = a:1\n", "secret");
}

static void what_is_for_once_is_not_for_run(void **state)
{
    static char *const flags[] = {"--dry-run", "--rollback"};
    struct config *config;
    struct err err;
    size_t i;

    (void)state;
    write_file("secret = " ARN "\nendpoint = enclave:3000\n");
    for (i = 0; i < sizeof flags / sizeof *flags; i++) {
        char *argv[] = {"mtls-agent", "run", flag, flags[i], NULL};

        assert_int_equal(config_parse(4, argv, &config, &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
        assert_string_equal(err.subject, flags[i]);
        argv[1] = "fetch";
        assert_int_equal(config_parse(4, argv, &config, &err), 0);
        config_free(config);
    }
}

static int set_up(void **state)
{
    int fd = mkstemp(file);

    (void)state;
    if (fd < 0 || close(fd) < 0 || chmod(file, 0644) < 0)
        return -1;
    (void)snprintf(flag, sizeof flag, "--config=%s", file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_is_split_as_it_is_written),
        cmocka_unit_test(what_is_no_command),
        cmocka_unit_test(signals_have_names),
        cmocka_unit_test(what_is_no_signal),
        cmocka_unit_test(the_file_is_read_again),
        cmocka_unit_test(what_cannot_change_is_refused_as_a_whole),
        cmocka_unit_test(what_is_for_once_is_not_for_run),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
