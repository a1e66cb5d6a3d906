/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_REFUSAL_H
#define AWS_REFUSAL_H

struct client_call;
struct client_refusal;
struct err;

/*
 * Says why a call for a secret was refused, or came to nobody, so that the search can end: AWS's
 * own words, who asked whom, and what to do that is not the same for everybody. Returns -1.
 */
int refusal_explain(struct err *err, const struct client_call *call,
                    const struct client_refusal *refusal);

#endif
