/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_REFUSAL_H
#define AWS_REFUSAL_H

struct client_call;
struct client_refusal;
struct err;

/*
 * Explains why a call for a secret was refused, or found nothing, so that the search can end: AWS's
 * own words, the request and its credentials, and the remedy for this case. Returns -1.
 */
int refusal_explain(struct err *err, const struct client_call *call,
                    const struct client_refusal *refusal);

#endif
