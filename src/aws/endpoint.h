/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_ENDPOINT_H
#define AWS_ENDPOINT_H

#include <stdbool.h>

#include "aws/region.h"
#include "aws/url.h"

struct aws;
struct err;

enum endpoint_service { ENDPOINT_SECRETSMANAGER, ENDPOINT_STS };

/* Where a service is reached. url points into text: not to be copied. */
#define ENDPOINT_TEXT_MAX 512
struct aws_endpoint {
    char text[ENDPOINT_TEXT_MAX];
    char region[REGION_MAX]; /* to sign for */
    struct url url;
};

/* What the SDKs' endpoint rules decide by. */
struct endpoint_params {
    enum endpoint_service service;
    const char *region; /* NULL: not known */
    const char *custom; /* the URL that the user configured; NULL: none */
    bool fips;
    bool dual_stack;
    bool global; /* STS: sts.amazonaws.com for the regions that there were before regional STS */
};

/*
 * The SDKs' own endpoint rules, as in botocore's endpoint-rule-set-1.json. Pure; fills text and
 * region, and leaves url alone. ERR_CONFIG, ERR_REGION_MISSING.
 */
int endpoint_by_rules(struct aws_endpoint *endpoint, const struct endpoint_params *params,
                      struct err *err);

/*
 * Reads the SDKs' switches, and whether configured URLs are ignored. ERR_CONFIG where a value is
 * none of the switch's words.
 */
int endpoint_switches(const struct aws *aws, struct endpoint_params *params, bool *ignored,
                      struct err *err);

/* The id of the partition that a region is of: "aws-cn". */
const char *endpoint_partition(const char *region);

/*
 * The endpoint by these rules and the configuration: for Secrets Manager endpoint-url and
 * AWS_ENDPOINT_URL_SECRETS_MANAGER, for STS AWS_ENDPOINT_URL_STS, then for both AWS_ENDPOINT_URL;
 * AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT, AWS_STS_REGIONAL_ENDPOINTS.
 *
 * A configured URL does not count for a fallback region, which has its own endpoint. A configured
 * http:// is refused without allow-plaintext-endpoint; with it, requests must pass
 * url_address_is_loopback(). ERR_CONFIG.
 */
int endpoint_resolve(struct aws_endpoint *endpoint, const struct aws *aws,
                     enum endpoint_service service, const char *region, struct err *err);

#endif
