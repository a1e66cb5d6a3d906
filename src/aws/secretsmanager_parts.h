/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_SECRETSMANAGER_PARTS_H
#define AWS_SECRETSMANAGER_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "aws/aws.h"
#include "aws/client.h"
#include "aws/endpoint.h"
#include "aws/secretsmanager.h"
#include "base/buf.h"
#include "base/err.h"

/* What secretsmanager.c and secretsmanager_prefetch.c share. */
struct secretsmanager {
    const struct aws *whole; /* as the user has it; */
    struct aws aws;          /* with the region that is asked, and its share of the time */
    struct client *client;
    char own[REGION_MAX];  /* of the secret that is asked for */
    char down[REGION_MAX]; /* such a one that could not be reached; "": none yet */
    size_t fallback;       /* asked instead of it, counted from 1; 0: it is asked */
    struct err why;        /* that could not be reached */
    struct err replica;    /* nor the last fallback; ERR_NONE: it could, or was not asked */
    const char *described; /* the last secret that AWS described: that one exists */
};

struct operation {
    const char *target, *step;
};

extern const struct operation describe_secret, get_secret_value;

/* A call, with all that it points to. Not to be copied. */
struct prepared {
    char id[SECRET_ARN_MAX]; /* the secret's, as the region knows it */
    struct aws_endpoint endpoint;
    struct buf body;
};

/*
 * Prepares a call for the region in use. Free the body in any case. endpoint_resolve()'s errors,
 * ERR_MEMORY_FULL.
 */
int secretsmanager_prepare(struct prepared *prepared, const struct secretsmanager *manager,
                           const struct operation *operation, const char *secret_id,
                           struct err *err);
struct client_call secretsmanager_call(const struct prepared *prepared,
                                       const struct operation *operation);

/* Finds out which region is asked for a secret; offline: without the network. */
int secretsmanager_turn_to(struct secretsmanager *manager, const char *secret_id, bool offline,
                           struct err *err);

#endif
