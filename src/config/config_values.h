/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_CONFIG_VALUES_H
#define CONFIG_CONFIG_VALUES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"

/*
 * Readers of single values. Each reads all of text and returns NULL, or, with the result undefined,
 * a clause of static text that gives the fault and follows the value in a sentence: "is not a
 * duration, such as ...".
 */
const char *value_bool(const char *text, bool *value);
const char *value_number(const char *text, int64_t *number); /* of nine digits at most */
const char *value_duration(const char *text, int64_t *ms);   /* 500ms, 90s, 5m, 1h, 2d, 90 */
const char *value_mode(const char *text, mode_t *mode);

struct value_owner {
    uid_t owner;
    gid_t group; /* the agent's own where none was named */
    bool group_named;
};
const char *value_owner(const char *text, struct value_owner *value);

/* id points into text. */
const char *value_secret(const char *text, char sub[static CONFIG_SUB_MAX], const char **id);
const char *value_endpoint(const char *text, struct endpoint *endpoint);

/*
 * A program's path and its arguments, separated by blanks; '...' and "..." hold blanks, \ takes the
 * next byte literally. Nothing is expanded. Cuts text into pieces; words ends with NULL.
 */
const char *value_words(char *text, const char *words[static CONFIG_WORDS_MAX + 1]);

/* NAME:NUMBER or NAME:/PATH of a PID file; points into text. */
const char *value_signal(const char *text, struct change_signal *value);

/* NUMBER:HEX[+NUMBER:HEX]...: PCRs that an image has all of. */
const char *value_pcrs(const char *text);

/* A file of root's with SHA-256 fingerprints, one a line; fills attest_root and what follows it. */
const char *value_roots(const char *path, struct config *config);

/* Checks of texts that are then used as they are. */
const char *value_path(const char *text); /* absolute, without ".." */
const char *value_root(const char *text); /* that, or empty */
const char *value_region(const char *text);
const char *value_profile(const char *text);
const char *value_role_arn(const char *text);
const char *value_role_session_name(const char *text);
const char *value_role_external_id(const char *text);
const char *value_fingerprint(char *text);    /* SHA-256, with or without colons, in either case;
                                                 becomes    lower-case hexadecimal without */
const char *value_expected(const char *text); /* a certificate's name: ASCII, not empty */
const char *value_request_path(const char *text); /* of HTTP */
const char *value_endpoint_url(const char *text); /* https://, or http:// to this machine */
const char *value_version_stage(const char *text);
const char *value_version_id(const char *text);
const char *value_proxy(const char *text);     /* [http://]HOST:PORT, no user, no password */
const char *value_no_proxy(const char *text);  /* names, addresses and networks, or "*" */
const char *value_ca_bundle(const char *text); /* a path, or certificates in PEM */

#endif
