/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_ANSWER_H
#define AWS_ANSWER_H

#include "base/bytes.h"

struct err;
struct secret;

/*
 * Reads GetSecretValue's answer into *secret, which the caller frees whatever happens. Exactly one
 * of SecretString and SecretBinary must be there. ERR_AWS_ANSWER.
 */
int answer_read(struct secret *secret, struct bytes answer, const char *secret_id, struct err *err);

#endif
