/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/credentials/sources.h"
#include "aws/environment.h"
#include "base/err.h"

static const char source[] = "environment";

static int set(char **field, const char *value, const char *name, struct err *err)
{
    return source_set(field, bytes_of_text(value), source, name, err);
}

enum source_state source_environment(const struct aws *aws, struct credentials *credentials,
                                     struct err *err)
{
    const struct environment *from = aws->environment;

    if (!from->access_key_id && !from->secret_access_key) {
        (void)err_set(err, ERR_CREDENTIALS_MISSING, source, "AWS_ACCESS_KEY_ID is not set");
        return SOURCE_NOT_CONFIGURED;
    }
    if (!from->access_key_id || !from->secret_access_key) {
        (void)err_set(err, ERR_CREDENTIALS_FAILED, source, "%s is set, but %s is not",
                      from->access_key_id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                      from->access_key_id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
        return SOURCE_FAILED;
    }
    if (set(&credentials->access_key_id, from->access_key_id, "AWS_ACCESS_KEY_ID", err) < 0 ||
        set(&credentials->secret_access_key, from->secret_access_key, "AWS_SECRET_ACCESS_KEY",
            err) < 0)
        return SOURCE_FAILED;
    if (from->session_token &&
        set(&credentials->session_token, from->session_token, "AWS_SESSION_TOKEN", err) < 0)
        return SOURCE_FAILED;
    return SOURCE_FOUND;
}
