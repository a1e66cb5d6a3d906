/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "config/config.h"

struct environment;
struct identity;

/*
 * All checks from the configuration to the enclave, with findings for each room. A failure ends
 * nothing: the next room is checked all the same. Each finding is a struct err, with the code,
 * words and remedy of the part that found it. It changes nothing, and asks AWS for each thing once.
 */
enum doctor_level { DOCTOR_PROBLEM, DOCTOR_WARNING };

#define DOCTOR_REMEDY_MAX 384
struct doctor_finding {
    enum doctor_level level;
    const char *room;
    struct err err;
    char remedy[DOCTOR_REMEDY_MAX];
};

#define DOCTOR_FINDINGS_MAX 64
#define DOCTOR_ROOMS        9
#define DOCTOR_GOOD_MAX     2048
struct doctor {
    const struct config *config;
    const struct environment *environment;
    int64_t deadline; /* on clock_ms() */
    bool ipv6;        /* an address of it leads beyond this host and its neighbours */
    bool clock_off;   /* so far that no date can be judged by this host's clock */
    bool locks;       /* memory can be locked, or need not be: secrets may be looked at */
    bool (*runs)(const struct config *config, int64_t deadline, char *reason, size_t size);
    size_t room;                              /* that is looked at */
    char good[DOCTOR_ROOMS][DOCTOR_GOOD_MAX]; /* of each room, a line; a longer one ends in ... */
    struct identity *secret[CONFIG_SETS_MAX]; /* a set's secrets, where they are good; */
    enum err_code flaw[CONFIG_SETS_MAX];      /* else their fault */
    bool installed[CONFIG_SETS_MAX];          /* the installed set is good */
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
    atomic_size_t count; /* may be read while others are found */
};

/*
 * early: what needs no secret and as many rights as the process was started with. Then, within the
 * sandbox and on the arena's stack, the rest.
 */
void doctor_examine(struct doctor *doctor, bool early);

/* Looks at the configuration alone, and for a whole moment: reads no secret, asks nobody. */
void doctor_check_config(struct doctor *doctor);

/* As text of 80 columns, the worst first, or as one JSON document. Whether nothing was found. */
struct buf;
bool doctor_write(const struct doctor *doctor, bool json, struct buf *out);

/* The public text of a file in /proc, with a NUL behind it, for buf_free(); NULL: it cannot be
 * read.
 */
char *doctor_read(const char *path, struct buf *text);

/* For the rooms, and for callers that know more of the host. */
enum { DOCTOR_HOST = 1 }; /* as room */

/* Adds a finding once; where this user may not look, it says that only root can. */
void doctor_find(struct doctor *doctor, enum doctor_level level, const struct err *err);
/* The same with a remedy that names the object. */
void doctor_advise(struct doctor *doctor, enum doctor_level level, const struct err *err,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Adds a clause to the room's line of good results. */
void doctor_say(struct doctor *doctor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Whether a problem of that code, or of any (ERR_NONE), was found; of a subject or a directory that
 * it lies in; NULL: on whatever. */
bool doctor_found(const struct doctor *doctor, enum err_code code, const char *subject);

void doctor_config(struct doctor *doctor);
void doctor_host(struct doctor *doctor);
void doctor_memory(struct doctor *doctor); /* whether it can be locked: locks */
void doctor_target(struct doctor *doctor);
void doctor_files(struct doctor *doctor);
void doctor_change(struct doctor *doctor); /* hooks, signals, and the service manager */
void doctor_names(struct doctor *doctor);
void doctor_aws(struct doctor *doctor);
void doctor_identity(struct doctor *doctor);
void doctor_enclave(struct doctor *doctor);
void doctor_run(struct doctor *doctor);

#endif
