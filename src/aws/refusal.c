/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/refusal.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "aws/client.h"
#include "aws/endpoint.h"
#include "base/err.h"

/* "-AbCdEf", which Secrets Manager puts behind a name; the longest ARN, in a statement. */
enum { SUFFIX = 7, ADVICE_MAX = 720 };

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
    const char *advice =
        "; a name is looked up only in the account of the credentials and in this region";

    if (is_arn(id))
        advice = has_suffix(id) ? "; a secret that is made anew by the same name has another ARN"
                                : "; the ARN lacks the hyphen and six characters that Secrets "
                                  "Manager puts behind the name";
    else if (has_suffix(id))
        advice = "; a name stands without the hyphen and six characters that its ARN ends with";
    (void)snprintf(out, ADVICE_MAX, "%s", advice);
}

static enum err_code cause_of(const struct aws_error *error, bool dual_stack)
{
    if (error->means == ERR_NO_ROUTE && !dual_stack)
        return CAUSE_NO_ROUTE_DUAL;
    if (error->means != ERR_AWS_DENIED || error->young)
        return error->means;
    if (!*error->code)
        return CAUSE_NOT_AWS;
    return strcmp(error->code, "OptInRequired") == 0 ? CAUSE_NOT_SUBSCRIBED : CAUSE_OTHERS_POLICY;
}

int refusal_explain(struct err *err, const struct client_call *call,
                    const struct client_refusal *refusal)
{
    const struct aws_error *error = &refusal->error;
    char advice[ADVICE_MAX], who[256];
    size_t rest, room;

    advice[0] = '\0';
    if (error->means == ERR_AWS_DENIED && error->young) /* else no policy of the role's can help */
        advise_policy(advice, call);
    if (error->means == ERR_SECRET_NOT_FOUND)
        advise_name(advice, call->object);
    if (error->means == ERR_KMS_DENIED)
        (void)snprintf(advice, sizeof advice,
                       "; add {\"Effect\":\"Allow\",\"Action\":\"kms:Decrypt\",\"Resource\":"
                       "\"the KmsKeyId of aws secretsmanager describe-secret\"}");
    (void)snprintf(who, sizeof who, "; %.120s in %s, credentials of %s, try %u",
                   call->endpoint->url.host, call->endpoint->region, refusal->credentials,
                   refusal->tries);
    /* Of AWS's words the end may be missing, but nothing of what is to be pasted. */
    rest = strlen(who) + strlen(advice) + 1;
    room = rest < sizeof err->reason ? sizeof err->reason - rest : 0;
    (void)err_set(err, cause_of(error, strstr(call->endpoint->url.host, ".api.")), call->object,
                  "%.*s%s%s", (int)room, error->text, who, advice);
    err->young = error->young;
    return -1;
}
