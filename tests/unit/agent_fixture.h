/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_FIXTURE_H
#define AGENT_FIXTURE_H

#include "agent/agent.h"
#include "base/err.h"
#include "config/config.h"
#include "enclave/rehearse.h"

/*
 * An agent with a target in a temporary directory, whose Secrets Manager and whose enclaves are
 * what a test says. Time passes by sleeps alone. For programs that are linked with --wrap as the
 * Makefile has it.
 */
enum { FAKE_SETS = 2, FAKE_DEADLINE_MS = 60000, FAKE_INTERVAL_MS = 10 * 60 * 1000 };

/* A secret of one set: "one" and "two" in the configuration. */
struct fake_secret {
    const char *version;         /* its id */
    const char *leaf;            /* "client", "leaf": of the sample that it holds */
    const char *ca;              /* NULL: ca.pem */
    enum err_code get, describe; /* how these fail; ERR_NONE: they do not */
    bool describe_denied, young;
    bool hangs;       /* until the end of its turn */
    int64_t takes_ms; /* for an answer */
    unsigned gets, describes;
    unsigned patience; /* gets after which it hangs, with ERR_DEADLINE; 0: none */
};

struct fake {
    struct config config;
    struct agent agent;
    struct fake_secret secrets[FAKE_SETS];
    int rehearsal; /* what rehearse() comes to; -1: it fails with the code below */
    enum err_code rehearsal_code;
    int accepts; /* what enclave_accepts() says */
    unsigned rehearsals, acceptances, renewals;
    struct rehearsed rehearsed; /* as it was asked for last */
    enum err_code start;        /* how the SDKs' files fail to be read; ERR_NONE: they do not */
    int64_t wall;               /* clock_wall() at clock_ms() 0 */
    char dir[64], locks[80];
};
extern struct fake *fake; /* fake_setup() makes it */

int fake_setup(void **state);    /* a test's */
int fake_teardown(void **state); /* removes the directory, and counts what is left open */

/* One cycle: the exit status. */
int fake_cycle(void);

/* A field of the last event of that name, as text; "" where there is none, or none since the
 * set-up. */
const char *fake_logged(const char *event, const char *field);

/* Which version the client.crt in the target is of: the sample's name, "" where there is none. */
const char *fake_installed(const char *sub);

/* The outcome of a set's last cycle, its name. */
const char *fake_outcome(size_t set);

/* Seconds since 1970 for the wall clock, from now on. */
void fake_set_wall(int64_t now);

/* notBefore and notAfter of a sample. */
int64_t fake_not_before(const char *leaf);
int64_t fake_not_after(const char *leaf);

/* The exit status of an error; and one cycle, and what it comes to. */
int fake_status_of(enum err_code code);
void assert_fake_ends(int status, const char *outcome, const char *installed);

#endif
