/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_STATUS_H
#define RUN_STATUS_H

#include <stdint.h>

#include "base/buf.h"

struct config;
struct err;
struct service;

/*
 * The status file: the state of run, one JSON document, replaced atomically after each piece of
 * work. docs/status.md has its members; "format" is STATUS_FORMAT, and goes up when one changes its
 * meaning.
 */
#define STATUS_FORMAT    1
#define STATUS_PATH_MAX  1280
#define STATUS_ELSEWHERE "/run/mtls-agent" /* a service manager's RUNTIME_DIRECTORY */

/* Where run writes it: --status-file, else in $RUNTIME_DIRECTORY, else in the target directory. */
void status_path(const struct config *config, char out[STATUS_PATH_MAX]);

/* Removes one that run wrote into the target before it had another place: it would be taken for
 * today's. And what a crash left of status and metrics under temporary names. */
void status_tidy(const struct config *config);

/* Its "dir": the target, by which an agent knows its own. */
void status_dir(const struct config *config, char out[STATUS_PATH_MAX]);

/* Removes all that status_open() would find: a stopped run has left it. What another target's run
 * has written stays. ERR_INSTALL_FAILED. */
int status_remove(const struct config *config, struct err *err);

/* -1: no memory. */
int status_render(const struct service *service, struct buf *out);

/*
 * The status file of run, opened by a command that may not run under the service manager: at
 * status_path(), or else where a service manager's run has it, STATUS_ELSEWHERE. ERR_NO_STATUS
 * where there is none, or it is invalid; ERR_SYSTEM, ERR_MEMORY_FULL. Call status_close() in any
 * case.
 */
struct json;
struct status {
    char path[STATUS_PATH_MAX];
    struct buf text; /* as it was written */
    struct json *json;
};
int status_open(struct status *status, const struct config *config, struct err *err);
void status_close(struct status *status);

/* A member of an object of it (0: the document), as text for people, "" where there is none; as a
 * number, -1 where it is none. */
#define STATUS_TEXT_MAX 1024
void status_text(const struct status *status, int object, const char *name,
                 char out[STATUS_TEXT_MAX]);
int64_t status_number(const struct status *status, int object, const char *name);

#endif
