/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSTALL_INSTALL_H
#define INSTALL_INSTALL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"

struct bundle;
struct err;

/*
 * The installed set: one directory "..set-<16 hex>" holds the files, and the link "..data" names
 * it. client.crt, client.key and ca.crt are links through "..data", so that one rename changes all
 * of them at once. A manifest in the set says which secrets and versions it came from, and the
 * digest of each file.
 */
#define INSTALL_COMBINED  "client.pem"    /* key, leaf and chain in one file */
#define INSTALL_STATUS    "..status.json" /* of run, where it has no other place */
#define INSTALL_NAME_SIZE sizeof "..set-0123456789abcdef"

struct install_file {
    const char *name; /* "client.key" */
    struct bytes content;
    bool secret; /* key_mode instead of cert_mode */
};

struct install_source { /* a secret that the set was made of */
    const char *secret; /* ARN */
    const char *version_id;
};

struct install_target {
    const char *root; /* prefix, "" for none */
    const char *dir;  /* absolute */
    const char *sub;  /* "" for dir itself */
    bool owner_set;
    uid_t owner;
    gid_t group;
    mode_t key_mode, cert_mode, dir_mode;
    int64_t keep_previous_ms;
    bool keep_newest;     /* the previous set stays longer, until it expires */
    int64_t deadline;     /* how long to wait for another agent's lock, on clock_ms() */
    const char *lock_dir; /* of locks; NULL: see INSTALL_LOCK_DIR */
    bool others_accepted; /* others may rename in the target, and the operator knows */
    bool looks_only;      /* no function changes anything */
};

/*
 * The directory of locks, where it can be used: "/run" belongs to this machine, and no reader
 * mounts it. True where it can be used; with change it is made, and only the agent or root may
 * write there.
 */
#define INSTALL_LOCK_DIR "/run/mtls-agent"
bool install_lock_directory(const struct install_target *target, bool change,
                            const char **directory);

enum install_lock_holder {
    INSTALL_LOCK_FREE,
    INSTALL_LOCK_HELD,
    INSTALL_LOCK_UNKNOWN /* the file cannot be opened, or is not the agent's */
};

struct install_overlap { /* an anchor in ca.crt that ca_cert no longer holds */
    char digest[65];     /* SHA-256 of its DER, hexadecimal */
    int64_t until;       /* seconds since 1970 */
};

#define INSTALL_FILES_MAX   8
#define INSTALL_OVERLAP_MAX 16
struct install_set {
    const struct install_file *files;
    size_t file_count;
    const struct install_source *sources;
    size_t source_count;
    const char *fingerprint; /* of the leaf */
    int64_t not_after;       /* of the leaf: an expired previous set is not kept */
    const struct install_overlap *overlap;
    size_t overlap_count;
};

enum install_outcome {
    INSTALL_DONE,    /* a new set is in place */
    INSTALL_ADOPTED, /* a new set is in place, and plain files of the same names became its previous
                        set */
    INSTALL_UNCHANGED,     /* the same set was there, whole; nothing was written */
    INSTALL_OVERLAP_ENDED, /* the same version was there, with anchors whose time is over */
    INSTALL_HEALED         /* the same version, or an unknown one, was there damaged */
};

/*
 * Installs a set atomically and durably; agents take turns. Removes leftovers of a killed run and
 * previous sets past keep_previous; leaves foreign files alone. On failure (ERR_TARGET_INVALID,
 * ERR_INSTALL_FAILED, ERR_DEADLINE) the old set is in place.
 */
int install_set(const struct install_target *target, const struct install_set *set,
                enum install_outcome *outcome, struct err *err);

/*
 * Whether a set could be installed there, as far as a check without a trace can say: nobody else
 * can change its path, a file could be made, given to the owner, and be of some size. Where a
 * directory is missing, the one above it is checked. Errors as install_set()'s.
 */
int install_could(const struct install_target *target, struct err *err);

/*
 * Removes what install_set() would remove: a previous set past its time or damaged, leftovers of a
 * killed run. For cycles that install nothing. Does nothing while another agent holds the lock.
 */
void install_sweep(const struct install_target *target);

/* Its path; how long that is: INSTALL_WHERE_MAX or more where it is cut, as no configuration's is.
 */
#define INSTALL_WHERE_MAX 1024
size_t install_where(const struct install_target *target, char out[INSTALL_WHERE_MAX]);

/* What is installed in the target now. */
struct installed {
    char set[INSTALL_NAME_SIZE]; /* its name; "": plain files, or not of this agent's making */
    char version[65];            /* by install_version(); "": no manifest */
    char fingerprint[65];
    int64_t not_after;
    char version_ids[16][65]; /* of the manifest, in its order */
    size_t version_count;
    struct install_overlap overlap[INSTALL_OVERLAP_MAX];
    size_t overlap_count;
    mode_t modes[INSTALL_FILES_MAX]; /* by enum bundle_field, of install_read() alone; 0: none */
    bool way_back;                   /* the set before it is there */
};

/*
 * Whether a set (NULL: the installed one) was made of these secrets, each an ARN, with or without
 * the suffix of Secrets Manager, or a name. Two are the same where account and name are the same,
 * as far as both are known; a replica in another Region is the same secret. Unknown where no
 * manifest can be read, with errno ENOMEM where memory is full. Of others: other names one.
 */
#define INSTALL_OTHER_MAX 256
enum install_origin { INSTALL_OF_UNKNOWN, INSTALL_OF_THESE, INSTALL_OF_OTHERS };
enum install_origin install_origin(const struct install_target *target, const char *set,
                                   const struct install_source *sources, size_t count,
                                   char other[INSTALL_OTHER_MAX]);

/*
 * Names the version of a set of these secrets' versions, in this order: SHA-256, lower-case
 * hexadecimal, of the head of its manifest. 0; -1 where memory is full.
 */
int install_version(char out[65], const struct install_source *sources, size_t count);

/* Reads the facts of the installed set's manifest; false where there is none. */
bool install_facts(const struct install_target *target, struct installed *facts);

/*
 * Reads the installed set, as install_read() does, if it was made of exactly these versions and
 * each of its files agrees with its manifest; else false, and the bundle is empty. Leaves out
 * anchors of an overlap, so the bundle holds what the secret held.
 */
bool install_recall(const struct install_target *target, const struct install_source *sources,
                    size_t source_count, struct bundle *bundle);

/*
 * Reads the installed set into bundle (by file name; zero-initialise it before, bundle_free()
 * after). Opens "..data" once, so that all files are of one set; reads plain files where there is
 * no "..data". facts (may be NULL) are the manifest's; without a manifest they are zero, except the
 * set's name. ERR_NO_IDENTITY where there is no set; ERR_TARGET_INVALID.
 */
int install_read(const struct install_target *target, struct bundle *bundle,
                 struct installed *facts, struct err *err);

/* The same for ca.crt only, whatever is wrong with the rest. */
int install_read_ca(const struct install_target *target, struct bundle *bundle,
                    struct installed *facts, struct err *err);

#endif
