/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/endpoint.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "aws/aws.h"
#include "base/err.h"
#include "config/config.h"

/* Partitions by their regions' first letters; as in the SDKs, a region of no other one is of "aws".
 */
static const struct partition {
    const char *prefix;
    const char *dns_suffix;
} partitions[] = {
    {"us-gov-", "amazonaws.com"},   /* aws-us-gov */
    {"cn-", "amazonaws.com.cn"},    /* aws-cn */
    {"eusc-", "amazonaws.eu"},      /* aws-eusc */
    {"us-iso-", "c2s.ic.gov"},      /* aws-iso */
    {"us-isob-", "sc2s.sgov.gov"},  /* aws-iso-b */
    {"eu-isoe-", "cloud.adc-e.uk"}, /* aws-iso-e */
    {"us-isof-", "csp.hci.ic.gov"}, /* aws-iso-f */
    {"", "amazonaws.com"},          /* aws */
};

static const char *dns_suffix(const char *region)
{
    const struct partition *partition = partitions;

    while (strncmp(region, partition->prefix, strlen(partition->prefix)) != 0)
        partition++;
    return partition->dns_suffix;
}

static bool is_on(const struct config *config, const char *name)
{
    const char *value = config_variable(config, name);

    return value && strcasecmp(value, "true") == 0;
}

/* The URL that the user configured, or NULL. */
static const char *configured(const struct config *config)
{
    const char *text = config->endpoint_url;

    if (text || is_on(config, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"))
        return text;
    text = config_variable(config, "AWS_ENDPOINT_URL_SECRETS_MANAGER");
    return text ? text : config_variable(config, "AWS_ENDPOINT_URL");
}

static int check(const struct aws_endpoint *endpoint, const struct config *config, struct err *err)
{
    if (strchr(endpoint->url.path, '?'))
        return err_set(err, ERR_CONFIG, endpoint->text, "the endpoint's URL has a query");
    if (!endpoint->url.tls && !config->allow_plaintext_endpoint)
        return err_set(err, ERR_CONFIG, endpoint->text,
                       "private keys do not travel over http; for a loopback address there is "
                       "--allow-plaintext-endpoint");
    return 0;
}

int endpoint_resolve(struct aws_endpoint *endpoint, const struct aws *aws, const char *region,
                     struct err *err)
{
    const char *text = configured(aws->config);
    int len;

    if (is_on(aws->config, "AWS_USE_FIPS_ENDPOINT"))
        return err_set(err, ERR_CONFIG, "AWS_USE_FIPS_ENDPOINT",
                       "FIPS endpoints are not supported");
    if (text)
        len = snprintf(endpoint->text, sizeof endpoint->text, "%s", text);
    else
        len = snprintf(endpoint->text, sizeof endpoint->text, "https://secretsmanager.%s.%s",
                       region, dns_suffix(region));
    if (len < 0 || (size_t)len >= sizeof endpoint->text ||
        url_parse(&endpoint->url, endpoint->text) < 0)
        return err_set(err, ERR_CONFIG, text ? text : region,
                       "the endpoint is no https:// URL of a host");
    return check(endpoint, aws->config, err);
}
