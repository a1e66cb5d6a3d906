/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "config/config_values.h"
#include "config/no_proxy.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ARN          "arn:aws:secretsmanager:us-east-1:123456789012:secret:"
#define L10          "aaaaaaaaaa"
#define L60          L10 L10 L10 L10 L10 L10
#define L63          L60 "aaa"
#define L250         L60 L60 L60 L60 L10

static void assert_good(const char *text, const char *why)
{
    if (why)
        fail_msg("\"%s\" %s", text, why);
}

/* why is a clause that holds the words given. */
static void assert_bad(const char *text, const char *why, const char *words)
{
    if (!why)
        fail_msg("\"%s\" is accepted", text);
    if (!strstr(why, words))
        fail_msg("\"%s\" %s", text, why);
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"0", 0},        {"90", 90000},
        {"90s", 90000},  {"5m", 300000},
        {"1h", 3600000}, {"2d", 172800000},
        {"500ms", 500},  {"007s", 7000},
        {"0d", 0},       {"9223372036854775807ms", INT64_MAX},
    };
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "is not a duration"},
        {"s", "is not a duration"},
        {"-1s", "is not a duration"},
        {"+1s", "is not a duration"},
        {" 1s", "is not a duration"},
        {"1 s", "does not end"},
        {"1s ", "does not end"},
        {"1.5s", "does not end"},
        {"1S", "does not end"},
        {"1w", "does not end"},
        {"1h30m", "does not end"},
        {"0x10", "does not end"},
        {"1e3", "does not end"},
        {"1mss", "does not end"},
        {"9223372036854775808ms", "large"},
        {"9223372036854775807s", "large"},
        {"99999999999999999999999999", "large"},
        {"106751991168d", "large"},
    };
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        ms = -1;
        assert_good(good[i].text, value_duration(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_bad(bad[i].text, value_duration(bad[i].text, &ms), bad[i].words);
}

static void test_modes(void **state)
{
    static const char *const bad[] = {"",    "6",   "60",   "06000", "0x60",
                                      "068", "rw-", "-600", " 600",  "600 "};
    mode_t mode;

    (void)state;
    assert_null(value_mode("600", &mode));
    assert_int_equal(mode, 0600);
    assert_null(value_mode("0640", &mode));
    assert_int_equal(mode, 0640);
    assert_null(value_mode("7777", &mode));
    assert_int_equal(mode, 07777);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_bad(bad[i], value_mode(bad[i], &mode), "three or four octal digits");
}

static void test_owners(void **state)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "names a user"},
        {":1", "names a user"},
        {"1:", "names a group"},
        {"no-such-user", "names a user"},
        {"1:no-such-group", "names a group"},
        {"1:2:3", "names a group"},
        {"-1", "names a user"},
        {"4294967295", "too large"},
        {"4294967296", "too large"},
        {"1:99999999999", "too large"},
        {"0:18446744073709551617", "too large"},
        {L63 L10, "too long"},
    };
    struct value_owner owner;

    (void)state;
    assert_null(value_owner("1000", &owner));
    assert_int_equal(owner.owner, 1000);
    assert_int_equal(owner.group, getegid());
    assert_false(owner.group_named);
    assert_null(value_owner("4294967294:17", &owner));
    assert_int_equal(owner.owner, 4294967294);
    assert_int_equal(owner.group, 17);
    assert_true(owner.group_named);
    assert_null(value_owner("root:root", &owner));
    assert_int_equal(owner.owner, 0);
    assert_int_equal(owner.group, 0);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_bad(bad[i].text, value_owner(bad[i].text, &owner), bad[i].words);
}

static void test_secrets(void **state)
{
    static const struct {
        const char *text, *sub, *id;
    } good[] = {
        {"mtls", "", "mtls"},
        {"prod/mtls_+=.@-9", "", "prod/mtls_+=.@-9"},
        {"a=b", "", "a=b"},
        {"a=arn", "", "a=arn"},
        {ARN "x-AbCdEf", "", ARN "x-AbCdEf"},
        {ARN "a=b", "", ARN "a=b"},
        {"arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:a/b", "",
         "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:a/b"},
        {"web=" ARN "x", "web", ARN "x"},
        {"A.b_c-9=" ARN "x=y", "A.b_c-9", ARN "x=y"},
        {L63 "=" ARN "x", L63, ARN "x"},
        {L250 L250 L10 "aa", "", L250 L250 L10 "aa"},
    };
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "is not a secret's name"},
        {"a b", "is not a secret's name"},
        {"a:b", "is not a secret's name"},
        {"a\nb", "is not a secret's name"},
        {"\xc3\xa4", "is not a secret's name"},
        {L250 L250 L10 "aaa", "is not a secret's name"},
        {"arn:aws:secretsmanager", "is not a secret's ARN"},
        {ARN, "is not a secret's ARN"},
        {ARN "x:key:AWSCURRENT:", "has a ':' behind"},
        {"arn:aws:secretsmanager:us-east-1:12345678901:secret:x", "is not a secret's ARN"},
        {"arn:aws:secretsmanager:us-east-1:1234567890123:secret:x", "is not a secret's ARN"},
        {"arn:aws:secretsmanager:us-east-1:12345678901a:secret:x", "is not a secret's ARN"},
        {"arn:aws:secretsmanager::123456789012:secret:x", "is not a secret's ARN"},
        {"arn:aws:secretsmanager:us_east:123456789012:secret:x", "is not a secret's ARN"},
        {"arn:aws:ssm:us-east-1:123456789012:parameter:x", "is not a secret's ARN"},
        {"arn::secretsmanager:us-east-1:123456789012:secret:x", "is not a secret's ARN"},
        {"web=arn:aws:s3:::bucket", "is not a secret's ARN"},
        {"=" ARN "x", "no subdirectory"},
        {".=" ARN "x", "no subdirectory"},
        {"..=" ARN "x", "no subdirectory"},
        {".hidden=" ARN "x", "no subdirectory"},
        {"a/b=" ARN "x", "no subdirectory"},
        {"a=b=" ARN "x", "no subdirectory"},
        {L63 "a=" ARN "x", "no subdirectory"},
    };
    char sub[CONFIG_SUB_MAX];
    const char *id;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_good(good[i].text, value_secret(good[i].text, sub, &id));
        assert_string_equal(sub, good[i].sub);
        assert_string_equal(id, good[i].id);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_bad(bad[i].text, value_secret(bad[i].text, sub, &id), bad[i].words);
}

static void test_endpoints(void **state)
{
    static const struct {
        const char *text, *name, *address;
        uint16_t port;
        const char *path;
    } good[] = {
        {"enclave:3000", "enclave", "enclave", 3000, ""},
        {"Enclave-1.example.com:1", "Enclave-1.example.com", "Enclave-1.example.com", 1, ""},
        {"10.0.1.100:65535", "10.0.1.100", "10.0.1.100", 65535, ""},
        {"[::1]:3000", "::1", "::1", 3000, ""},
        {"[fd00:ec2::23]:443", "fd00:ec2::23", "fd00:ec2::23", 443, ""},
        {"[::ffff:10.0.0.1]:443", "::ffff:10.0.0.1", "::ffff:10.0.0.1", 443, ""},
        {"enclave.internal@127.0.0.1:3000", "enclave.internal", "127.0.0.1", 3000, ""},
        {"enclave.internal@[::1]:3000", "enclave.internal", "::1", 3000, ""},
        {"10.0.0.1@127.0.0.1:3000", "10.0.0.1", "127.0.0.1", 3000, ""},
        {"https://enclave", "enclave", "enclave", 443, ""},
        {"https://enclave/", "enclave", "enclave", 443, ""},
        {"HTTPS://enclave:3000/", "enclave", "enclave", 3000, ""},
        {"https://enclave:3000/health?deep=1", "enclave", "enclave", 3000, "/health?deep=1"},
        {"https://[::1]:3000/a:b@c", "::1", "::1", 3000, "/a:b@c"},
        {"https://[::1]", "::1", "::1", 443, ""},
        {"3com.example:80", "3com.example", "3com.example", 80, ""},
        {"my_enclave:3000", "my_enclave", "my_enclave", 3000, ""},
        {"enclave.test.:3000", "enclave.test", "enclave.test.", 3000, ""},
        {"https://enclave.:1/a", "enclave", "enclave.", 1, "/a"},
        {"enclave.test.@127.0.0.1:3000", "enclave.test", "127.0.0.1", 3000, ""},
        {L63 "." L63 "." L63 "." L60 "a:1", L63 "." L63 "." L63 "." L60 "a",
         L63 "." L63 "." L63 "." L60 "a", 1, ""},
    };
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "has no port"},
        {"enclave", "has no port"},
        {"enclave:", "no port from 1"},
        {"enclave:0", "no port from 1"},
        {"enclave:65536", "no port from 1"},
        {"enclave:100000", "no port from 1"},
        {"enclave:+80", "no port from 1"},
        {"enclave:-80", "no port from 1"},
        {"enclave:0x50", "no port from 1"},
        {"enclave:80a", "no port from 1"},
        {"enclave:http", "no port from 1"},
        {":3000", "has no host"},
        {"https://", "has no host"},
        {"https://:3000", "has no host"},
        {"https:///health", "has no host"},
        {"::1:3000", "more than one ':'"},
        {"fd00::1", "more than one ':'"},
        {"https://::1/", "more than one ':'"},
        {"a:1:2", "more than one ':'"},
        {"[]:3000", "has no host"},
        {"[::1:3000", "a '[' without a ']'"},
        {"[::1]", "has no port"},
        {"[::1]3000", "other than a port"},
        {"[::g]:3000", "no IPv6 address"},
        {"[fe80::1%eth0]:3000", "no IPv6 address"},
        {"[10.0.0.1]:3000", "no IPv6 address"},
        {"[enclave]:3000", "no IPv6 address"},
        {"::1]:3000", "more than one ':'"},
        {"-a:1", "edge of a label"},
        {"a-.b:1", "edge of a label"},
        {"a..b:1", "empty label"},
        {"a..:1", "empty label"},
        {".:1", "empty label"},
        {"10.0.0.1.:1", "neither a name nor four"},
        {"enclave.123.:1", "neither a name nor four"},
        {L63 "." L63 "." L63 "." L60 "aa.:1", "more than 253"},
        {".a:1", "empty label"},
        {"a!b:1", "no letter, digit"},
        {"a*.b:1", "no letter, digit"},
        {"256.0.0.1:1", "neither a name nor four"},
        {"10.0.0:1", "neither a name nor four"},
        {"127.1:1", "neither a name nor four"},
        {"010.0.0.1:1", "neither a name nor four"},
        {"0x7f000001:1", "neither a name nor four"},
        {"2130706433:1", "neither a name nor four"},
        {"1.2.3.4.5:1", "neither a name nor four"},
        {"enclave.123:1", "neither a name nor four"},
        {L63 "a:1", "more than 63"},
        {L63 "." L63 "." L63 "." L60 "aa:1", "more than 253"},
        {L250 L60 L10 ":1", "too long"},
        {"a b:1", "a space"},
        {"a\t:1", "a space"},
        {"a\x7f:1", "a space"},
        {"\xc3\xa4:1", "outside of ASCII"},
        {"http://enclave:3000", "is no https:// URL"},
        {"tcp://enclave:3000", "is no https:// URL"},
        {"enclave:3000/health", "has a path"},
        {"name@host:3000", "has no IP address behind"},
        {"@10.0.0.1:3000", "has no name before"},
        {"name@:3000", "has no host"},
        {"name@10.0.0.1", "has no port"},
        {"a@b@10.0.0.1:1", "no letter, digit"},
        {"https://user@enclave:3000", "has user information"},
        {"https://user:password@enclave", "has user information"},
        {"https://enclave:0/", "no port from 1"},
        {"https://enclave:/", "no port from 1"},
        {"https://enclave?x", "where its path should begin"},
        {"https://enclave#x", "where its path should begin"},
        {"https://enclave/a#b", "has a '#'"},
        {"https://enclave/" L250 "aaaaa", "more than 255"},
    };
    struct endpoint endpoint;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_good(good[i].text, value_endpoint(good[i].text, &endpoint));
        assert_string_equal(endpoint.text, good[i].text);
        assert_string_equal(endpoint.name, good[i].name);
        assert_string_equal(endpoint.address, good[i].address);
        assert_int_equal(endpoint.port, good[i].port);
        assert_string_equal(endpoint.path, good[i].path);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_bad(bad[i].text, value_endpoint(bad[i].text, &endpoint), bad[i].words);
}

static void test_paths(void **state)
{
    static const char *const good[] = {"/", "/a", "/etc/ecs/mtls/", "/a..b/..c/d../...", "//a"};
    static const char *const bad[] = {
        "", "a", "./a", "/..", "/../a", "/a/..", "/a/../b", "/a\nb", "/" L250 L250 L250 L250 L60};

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_good(good[i], value_path(good[i]));
        assert_good(good[i], value_root(good[i]));
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_bad(bad[i], value_path(bad[i]), "");
    assert_null(value_root(""));
    assert_non_null(value_root(".."));
}

static void test_regions(void **state)
{
    static const char *const bad[] = {"",    "eu_central-1", "EU-central-1", "eu-central-1.x",
                                      "a/b", "-a",           "a-",           L63 "a"};

    (void)state;
    assert_bad("eu-central-1a", value_region("eu-central-1a"), "is an availability zone");
    assert_null(value_region("aws-global"));
    assert_null(value_region("eu-central-1"));
    assert_null(value_region("us-gov-west-1"));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_bad(bad[i], value_region(bad[i]), "is not an AWS region");
}

static void test_request_paths(void **state)
{
    static const char *const bad[] = {"",      "health", "/a b",          "/a\r\nX: y",
                                      "/\x80", "/a#b",   "/" L250 "aaaaa"};

    (void)state;
    assert_null(value_request_path("/"));
    assert_null(value_request_path("/health?x=%20"));
    assert_null(value_request_path("/" L250 "aaaa"));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_non_null(value_request_path(bad[i]));
}

static void test_endpoint_urls(void **state)
{
    static const char *const good[] = {
        "https://secretsmanager.eu-central-1.amazonaws.com",
        "https://vpce-1.secretsmanager.eu-central-1.vpce.amazonaws.com/",
        "https://10.0.0.1:8443/path",
        "https://[fd00::1]:8443",
        "http://localhost:4566",
        "http://127.0.0.1",
        "http://127.255.0.9:1/",
        "http://[::1]:4566",
    };
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "is no https:// URL"},
        {"secretsmanager.eu-central-1.amazonaws.com", "is no https:// URL"},
        {"ftp://a", "is no https:// URL"},
        {"https://", "has no host"},
        {"https://a:b", "has no port"},
        {"https://a b", "a space"},
        {"https://user:password@a", "has user information"},
        {"https://a/?x", "a '?' or '#'"},
        {"https://a/#x", "a '?' or '#'"},
        {"https://a?x", "where its path should begin"},
        {"http://10.0.0.1:4566", "leads away from this machine"},
        {"http://localhost.example:4566", "leads away from this machine"},
        {"http://[::2]:4566", "leads away from this machine"},
        {"http://127.1:4566", "neither a name nor four"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_good(good[i], value_endpoint_url(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_bad(bad[i].text, value_endpoint_url(bad[i].text), bad[i].words);
}

static void test_proxies(void **state)
{
    static const char *const good[] = {"proxy:3128", "http://proxy.example.com:3128/",
                                       "HTTP://proxy", "10.0.0.1:80", "http://[fd00::1]:3128"};
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "has no host"},
        {"https://proxy:3128", "only plain http proxies"},
        {"socks5://proxy:1080", "is no http:// proxy"},
        {"http://me:hunter2@proxy:3128", "the environment's HTTPS_PROXY"},
        {"me@proxy:3128", "the environment's HTTPS_PROXY"},
        {"http://proxy:3128/path", "has a path"},
        {"proxy:99999", "has no port"},
        {"a b:1", "what is no letter"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_good(good[i], value_proxy(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_bad(bad[i].text, value_proxy(bad[i].text), bad[i].words);
}

/* As Go reads it: https://pkg.go.dev/golang.org/x/net/http/httpproxy */
static void test_no_proxy(void **state)
{
    static const struct {
        const char *list, *host;
        unsigned port;
        bool fits;
    } cases[] = {
        {"x.com", "x.com", 443, true},
        {"x.com", "a.X.com", 443, true},
        {"x.com", "ax.com", 443, false},
        {".x.com", "a.x.com", 443, true},
        {".x.com", "x.com", 443, false},
        {"*.x.com", "a.b.x.com", 443, true},
        {"*.x.com", "x.com", 443, false},
        {" a.com , x.com\t", "x.com", 443, true},
        {",,x.com,", "x.com", 443, true},
        {"x.com:443", "x.com", 443, true},
        {"x.com:8443", "x.com", 443, false},
        {"*", "x.com", 443, true},
        {"*,y", "192.0.2.1", 443, true},
        {"192.0.2.1", "192.0.2.1", 443, true},
        {"192.0.2.1:80", "192.0.2.1", 443, false},
        {"192.0.2.0/24", "192.0.2.7", 443, true},
        {"192.0.2.0/25", "192.0.2.200", 443, false},
        {"0.0.0.0/0", "192.0.2.200", 443, true},
        {"0.0.0.0/0", "x.com", 443, false},
        {"2001:db8::/33", "2001:db8:7fff::1", 443, true},
        {"2001:db8::/33", "2001:db8:8000::1", 443, false},
        {"2001:DB8::1", "2001:db8:0::1", 443, true},
        {"[2001:db8::1]:443", "2001:db8::1", 443, true},
        {"2.1", "192.0.2.1", 443, false},
        {"a;x.com", "x.com", 443, false},
        {"a x.com", "x.com", 443, false},
        {"https://x.com", "x.com", 443, false},
        {NULL, "x.com", 443, false},
    };
    static const struct {
        const char *list, *strange;
    } strange[] = {
        {"a.com,*.b.com,.c.com,d:1,10.0.0.0/8,::1,[::1]:2,*", NULL},
        {"a.com; b.com", "a.com; b.com"},
        {"a.com, b c , d", "b c"},
        {"https://a.com", "https://a.com"},
        {"a,10.0.0.0/33", "10.0.0.0/33"},
        {"10.0.0.*", "10.0.0.*"},
        {"a:port", "a:port"},
        {"a:0", "a:0"},
        {"[::1", "[::1"},
        {"*.", "*."},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (no_proxy_fits(cases[i].list, cases[i].host, cases[i].port) != cases[i].fits)
            fail_msg("%s: %s", cases[i].list ? cases[i].list : "", cases[i].host);
    for (size_t i = 0; i < COUNT(strange); i++) {
        const char *at = strange[i].list, *found;
        size_t len = 0;

        found = no_proxy_strange(&at, &len);
        if (!strange[i].strange ? found != NULL
                                : !found || strlen(strange[i].strange) != len ||
                                      strncmp(found, strange[i].strange, len) != 0)
            fail_msg("%s", strange[i].list);
        assert_true((value_no_proxy(strange[i].list) == NULL) == (strange[i].strange == NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_proxy),      cmocka_unit_test(test_proxies),
        cmocka_unit_test(test_durations),     cmocka_unit_test(test_modes),
        cmocka_unit_test(test_owners),        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_endpoints),     cmocka_unit_test(test_paths),
        cmocka_unit_test(test_regions),       cmocka_unit_test(test_request_paths),
        cmocka_unit_test(test_endpoint_urls),
    };

    return cmocka_run_group_tests_name("config_values", tests, NULL, NULL);
}
