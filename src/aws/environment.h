/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_ENVIRONMENT_H
#define AWS_ENVIRONMENT_H

struct err;

/*
 * The process environment's AWS secrets, moved into the arena: blank is unset, the environment
 * block's bytes are zeroed.
 */
struct environment {
    char *access_key_id;     /* AWS_ACCESS_KEY_ID */
    char *secret_access_key; /* AWS_SECRET_ACCESS_KEY */
    char *session_token;     /* AWS_SESSION_TOKEN, else AWS_SECURITY_TOKEN */
    char *container_token;   /* AWS_CONTAINER_AUTHORIZATION_TOKEN */
    char *legacy_key;        /* AWS_SECRET_KEY, which nothing uses: only kept to be masked */
    char *proxy;             /* https_proxy or HTTPS_PROXY, where it held a password, */
    char *proxy_password;    /* and what it held: "user:password" */
    char *other_password;    /* of a proxy that is not ours, as above */
};

/*
 * Once, right after the arena was opened; the variables are gone from the environment afterwards.
 * ERR_MEMORY_FULL.
 */
int environment_take(struct environment *environment, struct err *err);

#endif
