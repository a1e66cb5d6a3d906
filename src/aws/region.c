/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/region.h"

#include <stdio.h>
#include <string.h>

#include "aws/aws.h"
#include "aws/imds.h"
#include "aws/profile.h"
#include "base/err.h"
#include "config/config.h"

/* Copies text if it has a region's form, "us-gov-west-1": it becomes part of a host name. */
static int copy(char out[REGION_MAX], struct bytes text)
{
    size_t i;

    if (text.len == 0 || text.len >= REGION_MAX || text.data[0] == '-' ||
        text.data[text.len - 1] == '-')
        return -1;
    for (i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-')
            return -1;
    }
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return 0;
}

/* The fourth part of arn:partition:secretsmanager:region:account:secret:name; len 0: no ARN. */
static struct bytes region_of_arn(const char *id)
{
    int part;

    if (strncmp(id, "arn:", 4) != 0)
        return bytes_of(NULL, 0);
    for (part = 0; part < 3; part++) {
        id += strcspn(id, ":");
        id += *id == ':';
    }
    return bytes_of(id, strcspn(id, ":"));
}

static int ask_imds(const struct aws *aws, const char *secret_id, char out[REGION_MAX],
                    struct err *err)
{
    struct buf text = {.tag = ARENA_WORK};
    struct imds *imds = NULL;
    struct err why = {0};
    int r = -1;

    if (imds_open(&imds, aws, &why) == IMDS_FOUND &&
        imds_get(imds, "placement/region", &text, &why) == IMDS_FOUND) {
        r = copy(out, buf_bytes(&text));
        if (r < 0)
            (void)err_set(&why, ERR_REGION_MISSING, NULL, "it gave no region's name");
    }
    imds_close(imds);
    buf_free(&text);
    if (r < 0)
        return err_set(err,
                       why.code == ERR_AWS_UNREACHABLE ? ERR_AWS_UNREACHABLE : ERR_REGION_MISSING,
                       secret_id,
                       "the region is not in the ARN, --region, AWS_REGION, AWS_DEFAULT_REGION or "
                       "the profile; instance metadata: %s",
                       why.reason);
    return 0;
}

/* The region that the user chose for everything. 1: it is there; 0: none is; -1: it is none. */
static int read_chosen(const struct aws *aws, char out[REGION_MAX], struct err *err)
{
    const struct {
        const char *name;
        const char *value;
    } places[] = {
        {"--region", aws->config->region},
        {"AWS_REGION", config_variable(aws->config, "AWS_REGION")},
        {"AWS_DEFAULT_REGION", profile_setting(aws, "AWS_DEFAULT_REGION", "region")},
    };
    size_t i;

    for (i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (!places[i].value)
            continue;
        if (copy(out, bytes_of_text(places[i].value)) < 0)
            return err_set(err, ERR_REGION_MISSING, NULL, "%s%s is no region's name",
                           places[i].name, i == 2 ? ", or the profile's region," : "");
        return 1;
    }
    return 0;
}

static int choose(const struct aws *aws, const char *secret_id, char out[REGION_MAX],
                  struct err *err)
{
    int r = read_chosen(aws, out, err);

    if (r == 0)
        return ask_imds(aws, secret_id, out, err);
    return r < 0 ? -1 : 0;
}

int region_resolve(const struct aws *aws, const char *secret_id, char out[REGION_MAX],
                   struct err *err)
{
    if (strncmp(secret_id, "arn:", 4) != 0)
        return choose(aws, secret_id, out, err);
    if (copy(out, region_of_arn(secret_id)) < 0)
        return err_set(err, ERR_REGION_MISSING, secret_id, "the ARN names no region");
    return 0;
}

/* The first secret that is given by its ARN; NULL: none is. */
static const char *first_arn(const struct config *config)
{
    size_t i, j;

    for (i = 0; i < config->set_count; i++)
        for (j = 0; j < config->sets[i].secret_count; j++)
            if (strncmp(config->sets[i].secrets[j], "arn:", 4) == 0)
                return config->sets[i].secrets[j];
    return NULL;
}

int region_of_session(const struct aws *aws, char out[REGION_MAX], struct err *err)
{
    const char *arn = first_arn(aws->config);
    int r = read_chosen(aws, out, err);

    if (r != 0)
        return r < 0 ? -1 : 0;
    if (arn)
        return region_resolve(aws, arn, out, err);
    return ask_imds(aws, NULL, out, err);
}
