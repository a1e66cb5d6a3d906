/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_SECRETSMANAGER_H
#define AWS_SECRETSMANAGER_H

#include "base/buf.h"

struct aws;
struct err;

/* One secret's current version. */
#define SECRET_ARN_MAX 640
struct secret {
    struct buf document;      /* SecretString's text, or SecretBinary's bytes */
    char arn[SECRET_ARN_MAX]; /* as Secrets Manager names it */
    char version_id[65];
};

/*
 * A conversation with Secrets Manager: credentials and region are resolved at the first request,
 * connections are kept per region.
 */
struct secretsmanager;
struct secretsmanager *secretsmanager_new(const struct aws *aws, struct err *err);
void secretsmanager_free(struct secretsmanager *manager);

/*
 * GetSecretValue
 * (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html) of
 * secret_id, an ARN or a name. Throttling, 5xx and broken connections are tried again with full
 * jitter until the deadline. The error's reason carries AWS's code, message (redacted) and request
 * id. ERR_AWS_*, ERR_SECRET_NOT_FOUND, ERR_REGION_MISSING, ERR_CREDENTIALS_*, ERR_DEADLINE,
 * ERR_MEMORY_FULL. Free with secret_free().
 */
int secretsmanager_get(struct secretsmanager *manager, const char *secret_id, struct secret *secret,
                       struct err *err);
void secret_free(struct secret *secret);

#endif
