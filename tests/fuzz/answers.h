/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_ANSWERS_H
#define FUZZ_ANSWERS_H

#include "base/bytes.h"

/*
 * Stands in for the network (--wrap=http_perform): each request gets the next part of a list, and
 * no connection behind the last one. An answer is a letter for the result, "a" where it is an HTTP
 * answer, its status or alert, and headers, one a line; then an empty line and the body:
 *
 *     a 400
 *     type AccessDeniedException
 *     date Thu, 01 Jan 2030 00:00:00 GMT
 *
 *     {"message":"..."}
 *
 * Requests are checked: what is sent has no line end in a header, and no control byte in its URL.
 */
void answers_begin(struct bytes list);

#endif
