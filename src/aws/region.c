/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/region.h"

#include <stdio.h>
#include <string.h>

#include "aws/aws.h"
#include "aws/imds.h"
#include "aws/profile.h"
#include "aws/shortage.h"
#include "base/err.h"
#include "base/secrecy.h"
#include "config/config.h"
#include "config/config_values.h"

/* Copies text if it has a region's form, "us-gov-west-1": it becomes part of a host name. NULL, or
 * why it has not. */
static const char *copy(char out[REGION_MAX], struct bytes text)
{
    const char *why = NULL;

    if (text.len >= REGION_MAX || memchr(text.data ? (const void *)text.data : "", 0, text.len))
        why = "is not an AWS region, such as eu-central-1";
    if (why)
        return why;
    (void)snprintf(out, REGION_MAX, "%.*s", (int)text.len, text.len ? (const char *)text.data : "");
    return value_region(out);
}

/* White space at the end, of an answer's line, is none of it. */
static struct bytes trimmed(struct bytes text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1]))
        text.len--;
    return text;
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

/* What keeps the metadata from answering may pass, or is of this host; else the region is not
 * known.
 */
static enum err_code cause_of(const struct err *why)
{
    const enum err_class class = err_info(why->code)->class;

    return class == ERR_IS_PASSING || class == ERR_OF_HOST || why->code == ERR_CONFIG
               ? why->cause
               : ERR_REGION_MISSING;
}

static int read_imds(const struct aws *aws, char out[REGION_MAX], struct err *why)
{
    struct buf text = {.tag = ARENA_WORK};
    struct imds *imds = NULL;
    int r = -1;

    if (imds_open(&imds, aws, why) == IMDS_FOUND &&
        imds_get(imds, "placement/region", &text, why) == IMDS_FOUND)
        r = copy(out, trimmed(buf_bytes(&text)))
                ? err_set(why, ERR_REGION_MISSING, NULL, "it gave no region's name")
                : 0;
    imds_close(imds);
    buf_free(&text);
    return r;
}

/* The instance stays where it is: it is asked once. */
static int ask_imds(const struct aws *aws, const char *secret_id, char out[REGION_MAX],
                    struct err *err)
{
    const size_t before = shortage_look();
    struct err why = {0};

    if (aws->instance_region && *aws->instance_region) {
        (void)snprintf(out, REGION_MAX, "%s", aws->instance_region);
        return 0;
    }
    if (aws->offline)
        return err_set(err, ERR_REGION_MISSING, secret_id, "instance metadata is not asked now");
    if (read_imds(aws, out, &why) == 0) {
        if (aws->instance_region)
            (void)snprintf(aws->instance_region, REGION_MAX, "%s", out);
        return 0;
    }
    (void)err_set(err, cause_of(&why), secret_id,
                  "the region is not in the ARN, --region, AWS_REGION, AWS_DEFAULT_REGION or the "
                  "profile; instance metadata: %s",
                  why.reason);
    return shortage_blame(before, secret_id, err);
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
    char shown[SECRECY_QUOTED_MAX];
    const char *why;
    size_t i;

    for (i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (!places[i].value)
            continue;
        why = copy(out, bytes_of_text(places[i].value));
        if (why)
            return err_set(err, CAUSE_REGION_FORM, NULL, "%s%s: %s %s", places[i].name,
                           i == 2 ? ", or the profile's region" : "",
                           secrecy_quoted(shown, places[i].value), why);
        return 1;
    }
    return 0;
}

void region_move(char *out, size_t size, const char *secret_id, const char *region)
{
    const struct bytes old = region_of_arn(secret_id);
    const char *rest = old.data ? (const char *)old.data + old.len : "";

    if (old.data)
        (void)snprintf(out, size, "%.*s%s%s", (int)((const char *)old.data - secret_id), secret_id,
                       region, rest);
    else
        (void)snprintf(out, size, "%s", secret_id);
}

int region_resolve(const struct aws *aws, const char *secret_id, char out[REGION_MAX],
                   struct err *err)
{
    if (aws->region) {
        (void)snprintf(out, REGION_MAX, "%s", aws->region);
        return 0;
    }
    if (strncmp(secret_id, "arn:", 4) != 0) {
        const int chosen = read_chosen(aws, out, err);

        return chosen < 0 ? -1 : chosen > 0 ? 0 : ask_imds(aws, secret_id, out, err);
    }
    if (copy(out, region_of_arn(secret_id)))
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
    int r;

    if (aws->region)
        return region_resolve(aws, aws->region, out, err);
    r = read_chosen(aws, out, err);
    if (r != 0)
        return r < 0 ? -1 : 0;
    if (arn)
        return region_resolve(aws, arn, out, err);
    return ask_imds(aws, NULL, out, err);
}
