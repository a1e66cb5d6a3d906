/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/aws.h"
#include "aws/credentials.h"
#include "aws/credentials/sources.h"
#include "aws/sts.h"
#include "base/err.h"
#include "config/config.h"

static const char source[] = "web_identity";

enum source_state source_web_identity(const struct aws *aws, struct credentials *credentials,
                                      struct err *err)
{
    const char *file = config_variable(aws->config, "AWS_WEB_IDENTITY_TOKEN_FILE");
    const struct sts_role role = {
        .arn = config_variable(aws->config, "AWS_ROLE_ARN"),
        .session_name = config_variable(aws->config, "AWS_ROLE_SESSION_NAME"),
    };

    if (!file) {
        (void)err_set(err, ERR_CREDENTIALS_MISSING, source,
                      "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
        return SOURCE_NOT_CONFIGURED;
    }
    if (!role.arn) {
        (void)err_set(err, ERR_CREDENTIALS_FAILED, source,
                      "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
        return SOURCE_FAILED;
    }
    return sts_assume_with_token(aws, &role, file, credentials, err) < 0 ? SOURCE_FAILED
                                                                         : SOURCE_FOUND;
}
