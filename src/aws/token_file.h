/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_TOKEN_FILE_H
#define AWS_TOKEN_FILE_H

#include "base/buf.h"
#include "base/trust.h"

/*
 * Appends the file of a web identity's or a container's token. Whoever makes tokens may be a user
 * of his own: one more user than trust.h has may own file and way, with the event
 * token_of_another_user. -1 with why, a clause.
 */
int token_file_read(const char *path, struct buf *token, char why[TRUST_WHY_MAX]);

#endif
