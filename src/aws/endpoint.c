/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/endpoint.h"

#include <string.h>
#include <strings.h>

#include "aws/aws.h"
#include "aws/profile.h"
#include "base/err.h"
#include "base/secrecy.h"
#include "config/config.h"

/* The URL that the user configured, or NULL. */
static const char *configured(const struct aws *aws, enum endpoint_service service, bool ignored)
{
    const struct config *config = aws->config;
    bool secrets = service == ENDPOINT_SECRETSMANAGER;
    const char *own = secrets ? "AWS_ENDPOINT_URL_SECRETS_MANAGER" : "AWS_ENDPOINT_URL_STS";
    const char *text = secrets ? config->endpoint_url : NULL;

    if (text || ignored)
        return text;
    text = config_variable(config, own);
    if (!text)
        text = config_variable(config, "AWS_ENDPOINT_URL");
    if (!text)
        text = profile_endpoint_url(aws, secrets ? PROFILE_SECRETSMANAGER : PROFILE_STS);
    return text;
}

int endpoint_switches(const struct aws *aws, struct endpoint_params *params, bool *ignored,
                      struct err *err)
{
    char shown[SECRECY_QUOTED_MAX];
    const char *value;

    if (profile_switch(aws, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
                       "ignore_configured_endpoint_urls", ignored, err) < 0 ||
        profile_switch(aws, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", &params->fips, err) < 0 ||
        profile_switch(aws, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint",
                       &params->dual_stack, err) < 0)
        return -1;
    value = profile_setting(aws, "AWS_STS_REGIONAL_ENDPOINTS", "sts_regional_endpoints");
    params->global = value && strcasecmp(value, "legacy") == 0;
    if (!value || params->global || strcasecmp(value, "regional") == 0)
        return 0;
    return err_set(err, ERR_CONFIG, "AWS_STS_REGIONAL_ENDPOINTS",
                   "%s is neither regional nor legacy", secrecy_quoted(shown, value));
}

int endpoint_resolve(struct aws_endpoint *endpoint, const struct aws *aws,
                     enum endpoint_service service, const char *region, struct err *err)
{
    const struct config *config = aws->config;
    struct endpoint_params params = {.service = service, .region = region};
    bool ignored;

    if (endpoint_switches(aws, &params, &ignored, err) < 0)
        return -1;
    params.custom = aws->region ? NULL : configured(aws, service, ignored);
    if (endpoint_by_rules(endpoint, &params, err) < 0)
        return -1;
    if (url_parse(&endpoint->url, endpoint->text) < 0)
        return err_set(err, ERR_CONFIG, endpoint->text,
                       "the endpoint is no https:// URL of a host");
    if (strchr(endpoint->url.path, '?'))
        return err_set(err, ERR_CONFIG, endpoint->text, "the endpoint's URL has a query");
    if (!endpoint->url.tls && !config->allow_plaintext_endpoint)
        return err_set(err, ERR_CONFIG, endpoint->text,
                       "private keys do not travel over http; for a loopback address there is "
                       "--allow-plaintext-endpoint");
    return 0;
}
