/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_SECRETSMANAGER_H
#define AWS_SECRETSMANAGER_H

#include <stdbool.h>
#include <stddef.h>

#include "aws/region.h"
#include "base/buf.h"
#include "base/err.h"

struct aws;

/* A version of a secret, as Secrets Manager names it. */
#define SECRET_ARN_MAX     640
#define SECRET_VERSION_MAX 65
struct secret_version {
    char arn[SECRET_ARN_MAX];
    char id[SECRET_VERSION_MAX]; /* "": unknown */
    char region[REGION_MAX]; /* the region that answered; arn names the secret's own region in any
                                case */
    bool replica;            /* it was a fallback, whose replica may be behind */
};

struct secret {
    struct buf document; /* SecretString's text, or SecretBinary's bytes */
    struct secret_version version;
};

/*
 * A conversation with Secrets Manager. The first request resolves credentials and region;
 * connections are kept per region. The configuration names the version (version-stage, version-id).
 * Throttling, 5xx and broken connections are tried again until the deadline. The error's reason has
 * AWS's code, message (redacted) and request id.
 *
 * If a secret's own region cannot be reached, or fails, until half of the rest of the time, the
 * next fallback-region is asked, from then on in this conversation. A failure there is logged
 * ("region_failed"). The error stays that of the secret's own region; secretsmanager_why() returns
 * it where a replica has answered.
 */
struct secretsmanager;
struct secretsmanager *secretsmanager_new(const struct aws *aws, struct err *err);
void secretsmanager_free(struct secretsmanager *manager);

const struct err *secretsmanager_why(const struct secretsmanager *manager);

/* Beside that error, what was wrong with the last fallback; ERR_NONE: none was asked. */
const struct err *secretsmanager_replica_why(const struct secretsmanager *manager);

/* The next request has the credentials resolved anew. */
void secretsmanager_renew(struct secretsmanager *manager);

/*
 * DescribeSecret
 * (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html) of
 * secret_id, an ARN or a name: finds the version without its value. The id is "" where
 * secretsmanager_get() must find it, and say what is wrong: the secret is marked for deletion, it
 * has no such version, or DescribeSecret is denied. Returns 1 for the last, with AWS's words in
 * *err; errors as secretsmanager_get()'s.
 */
int secretsmanager_describe(struct secretsmanager *manager, const char *secret_id,
                            struct secret_version *version, struct err *err);

/*
 * GetSecretValue
 * (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html).
 * ERR_AWS_*, ERR_SECRET_*, ERR_VERSION_*, ERR_KMS_*, ERR_REGION_MISSING, ERR_CREDENTIALS_*,
 * ERR_DEADLINE, ERR_MEMORY_FULL, and all else that keeps a host from AWS. Free with secret_free().
 */
int secretsmanager_get(struct secretsmanager *manager, const char *secret_id, struct secret *secret,
                       struct err *err);
void secret_free(struct secret *secret);

/*
 * Several requests in parallel, SECRETS_PREFETCH at most, that secretsmanager_describe() and
 * secretsmanager_get() will be asked for. The answers wait for these calls, which then go on as if
 * they had just come: retries happen there, one after the other. Takes half of the remaining time
 * at most. Fewer run where AWS throttles, or does not answer.
 */
#define SECRETS_PREFETCH 8
struct secret_question {
    const char *secret_id;
    bool describes;
};
void secretsmanager_prefetch(struct secretsmanager *manager,
                             const struct secret_question *questions, size_t count);

/*
 * Whether there is a use for it before that question: its answer does not wait, and was not
 * without room before; AWS has taken the credentials, and takes more than one request at a time.
 */
bool secretsmanager_may_prefetch(struct secretsmanager *manager,
                                 const struct secret_question *question);

/* Drops the values of a set that wait, unless all do and were asked for at once. */
void secretsmanager_drop_mixed(struct secretsmanager *manager, const char *const *secret_ids,
                               size_t count);

/* The id in a description that waits for its question, "": none does, or it is a replica's. */
void secretsmanager_prefetched_id(struct secretsmanager *manager, const char *secret_id,
                                  char id[SECRET_VERSION_MAX]);

#endif
