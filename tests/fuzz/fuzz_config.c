/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file: what is read is read again as the same, and its authorities are PEM. A
 * second part is the file as it is when it is read again.
 */
#include "config/config.h"

#include <stdio.h>

#include "aws/aws.h"
#include "aws/roots.h"
#include "config/config_values.h"
#include "fuzz.h"
#include "x509/verify.h"

static void check_endpoints(const struct config *config)
{
    struct endpoint again;
    size_t i;

    FUZZ_CHECK(config->endpoint_count <= CONFIG_ENDPOINTS_MAX);
    for (i = 0; i < config->endpoint_count; i++) {
        FUZZ_CHECK(value_endpoint(config->endpoints[i].text, &again) == NULL);
        FUZZ_CHECK(memcmp(&again, &config->endpoints[i], sizeof again) == 0);
    }
}

static void check_changed(const struct config *config, struct bytes text)
{
    struct config *again = NULL;
    struct err err;

    if (text.len == 0)
        return;
    (void)fuzz_file(0, text);
    fuzz_err_open(&err);
    if (fuzz_result(config_reload(config, &again, &err), &err) == 0)
        FUZZ_CHECK(strcmp(again->dir, config->dir) == 0);
    config_free(again);
}

static void check_again(const struct config *config)
{
    struct config *again = NULL;
    struct err err;

    fuzz_err_open(&err);
    if (config_reload(config, &again, &err) < 0) {
        FUZZ_CHECK(fuzz_starved());
        return;
    }
    FUZZ_CHECK(again->set_count == config->set_count);
    FUZZ_CHECK(again->endpoint_count == config->endpoint_count);
    FUZZ_CHECK(again->deadline_ms == config->deadline_ms && again->owner == config->owner);
    config_free(again);
}

/* Not by a path, which leads anywhere. */
static void check_roots(const struct config *config)
{
    const struct aws aws = {.config = config};
    struct anchors *anchors;
    struct err err;

    (void)roots_profile(&aws);
    if (config->ca_bundle && config->ca_bundle[0] == '/')
        return;
    if (!config->ca_bundle && config_variable(config, "AWS_CA_BUNDLE"))
        return;
    fuzz_err_open(&err);
    anchors = roots_load(&aws, &err);
    if (!anchors)
        fuzz_err_check(&err);
    FUZZ_CHECK(anchors || config->ca_bundle || fuzz_starved());
    anchors_free(anchors);
}

static void told(void *user, const char *subject, const char *reason)
{
    (void)user;
    FUZZ_CHECK(*subject && *reason);
}

/* Who collects mistakes finds one where who does not ends with one. */
static void check_mistakes(char *path)
{
    char *const all[] = {"mtls-agent", "check-config", "run", "--config", path, NULL};
    char *const first[] = {"mtls-agent", "run", "--config", path, NULL};
    struct config *config = NULL, *good = NULL;
    char sources[CONFIG_SOURCES_MAX];
    struct err err;
    int result;

    fuzz_err_open(&err);
    if (fuzz_result(config_parse(5, all, &config, &err), &err) < 0) {
        FUZZ_CHECK(fuzz_starved());
        return;
    }
    FUZZ_CHECK(config->view && config->mistake_count <= CONFIG_MISTAKES_MAX);
    for (size_t i = 0; i < config->mistake_count; i++)
        FUZZ_CHECK(*config->mistakes[i].place && *config->mistakes[i].reason);
    config_review(config, told, NULL);
    config_sources(config, sources);
    fuzz_err_open(&err);
    result = fuzz_result(config_parse(4, first, &good, &err), &err);
    FUZZ_CHECK((result == 0) == (config->mistake_count == 0) || fuzz_starved());
    config_free(good);
    config_free(config);
}

void fuzz(struct bytes input)
{
    char path[64];
    char *const argv[] = {"mtls-agent", "--config", path, NULL};
    struct config *config = NULL;
    struct err err;

    (void)snprintf(path, sizeof path, "%s", fuzz_file(0, fuzz_part(&input)));
    check_mistakes(path);
    fuzz_err_open(&err);
    if (fuzz_result(config_parse(3, argv, &config, &err), &err) < 0)
        return;
    FUZZ_CHECK(config->set_count <= CONFIG_SETS_MAX && config->file);
    config_log(config);
    check_endpoints(config);
    check_again(config);
    check_roots(config);
    check_changed(config, input);
    config_free(config);
}
