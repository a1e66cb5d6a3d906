/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instance metadata and the container's agent: a byte of choices, a token file, then answers
 * (answers.h).
 */
#include "answers.h"
#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/credentials/sources.h"
#include "aws/environment.h"
#include "aws/region.h"
#include "aws/shortage.h"
#include "config/options.h"
#include "fuzz.h"

static bool is_graphic(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

/* What goes into headers is fit for them. */
static void check_credentials(const struct credentials *credentials)
{
    FUZZ_CHECK(credentials->access_key_id && is_graphic(credentials->access_key_id));
    FUZZ_CHECK(credentials->secret_access_key && is_graphic(credentials->secret_access_key));
    FUZZ_CHECK(!credentials->session_token || is_graphic(credentials->session_token));
}

static void ask(const struct aws *aws,
                enum source_state (*source)(const struct aws *aws, struct credentials *credentials,
                                            struct err *err))
{
    const size_t before = shortage_look();
    struct credentials credentials = {0};
    enum source_state state;
    struct err err;

    fuzz_err_open(&err);
    state = source(aws, &credentials, &err);
    if (state == SOURCE_FOUND) {
        check_credentials(&credentials);
    } else {
        (void)shortage_blame(before, NULL, &err); /* as who asks for them does */
        fuzz_err_check(&err);
    }
    credentials_clear(&credentials);
}

static void ask_region(const struct aws *aws)
{
    char region[REGION_MAX];
    struct err err;

    fuzz_err_open(&err);
    (void)fuzz_result(region_resolve(aws, "name", region, &err), &err);
}

void fuzz(struct bytes input)
{
    const unsigned how = fuzz_byte(&input);
    const struct bytes token = fuzz_part(&input);
    const struct config_variable variables[] = {
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/credentials"},
        {how & 4 ? "AWS_EC2_METADATA_SERVICE_ENDPOINT" : "-", "https://metadata.example/base/"},
        {how & 8 ? "AWS_METADATA_SERVICE_NUM_ATTEMPTS" : "-", "3"},
        {how & 16 ? "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" : "-", fuzz_file(0, token)},
        {how & 32 ? "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE" : "-", "IPv6"},
        {NULL, NULL},
    };
    const struct config config = {.variables = variables};
    char *text = fuzz_text(token);
    const struct environment environment = {.container_token = how & 64 ? text : NULL};
    const struct aws aws = {
        .config = &config, .environment = &environment, .deadline = 1000000 + 20000};

    answers_begin(input);
    if ((how & 3) == 0)
        ask_region(&aws);
    else
        ask(&aws, how & 1 ? source_imds : source_container);
    free(text);
}
