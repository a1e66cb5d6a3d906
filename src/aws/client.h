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
 * Requests of AWS JSON 1.1 to Secrets Manager, signed with one principal's credentials, which the
 * first request resolves. It keeps connections, the quota on retries and the clock of AWS from one
 * request to the next.
 */
struct client;
struct client *client_new(const struct aws *aws, struct err *err);
void client_free(struct client *client);

/* Forgets the credentials: the next request has them resolved anew. */
void client_renew(struct client *client);

/*
 * How many tries make a round: AWS_MAX_ATTEMPTS, or the profile's max_attempts. ERR_CONFIG, also
 * where AWS_RETRY_MODE is no mode of the SDKs; all modes mean the same here.
 */
int client_attempts(const struct aws *aws, unsigned *attempts, struct err *err);

struct client_call {
    const char *target; /* "secretsmanager.GetSecretValue" */
    const char *step;   /* for the log: "get_secret_value" */
    const char *object; /* the object of the request, for the log */
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
 * Sends several requests that client_perform() will be asked for, in parallel, HTTP_PARALLEL at
 * most, and keeps AWS's answers. Each counts as the first try of its call.
 *
 * A request without an answer counts as not sent. One whose answer found no memory is not sent
 * ahead again. Each request that AWS throttles or does not answer halves their number, each success
 * adds one, and memory limits it; before AWS has taken the credentials there is none.
 *
 * The first call's turn has come; others are left out where their region did not answer last time.
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
