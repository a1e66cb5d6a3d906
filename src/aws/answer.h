/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_ANSWER_H
#define AWS_ANSWER_H

#include "base/bytes.h"

struct config;
struct err;
struct secret;
struct secret_version;

/*
 * Reads GetSecretValue's answer into *secret, which the caller frees whatever happens. Exactly one
 * of SecretString and SecretBinary must be there; a pending version that has neither is
 * ERR_VERSION_PENDING. ERR_AWS_ANSWER.
 */
int answer_read(struct secret *secret, const struct config *config, struct bytes answer,
                const char *secret_id, struct err *err);

/*
 * Reads DescribeSecret's answer: the version that the configuration means. Its id stays "" where
 * there is none, or the secret is marked for deletion. ERR_AWS_ANSWER.
 */
int answer_read_version(struct secret_version *version, const struct config *config,
                        struct bytes answer, const char *secret_id, struct err *err);

#endif
