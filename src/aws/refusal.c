/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/refusal.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "aws/client.h"
#include "aws/endpoint.h"
#include "base/err.h"

enum { SUFFIX = 7, ADVICE_MAX = 384 }; /* "-AbCdEf", which Secrets Manager puts behind a name */

static bool is_arn(const char *id)
{
    return strncmp(id, "arn:", 4) == 0;
}

static bool has_suffix(const char *id)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t len = strlen(id);

    return len > SUFFIX && id[len - SUFFIX] == '-' &&
           strspn(id + len - SUFFIX + 1, letters) == SUFFIX - 1;
}

/* The statement that is missing in a policy. */
static void advise_policy(char out[ADVICE_MAX], const struct client_call *call)
{
    const char *id = call->object, *region = call->endpoint->region;
    const char *behind = is_arn(id) && has_suffix(id) ? "" : "-\?\?\?\?\?\?";
    char front[128] = "";

    if (!is_arn(id))
        (void)snprintf(front, sizeof front,
                       "arn:%s:secretsmanager:%s:*:secret:", endpoint_partition(region), region);
    (void)snprintf(out, ADVICE_MAX,
                   "; add {\"Effect\":\"Allow\",\"Action\":\"secretsmanager:%s\",\"Resource\":"
                   "\"%s%s%s\"}",
                   strchr(call->target, '.') + 1, front, id, behind);
}

static void advise_name(char out[ADVICE_MAX], const char *id)
{
    const char *advice = "; a name is looked up in the account of the credentials and in this "
                         "region alone";

    if (is_arn(id))
        advice = has_suffix(id) ? "; an ARN dies with its secret: one made anew by the same name "
                                  "has another"
                                : "; the ARN lacks the hyphen and six characters that Secrets "
                                  "Manager puts behind the name";
    else if (has_suffix(id))
        advice = "; a name stands without the hyphen and six characters that its ARN ends with";
    (void)snprintf(out, ADVICE_MAX, "%s", advice);
}

static void advise(char out[ADVICE_MAX], const struct client_call *call,
                   const struct aws_error *error)
{
    enum err_code means = error->means;

    out[0] = '\0';
    if (means == ERR_AWS_DENIED && error->young) /* else no policy of the role's can help */
        advise_policy(out, call);
    if (means == ERR_SECRET_NOT_FOUND)
        advise_name(out, call->object);
    if (means == ERR_KMS_DENIED)
        (void)snprintf(out, ADVICE_MAX,
                       "; add {\"Effect\":\"Allow\",\"Action\":\"kms:Decrypt\",\"Resource\":"
                       "\"the KmsKeyId of aws secretsmanager describe-secret\"}");
}

int refusal_explain(struct err *err, const struct client_call *call,
                    const struct client_refusal *refusal)
{
    const struct aws_error *error = &refusal->error;
    char advice[ADVICE_MAX];

    advise(advice, call, error);
    (void)err_set(err, error->means, call->object, "%s; %s in %s, credentials of %s, try %u%s",
                  error->text, call->endpoint->url.host, call->endpoint->region,
                  refusal->credentials, refusal->tries, advice);
    err->young = error->young;
    return -1;
}
