/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSTALL_FIXTURE_H
#define INSTALL_FIXTURE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"
#include "identity/bundle.h"
#include "install/install.h"
#include "install/install_state.h"

/*
 * A target in a temporary directory, and sets to install there: number N holds client.crt with
 * "cert N", client.key with "key N" and so on. Every call of the agent's code runs in a process of
 * its own, as in life; this lies in memory that both share.
 */
struct fixture {
    char base[64];  /* the temporary directory; "log" in it takes the children's standard error */
    char dir[80];   /* the target in it, there from the beginning */
    char locks[80]; /* the lock-dir in it; no other test's, and not the machine's */
    struct install_target target;
    const char *secret;     /* that sets are made of; NULL: one named "a" */
    const char *version_id; /* NULL: made of the number */
    int64_t not_after;
    struct install_overlap overlap[INSTALL_OVERLAP_MAX];
    size_t overlap_count;
    size_t file_count; /* of client.crt, client.key, ca.crt, server.crt, client.pem */
    void (*prepare)(struct fixture *); /* what the child does to itself first, or NULL */
    bool traced;                       /* each of its calls is another's to count and to fail */
    struct err err;                    /* of the last call */
    struct installed facts;            /* of the last fixture_read() */
    char field[BUNDLE_FIELDS][32];
    struct install_state memory; /* for a test's own use */
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/*
 * Runs work of the agent's in that way: what it returned, or -2 where the process died. It dies as
 * well where work leaves a descriptor open, or something in the arena.
 */
typedef int fixture_work(struct fixture *, int number);
int fixture_run(struct fixture *fixture, fixture_work *work, int number);
int fixture_begin(struct fixture *fixture, fixture_work *work, int number);

/* Installs set N: the outcome, -1 with err, or -2 where the process died. */
int fixture_install(struct fixture *fixture, int number);

/* The same, begun only; fixture_wait() gives the outcome. */
int fixture_start(struct fixture *fixture, int number);
int fixture_wait(int pid);

/* Takes the lock of the target as an agent does that has made its file: close it to let go. */
int fixture_take_lock(const struct fixture *fixture);

/* install_read() into facts and field: 0, or -1 with err. */
int fixture_read(struct fixture *fixture);
int fixture_start_read(struct fixture *fixture);

/* Both in this very process: for a prepare() that does more. */
int install_here(struct fixture *fixture, int number);
int read_here(struct fixture *fixture);

/* Copies what was read to field, and frees it. */
void fixture_take(struct fixture *fixture, struct bundle *bundle);

/* Whether exactly set N is in place: links, contents, owners, modes, at most one set beside it. */
void assert_installed(const struct fixture *fixture, int number);

/* A path in the target, good until the next four calls. */
const char *in_target(const struct fixture *fixture, const char *name);

/* The N that a file in the target holds; -1: not there, -2: something else. */
int number_in(const struct fixture *fixture, const char *name);

/* The N of client.crt and client.key, read through "..data" opened once; -1: not there, -2: mixed.
 */
int pinned_pair(const struct fixture *fixture);

/* The text of a link in the target, good until the next call; "" where there is none. */
const char *link_in(const struct fixture *fixture, const char *name);

/* How many directories in the target are named as sets are. */
int count_sets(const struct fixture *fixture);

/* How many names in the target begin so. */
int count_of_prefix(const struct fixture *fixture, const char *prefix);

/* A set that "..data" does not name; "" where there is none. */
const char *previous_set(const struct fixture *fixture);

/* Whether the children logged an event of this name. */
bool was_logged(const struct fixture *fixture, const char *event);
void forget_log(const struct fixture *fixture);

/* Makes "..data", and so the last swap, as old as that. */
void age_swap(const struct fixture *fixture, int64_t seconds);

/* Skips the test where this is not root; for prepare(): no privileges any more. */
enum { STRANGER = 4321 };
void need_root(void);
void become_stranger(struct fixture *fixture);

/* The target and the lock-dir are the stranger's from then on. */
void give_to_stranger(const struct fixture *fixture);

/* lstat(2) of what must be there, and whether anything is. */
struct stat stat_of(const char *path);
bool is_there(const char *path);

/* client.crt and client.key of set N as plain files, the key with mode 0640. */
void fixture_put_plain(const struct fixture *fixture, int number);

void put_file(const char *path, const char *text);

#endif
