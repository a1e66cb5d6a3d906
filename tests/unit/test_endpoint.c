/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "aws/endpoint.h"
#include "aws/secretsmanager.h"
#include "aws_fixture.h"
#include "samples.h"

static void assert_endpoint(const char *region, const char *url)
{
    struct aws_endpoint endpoint;

    if (endpoint_resolve(&endpoint, &aws, ENDPOINT_SECRETSMANAGER, region, &err) < 0)
        fail_msg("got %s: %s", err.subject, err.reason);
    assert_string_equal(endpoint.text, url);
}

static void test_endpoint_of_partition(void **state)
{
    (void)state;
    assert_endpoint("us-east-1", "https://secretsmanager.us-east-1.amazonaws.com");
    assert_endpoint("us-gov-west-1", "https://secretsmanager.us-gov-west-1.amazonaws.com");
    assert_endpoint("cn-north-1", "https://secretsmanager.cn-north-1.amazonaws.com.cn");
    assert_endpoint("eusc-de-east-1", "https://secretsmanager.eusc-de-east-1.amazonaws.eu");
    assert_endpoint("us-iso-east-1", "https://secretsmanager.us-iso-east-1.c2s.ic.gov");
    assert_endpoint("us-isob-east-1", "https://secretsmanager.us-isob-east-1.sc2s.sgov.gov");
    assert_endpoint("eu-isoe-west-1", "https://secretsmanager.eu-isoe-west-1.cloud.adc-e.uk");
    assert_endpoint("us-isof-south-1", "https://secretsmanager.us-isof-south-1.csp.hci.ic.gov");
    assert_endpoint("xx-new-1", "https://secretsmanager.xx-new-1.amazonaws.com");
}

static void test_endpoint_variants(void **state)
{
    (void)state;
    (void)setenv("AWS_USE_FIPS_ENDPOINT", "true", 1);
    assert_endpoint("us-east-1", "https://secretsmanager-fips.us-east-1.amazonaws.com");
    (void)setenv("AWS_USE_DUALSTACK_ENDPOINT", "true", 1);
    assert_endpoint("us-east-1", "https://secretsmanager-fips.us-east-1.amazonaws.com");
    assert_endpoint("cn-north-1",
                    "https://secretsmanager-fips.cn-north-1.api.amazonwebservices.com.cn");
    (void)unsetenv("AWS_USE_FIPS_ENDPOINT");
    assert_endpoint("eusc-de-east-1",
                    "https://secretsmanager.eusc-de-east-1.api.amazonwebservices.eu");
}

static void test_endpoint_configured(void **state)
{
    (void)state;
    (void)setenv("AWS_ENDPOINT_URL", "https://all.example", 1);
    assert_endpoint("us-east-1", "https://all.example");
    (void)setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "https://one.example:8443/base", 1);
    assert_endpoint("us-east-1", "https://one.example:8443/base");
    (void)setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "True", 1);
    assert_endpoint("us-east-1", "https://secretsmanager.us-east-1.amazonaws.com");
    config.endpoint_url = "https://option.example";
    assert_endpoint("us-east-1", "https://option.example");
}

static void test_endpoint_parts(void **state)
{
    static const struct {
        const char *text, *name, *host, *path;
    } cases[] = {
        {"https://h.example", "h.example", "h.example", ""},
        {"HTTPS://h.example:443/", "h.example", "h.example", "/"},
        {"https://h.example:8443/a/b", "h.example", "h.example:8443", "/a/b"},
        {"http://127.0.0.1:80", "127.0.0.1", "127.0.0.1", ""},
        {"http://[::1]:4566/", "::1", "[::1]:4566", "/"},
        {"https://[::1]", "::1", "[::1]", ""},
    };
    struct aws_endpoint endpoint;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config.endpoint_url = cases[i].text;
        assert_int_equal(
            endpoint_resolve(&endpoint, &aws, ENDPOINT_SECRETSMANAGER, "us-east-1", &err), 0);
        assert_string_equal(endpoint.url.name, cases[i].name);
        assert_string_equal(endpoint.url.host, cases[i].host);
        assert_string_equal(endpoint.url.path, cases[i].path);
    }
}

static void test_endpoint_refused(void **state)
{
    static const char *const urls[] = {
        "h.example",
        "ftp://h.example",
        "https://",
        "https://u:p@h.example",
        "https://h.example:",
        "https://h.example:0",
        "https://h:65536",
        "https://h.example#f",
        "https://h.example?q",
        "https://h.example/?q",
        "https://h .example",
        "https://[::1",
        "https://[h.example]",
        "https://h\xC3\xA9",
        "https:/h.example",
        "https://h:4x/",
    };
    struct aws_endpoint endpoint;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        config.endpoint_url = urls[i];
        if (endpoint_resolve(&endpoint, &aws, ENDPOINT_SECRETSMANAGER, "us-east-1", &err) == 0)
            fail_msg("accepted %s", urls[i]);
        assert_err(ERR_CONFIG, "the endpoint");
    }
    config.endpoint_url = "http://127.0.0.1:4566";
    config.allow_plaintext_endpoint = false;
    assert_int_equal(endpoint_resolve(&endpoint, &aws, ENDPOINT_SECRETSMANAGER, "us-east-1", &err),
                     -1);
    assert_err(ERR_CONFIG, "--allow-plaintext-endpoint");
    (void)setenv("AWS_USE_FIPS_ENDPOINT", "true", 1);
    assert_int_equal(endpoint_resolve(&endpoint, &aws, ENDPOINT_SECRETSMANAGER, "us-east-1", &err),
                     -1);
    assert_err(ERR_CONFIG, "FIPS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_endpoint_of_partition, aws_fixture),
        cmocka_unit_test_setup(test_endpoint_variants, aws_fixture),
        cmocka_unit_test_setup(test_endpoint_configured, aws_fixture),
        cmocka_unit_test_setup(test_endpoint_parts, aws_fixture),
        cmocka_unit_test_setup(test_endpoint_refused, aws_fixture),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
