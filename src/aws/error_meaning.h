/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_ERROR_MEANING_H
#define AWS_ERROR_MEANING_H

#include <stdbool.h>

#include "base/err.h"

struct http_response;

/* What an answer with this status, AWS's code and message (unredacted) is to the user. */
enum err_code answer_means(int status, const char *code, const char *message);

/*
 * Whether it may come of a role, a policy, a key or a secret that was made a minute ago, which AWS
 * does not know everywhere yet. Not where somebody else's policy decides, or an explicit deny.
 */
bool answer_is_young(const char *code, const char *message);

/* Whose policy a message says decided, in words of ours; NULL: it does not say. */
const char *policy_kind(const char *message);

/* What an exchange that brought no answer is to the user. */
enum err_code transport_means(const struct http_response *response);

#endif
