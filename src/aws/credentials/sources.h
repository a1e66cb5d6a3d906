/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_SOURCES_H
#define AWS_CREDENTIALS_SOURCES_H

#include "base/buf.h"

struct aws;
struct config;
struct credentials;
struct err;
struct url;

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
enum source_state source_web_identity(const struct aws *aws, struct credentials *credentials,
                                      struct err *err);
enum source_state source_container(const struct aws *aws, struct credentials *credentials,
                                   struct err *err);
enum source_state source_imds(const struct aws *aws, struct credentials *credentials,
                              struct err *err);

/*
 * The profile that somebody named, and the default one where nobody did. Each is not configured,
 * for no reason, where the other one is meant.
 */
enum source_state source_named_profile(const struct aws *aws, struct credentials *credentials,
                                       struct err *err);
enum source_state source_default_profile(const struct aws *aws, struct credentials *credentials,
                                         struct err *err);

/* The URL of the container endpoint. Anybody who knows it may ask, so it is never shown. */
enum source_state source_container_url(const struct config *config, struct buf *text,
                                       struct url *url, struct err *err);

/*
 * Sets a field of credentials to a copy of text. ERR_CREDENTIALS_FAILED where text is not printable
 * ASCII without spaces, since it becomes part of a header; ERR_MEMORY_FULL.
 */
int source_set(char **field, struct bytes text, const char *source, const char *name,
               struct err *err);

/*
 * Reads the JSON answer of the container and instance metadata endpoints: AccessKeyId,
 * SecretAccessKey, Token, Expiration, and Code, which must be "Success" if present.
 * ERR_CREDENTIALS_FAILED, ERR_MEMORY_FULL.
 */
int source_read(struct credentials *credentials, struct bytes answer, const char *source,
                struct err *err);

#endif
