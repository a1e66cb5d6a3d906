/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_SOURCES_H
#define AWS_SOURCES_H

#include "base/bytes.h"

struct aws;
struct credentials;
struct err;

/*
 * The sources that credentials.c asks in turn. Each either fills *credentials (all but source,
 * freed by the caller whatever happens), or says in *err why not: "AWS_ACCESS_KEY_ID is not set".
 */
enum source_state {
    SOURCE_NOT_CONFIGURED, /* the next one is asked */
    SOURCE_FOUND,
    SOURCE_FAILED /* configured, but no credentials came of it: an error */
};

enum source_state source_environment(const struct aws *aws, struct credentials *credentials,
                                     struct err *err);
enum source_state source_container(const struct aws *aws, struct credentials *credentials,
                                   struct err *err);
enum source_state source_imds(const struct aws *aws, struct credentials *credentials,
                              struct err *err);

/*
 * Sets a field of credentials to a copy of text. ERR_CREDENTIALS_FAILED where it is not printable
 * ASCII without spaces, since it goes into a header; ERR_MEMORY_FULL.
 */
int source_set(char **field, struct bytes text, const char *source, const char *name,
               struct err *err);

/*
 * Reads the JSON answer of the container and instance metadata endpoints: AccessKeyId,
 * SecretAccessKey, Token, Expiration, and Code, which must be "Success" where it stands.
 * ERR_CREDENTIALS_FAILED, ERR_MEMORY_FULL.
 */
int source_read(struct credentials *credentials, struct bytes answer, const char *source,
                struct err *err);

#endif
