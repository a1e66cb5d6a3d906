/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_RELOAD_H
#define RUN_RELOAD_H

#include "base/aside.h"
#include "base/err.h"

struct config;

/* A configuration that is read again, aside, and what comes of it. */
struct reload {
    bool asked;            /* SIGHUP came */
    bool unanswered;       /* and the sender waits for the end of a cycle */
    struct config *in_use; /* ours; NULL: main's is in use */
    struct aside reader;   /* its file system may hang: the rest is the reader's meanwhile */
    const struct config *before;
    struct config *config; /* the new one; after a failure, what nobody came to fetch */
    struct err err;
};

#endif
