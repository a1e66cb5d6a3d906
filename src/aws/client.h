/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CLIENT_H
#define AWS_CLIENT_H

#include <stdbool.h>

#include "aws/error.h"
#include "base/bytes.h"

struct aws;
struct aws_endpoint;
struct http_response;

/*
 * Requests of AWS JSON 1.1 to Secrets Manager, signed by one principal's credentials, which are
 * resolved at the first request. Connections, the quota on retries and what is known of AWS's clock
 * are kept from one request to the next.
 */
struct client;
struct client *client_new(const struct aws *aws, struct err *err);
void client_free(struct client *client);

/* Forgets the credentials: the next request has them resolved anew. */
void client_renew(struct client *client);

/*
 * How many tries make a round: AWS_MAX_ATTEMPTS, or the profile's max_attempts. ERR_CONFIG, also
 * where AWS_RETRY_MODE is none of the SDKs' modes, which are all one to us.
 */
int client_attempts(const struct aws *aws, unsigned *attempts, struct err *err);

struct client_call {
    const char *target; /* "secretsmanager.GetSecretValue" */
    const char *step;   /* for the log: "get_secret_value" */
    const char *object; /* what is asked for */
    const struct aws_endpoint *endpoint;
    struct bytes body;
};

/* How AWS refused a call, or was not reached. */
struct client_refusal {
    struct aws_error error;
    const char *credentials; /* their source, static */
    unsigned tries;
    bool down; /* no answer came, or one that says that the service fails */
};

/*
 * Asks for what client_perform() is going to be asked for, HTTP_PARALLEL at most, side by side,
 * and keeps AWS's answers: each is the first try of that call then. One that does not come is
 * nothing, and one that there is no room for is not asked for ahead again. Half as many are asked
 * after each that AWS throttles or does not answer, and one more after each success, but no more
 * than there was memory for; none before AWS has taken the credentials. The first one's turn has
 * come: others are left out where their region did not answer last.
 */
void client_prefetch(struct client *client, const struct client_call *calls, size_t count);

/* Whether that may be. */
bool client_may_prefetch(const struct client *client);

/* What waits for a call. */
struct client_prefetched {
    const struct http_response *response; /* the client's, until its next call; NULL: nothing */
    unsigned batch;                       /* by which client_prefetch() a value came; 0: none did */
};

/* Status 0: there was no room for the answer, and it is asked for in its turn. */
struct client_prefetched client_prefetched(const struct client *client,
                                           const struct client_call *call);

/* Drops what waits, but not that there was no room for it. */
void client_drop(struct client *client, const struct client_call *call);

/*
 * Tries until AWS answers with 200 (0: the response's body is the caller's), or refuses for good or
 * the time is up (1: see *refusal). -1: nothing could be asked, see *err. Once in a call it
 * resolves credentials again that have expired or that AWS does not know, and once it signs again
 * by AWS's clock. ERR_CREDENTIALS_*, ERR_DEADLINE, ERR_MEMORY_FULL.
 */
int client_perform(struct client *client, const struct client_call *call,
                   struct http_response *response, struct client_refusal *refusal, struct err *err);

#endif
