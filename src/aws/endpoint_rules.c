/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "aws/endpoint.h"
#include "base/err.h"

/* Where a host name departs from "SERVICE[-fips].REGION.SUFFIX" by the partition's suffixes. */
enum exception {
    SECRETS_DUAL_PLAIN = 1,      /* dual stack under the ordinary name */
    SECRETS_DUAL_FIPS_PLAIN = 2, /* the same with FIPS */
    STS_FIPS_PLAIN = 4           /* FIPS under the ordinary name */
};

/*
 * https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json: a region is of the
 * partition where it is PREFIX-WORD-NUMBER, or ID-global; of "aws", the last, where it is neither.
 */
static const struct partition {
    const char *id;
    const char *prefixes; /* one or more, with '|' between them */
    const char *suffix;
    const char *dual_suffix;
    unsigned exceptions;
} partitions[] = {
    {"aws-us-gov", "us-gov", "amazonaws.com", "api.aws",
     SECRETS_DUAL_PLAIN | SECRETS_DUAL_FIPS_PLAIN | STS_FIPS_PLAIN},
    {"aws-cn", "cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn", SECRETS_DUAL_PLAIN},
    {"aws-eusc", "eusc-de", "amazonaws.eu", "api.amazonwebservices.eu", 0},
    {"aws-iso", "us-iso", "c2s.ic.gov", "api.aws.ic.gov", 0},
    {"aws-iso-b", "us-isob", "sc2s.sgov.gov", "api.aws.scloud", 0},
    {"aws-iso-e", "eu-isoe", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", 0},
    {"aws-iso-f", "us-isof", "csp.hci.ic.gov", "api.aws.hci.ic.gov", 0},
    {"aws", "us|eu|ap|sa|ca|me|af|il|mx", "amazonaws.com", "api.aws",
     SECRETS_DUAL_PLAIN | SECRETS_DUAL_FIPS_PLAIN},
};

/* The regions that sts.amazonaws.com serves besides aws-global. */
static const char *const global_sts_regions[] = {
    "ap-northeast-1", "ap-south-1",   "ap-southeast-1", "ap-southeast-2",
    "aws-global",     "ca-central-1", "eu-central-1",   "eu-north-1",
    "eu-west-1",      "eu-west-2",    "eu-west-3",      "sa-east-1",
    "us-east-1",      "us-east-2",    "us-west-1",      "us-west-2",
};

/* Whether text is "-WORD-NUMBER". */
static bool is_place(const char *text)
{
    size_t word, digits;

    if (*text != '-')
        return false;
    word = strspn(++text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    if (word == 0 || text[word] != '-')
        return false;
    text += word + 1;
    digits = strspn(text, "0123456789");
    return digits > 0 && text[digits] == '\0';
}

static bool is_of(const char *region, const struct partition *partition)
{
    const char *prefix = partition->prefixes;
    size_t len = strlen(partition->id);

    if (strncmp(region, partition->id, len) == 0 && strcmp(region + len, "-global") == 0)
        return true;
    for (;; prefix += len + 1) {
        len = strcspn(prefix, "|");
        if (strncmp(region, prefix, len) == 0 && is_place(region + len))
            return true;
        if (prefix[len] == '\0')
            return false;
    }
}

static const struct partition *partition_of(const char *region)
{
    const struct partition *last = &partitions[sizeof partitions / sizeof partitions[0] - 1];
    const struct partition *partition = partitions;

    while (partition < last && !is_of(region, partition))
        partition++;
    return partition;
}

const char *endpoint_partition(const char *region)
{
    return partition_of(region)->id;
}

/* Whether sts.amazonaws.com is to be asked: by choice where it may, or for want of another. */
static bool is_global(const struct endpoint_params *params)
{
    size_t i;

    if (params->service != ENDPOINT_STS || params->fips || params->dual_stack)
        return false;
    if (!params->global)
        return strcmp(params->region, "aws-global") == 0;
    for (i = 0; i < sizeof global_sts_regions / sizeof global_sts_regions[0]; i++)
        if (strcmp(params->region, global_sts_regions[i]) == 0)
            return true;
    return false;
}

static int print(struct aws_endpoint *endpoint, const struct endpoint_params *params)
{
    const struct partition *partition = partition_of(params->region);
    bool secrets = params->service == ENDPOINT_SECRETSMANAGER;
    unsigned plain = params->fips ? SECRETS_DUAL_FIPS_PLAIN : SECRETS_DUAL_PLAIN;
    bool dual = params->dual_stack && !(secrets && partition->exceptions & plain);
    bool fips = params->fips &&
                (secrets || params->dual_stack || !(partition->exceptions & STS_FIPS_PLAIN));

    return snprintf(endpoint->text, sizeof endpoint->text, "https://%s%s.%s.%s",
                    secrets ? "secretsmanager" : "sts", fips ? "-fips" : "", params->region,
                    dual ? partition->dual_suffix : partition->suffix);
}

int endpoint_by_rules(struct aws_endpoint *endpoint, const struct endpoint_params *params,
                      struct err *err)
{
    bool global = !params->custom && params->region && is_global(params);
    const char *region = global ? "us-east-1" : params->region ? params->region : "";
    int len;

    if (params->custom && params->fips)
        return err_set(err, ERR_CONFIG, params->custom,
                       "FIPS endpoints are AWS's own: a configured endpoint is not one of them");
    if (params->custom && params->dual_stack)
        return err_set(err, ERR_CONFIG, params->custom,
                       "dual-stack endpoints are AWS's own: a configured endpoint is not one");
    if (!params->custom && !*region)
        return err_set(err, ERR_REGION_MISSING, NULL, "an AWS endpoint belongs to a region");
    (void)snprintf(endpoint->region, sizeof endpoint->region, "%s", region);
    if (params->custom)
        len = snprintf(endpoint->text, sizeof endpoint->text, "%s", params->custom);
    else if (global)
        len = snprintf(endpoint->text, sizeof endpoint->text, "https://sts.amazonaws.com");
    else
        len = print(endpoint, params);
    if (len < 0 || (size_t)len >= sizeof endpoint->text)
        return err_set(err, ERR_CONFIG, params->custom ? params->custom : region,
                       "the endpoint's URL is too long");
    return 0;
}
