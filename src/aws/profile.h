/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_PROFILE_H
#define AWS_PROFILE_H

#include "aws/profile_file.h"

struct aws;
struct config;
struct err;

enum profile_service { PROFILE_SECRETSMANAGER, PROFILE_STS, PROFILE_SERVICES };

/* The shared config and credentials files, and the profile in use; in the arena. */
struct profiles {
    struct profile_file config, credentials;   /* empty where a file does not exist */
    const char *name;                          /* "default" where nobody named one */
    const char *named_by;                      /* "--profile", "AWS_PROFILE"; NULL: nobody */
    const char *service_url[PROFILE_SERVICES]; /* of the profile's services section, or NULL */
};

/*
 * Reads the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name, else those in ~/.aws,
 * where HOME is set. One that does not exist is as good as empty. ERR_CONFIG, ERR_MEMORY_FULL. Free
 * with profiles_free(), NULL allowed.
 */
int profiles_load(const struct config *config, struct profiles **out, struct err *err);
void profiles_free(struct profiles *profiles);

/* The name of the profile in use, and the option or variable that gave it. */
const char *profile_name(const struct config *config, const char **named_by);

/* Where a file is looked for: 0, or -1 where nothing says it. */
#define PROFILE_PATH_MAX 1024
int profile_path(const struct config *config, enum profile_file_kind kind,
                 char out[PROFILE_PATH_MAX]);

/* Whether there is such a profile, and its value of a property: NULL where unset or empty. */
bool profile_exists(const struct profiles *profiles, const char *name);
const char *profile_get(const struct profiles *profiles, const char *name, const char *property);

/*
 * A setting of the SDKs: the variable, else the property of the profile in use; NULL: neither is
 * set. aws->profiles may be NULL.
 */
const char *profile_setting(const struct aws *aws, const char *variable, const char *property);

/*
 * A setting that is true or false, in any case; false where it is not set. ERR_CONFIG for another
 * value. property NULL: only the variable.
 */
int profile_switch(const struct aws *aws, const char *variable, const char *property, bool *on,
                   struct err *err);

/* endpoint_url of the profile in use, of its services section before its own; NULL: none. */
const char *profile_endpoint_url(const struct aws *aws, enum profile_service service);

#endif
