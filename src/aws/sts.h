/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_STS_H
#define AWS_STS_H

struct aws;
struct credentials;
struct err;

/* A role to assume. NULL: not given. */
struct sts_role {
    const char *arn;
    const char *session_name; /* NULL: "mtls-agent-" and the time */
    const char *external_id;
    const char *duration; /* in seconds */
};

/*
 * AWS Security Token Service: https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html
 * Retries what can pass, within the deadline. ERR_CREDENTIALS_FAILED, ERR_TOKEN_FILE_MISSING,
 * ERR_AWS_*, ERR_CONFIG, ERR_REGION_MISSING, ERR_MEMORY_FULL.
 *
 * AssumeRole: the role's credentials take the place of those that ask for them.
 */
int sts_assume_role(const struct aws *aws, const struct sts_role *role,
                    struct credentials *credentials, struct err *err);

/* AssumeRoleWithWebIdentity, with the token in the file, which is read anew for each try. */
int sts_assume_with_token(const struct aws *aws, const struct sts_role *role,
                          const char *token_file, struct credentials *credentials, struct err *err);

#endif
