/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include <stddef.h>
#include <stdint.h>

struct aws;
struct err;

/* AWS credentials, all of it in the arena. */
struct credentials {
    char *access_key_id;
    char *secret_access_key;
    char *session_token; /* NULL: none */
    int64_t expires;     /* seconds since 1970; 0: never */
    int64_t since;       /* when they were resolved */
    const char *source;  /* "environment", "web_identity", "profile", "container", "imds": static */
};

/*
 * Walks the chain in its order (one table in credentials.c; each source tells "not configured" from
 * "failed") until one is configured. A source that is configured and fails is an error that names
 * it, never a silent fall-through. With role-arn, that role is assumed over what was found. Retries
 * what can pass, within the deadline. ERR_CREDENTIALS_MISSING, ERR_ROLE_MISSING, ERR_METADATA_OFF,
 * ERR_METADATA_HOP_LIMIT, ERR_CONTAINER_NOT_READY, ERR_TOKEN_FILE_MISSING, ERR_CREDENTIALS_FAILED,
 * ERR_AWS_*, ERR_CONFIG, ERR_DEADLINE. Free with credentials_free(), NULL allowed.
 */
int credentials_resolve(const struct aws *aws, struct credentials **out, struct err *err);
void credentials_free(struct credentials *credentials);

/*
 * A file that a source reads, other than the SDKs' shared files: a variable names it, or a property
 * of a profile. NULL: this source has none. Sources count from 0; NULL after the last one.
 */
struct credentials_file {
    const char *variable, *property;
};
const struct credentials_file *credentials_file(size_t source);

/* Frees what it holds, but not itself. */
void credentials_clear(struct credentials *credentials);

#endif
