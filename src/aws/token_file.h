/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_TOKEN_FILE_H
#define AWS_TOKEN_FILE_H

#include "base/buf.h"
#include "base/trust.h"

/*
 * Appends the file of a web identity's or a container's token. One other user, whoever makes the
 * tokens, may own the file and its path, in addition to the owners of trust.h; the event
 * token_of_another_user says so. -1 with why, a clause.
 */
int token_file_read(const char *path, struct buf *token, char why[TRUST_WHY_MAX]);

#endif
