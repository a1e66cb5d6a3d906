/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_FIXTURE_H
#define AWS_FIXTURE_H

#include "aws/aws.h"
#include "aws/environment.h"
#include "base/err.h"
#include "config/config.h"

/* Who asks Secrets Manager, and for what. */
#define ARN "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls/host-a1B2c3"
#define OK_ANSWER                                                                                  \
    "{\"ARN\":\"" ARN "\",\"Name\":\"mtls/host\",\"SecretString\":\"text\","                       \
    "\"VersionId\":\"7b1d9a1e-0000-4000-8000-000000000001\",\"CreatedDate\":1.5e9}"

extern struct config config;
extern struct environment environment;
extern struct aws aws;
extern struct err err;

/* Makes them anew, and takes what else AWS's libraries read out of the environment: a test's setup.
 */
int aws_fixture(void **state);

void assert_err(enum err_code code, const char *reason_part);

#endif
