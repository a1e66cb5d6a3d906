/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_PROFILE_CHAIN_H
#define AWS_PROFILE_CHAIN_H

#include <stddef.h>

#include "aws/credentials/sources.h"

struct profiles;

/* What a profile's credentials begin with. */
enum profile_base {
    PROFILE_BASE_KEYS,   /* aws_access_key_id and its kin */
    PROFILE_BASE_TOKEN,  /* role_arn by web_identity_token_file */
    PROFILE_BASE_SOURCE, /* credential_source */
};

/* How a profile gets its credentials: the base, then roles, each assumed with what was before. */
#define PROFILE_ROLES_MAX 16
struct profile_chain {
    enum profile_base base;
    const char *profile; /* the profile of the base */
    const char
        *roles[PROFILE_ROLES_MAX]; /* profiles whose role_arn is assumed, the last one first */
    size_t role_count;
};

/*
 * Follows source_profile and credential_source from a profile that exists. SOURCE_NOT_CONFIGURED
 * where it has no credentials at all; SOURCE_FAILED, with ERR_CREDENTIALS_FAILED about the profile,
 * where its entries are incomplete, circular, or not supported. Pure.
 */
enum source_state profile_chain_resolve(struct profile_chain *chain,
                                        const struct profiles *profiles, const char *name,
                                        struct err *err);

#endif
