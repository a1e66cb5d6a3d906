/* SPDX-License-Identifier: Apache-2.0 */
#include "aws_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct config config;
struct environment environment;
struct aws aws;
struct err err;

int aws_fixture(void **state)
{
    (void)state;
    (void)unsetenv("AWS_ENDPOINT_URL");
    (void)unsetenv("AWS_ENDPOINT_URL_SECRETS_MANAGER");
    (void)unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    (void)unsetenv("AWS_USE_FIPS_ENDPOINT");
    (void)unsetenv("AWS_USE_DUALSTACK_ENDPOINT");
    config = (struct config){.region = "eu-central-1", .allow_plaintext_endpoint = true};
    environment = (struct environment){.access_key_id = "AKIDEXAMPLE",
                                       .secret_access_key = "wJalrXUtnFEMIK7MDENG"};
    aws = (struct aws){
        .config = &config, .environment = &environment, .deadline = clock_ms() + 60000};
    err = (struct err){0};
    return 0;
}

void assert_err(enum err_code code, const char *reason_part)
{
    if (err.code != code || !strstr(err.reason, reason_part))
        fail_msg("got %s: %s: %s", err_info(err.code)->name, err.subject, err.reason);
}
