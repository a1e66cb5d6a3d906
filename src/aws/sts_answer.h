/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_STS_ANSWER_H
#define AWS_STS_ANSWER_H

#include "base/bytes.h"

struct credentials;
struct err;

/*
 * Reads the answer to an action of STS, "AssumeRole", JSON or XML, into *credentials, which the
 * caller frees whatever happens. ERR_CREDENTIALS_FAILED about the role, ERR_MEMORY_FULL.
 */
int sts_answer_read(struct credentials *credentials, struct bytes text, const char *action,
                    const char *role, struct err *err);

#endif
