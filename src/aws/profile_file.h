/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_PROFILE_FILE_H
#define AWS_PROFILE_FILE_H

#include <stdbool.h>

#include "base/buf.h"

/*
 * A shared config or credentials file, as the SDKs write and read them:
 * https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
 */
enum profile_file_kind {
    PROFILE_CONFIG,     /* [default], [profile NAME], [services NAME], [sso-session NAME] */
    PROFILE_CREDENTIALS /* [NAME] */
};

/* A line: a section's, whose name is NULL, or a property's, with what continues it. */
struct profile_line {
    const char *section; /* "NAME", "services NAME", "sso-session NAME"; "": to be ignored */
    const char *name;    /* in lower case */
    const char *value;   /* lines that continue it begin with LF */
};

/* Zero-initialise it, set kind, put the file's text into text. */
struct profile_file {
    enum profile_file_kind kind;
    struct buf text;  /* rewritten by parsing: what lines point into */
    struct buf lines; /* of struct profile_line */
};

/* Parses text: 0, or -1 with the line and its fault, without any of its text. */
#define PROFILE_REASON_MAX 96
int profile_file_parse(struct profile_file *file, char reason[PROFILE_REASON_MAX]);

bool profile_file_has(const struct profile_file *file, const char *section);

/* The last value of a property in a section; NULL: none. */
const char *profile_file_get(const struct profile_file *file, const char *section,
                             const char *name);

size_t profile_file_count(const struct profile_file *file);
const struct profile_line *profile_file_line(const struct profile_file *file, size_t i);

void profile_file_free(struct profile_file *file);

#endif
