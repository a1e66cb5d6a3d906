/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSTALL_INSTALL_INTERNAL_H
#define INSTALL_INSTALL_INTERNAL_H

#include <dirent.h>

#include "base/buf.h"
#include "base/hash.h"
#include "identity/bundle.h"
#include "install/install.h"

/* Shared by the parts of install. docs/install.md describes what is on disk, and why. */
#define DATA_LINK        "..data"
#define SET_PREFIX       "..set-"
#define SET_NAME_SIZE    INSTALL_NAME_SIZE
#define MANIFEST_FILE    "manifest"
#define MEMORY_FILE      "..agent"
#define RUN_FILE         "..run"
#define LOCK_FILE        "..lock"
#define TELL_FILE        "..tell"
#define TEMPORARY_PREFIX "..tmp-"

/*
 * Most bytes of a file of a set, for writers and readers: a secret's 64 KiB, added line breaks, and
 * the anchors of an overlap.
 */
#define INSTALL_FILE_MAX ((size_t)256 * 1024)

/* install_dir.c: the target directory, open. */
struct place {
    const struct install_target *target;
    int fd;                       /* -1: not open */
    int lock;                     /* the lock's file; -1: not held */
    char path[INSTALL_WHERE_MAX]; /* for errors and logs */
    uid_t own_uid;                /* owner of the files that we make there */
    gid_t own_gid;
    bool own_known; /* tested, not assumed */
};

/*
 * Opens the target. A missing directory is made with make, else ERR_NO_IDENTITY. Refuses one that
 * others could replace (ERR_TARGET_INVALID).
 */
int place_open(struct place *place, const struct install_target *target, bool make,
               struct err *err);
void place_close(struct place *place);

/* Whether uid may own what we rely on: root, ourselves, the configured owner. */
bool place_trusts(const struct place *place, uid_t uid);

/* Makes a name that nobody can guess; whether a name is one, or such a one of older versions. */
#define TEMPORARY_NAME_SIZE sizeof "..tmp-0123456789abcdef"
void temporary_name(char name[TEMPORARY_NAME_SIZE]);
bool is_temporary(const char *name);

/*
 * install_lock.c: locks by fcntl(2) of a file's open description, which no reader can take. The
 * file lies in lock-dir, else in INSTALL_LOCK_DIR, else in the target (docs/install.md).
 */
enum lock_kind { LOCK_INSTALL, LOCK_RUN, LOCK_TELL };
/* 0 with *fd, to be closed: -1 too where nothing can be written and so nobody kept out.
 * ERR_DEADLINE, for LOCK_RUN ERR_ALREADY_RUNNING; ERR_TARGET_INVALID, ERR_INSTALL_FAILED. */
int lock_take(const struct place *place, enum lock_kind kind, int64_t deadline, int *fd,
              struct err *err);
enum install_lock_holder lock_look(const struct place *place, enum lock_kind kind);

/* Removes a lock's file in the target, unless another process holds it; own: one that we hold. */
void lock_remove(const struct place *place, enum lock_kind kind, int own);

/* Waits for LOCK_INSTALL until the target's deadline. place_close() releases it. */
int place_lock(struct place *place, struct err *err);

/* fsync(2), through interrupts. */
int sync_fd(int fd);

/* install_line.c: lines of printable words, separated by one space, as in our own files. */
#define LINE_WORDS_MAX 3
struct line {
    struct bytes word[LINE_WORDS_MAX];
    size_t words;
};

/* Takes a line off the text: 0; -1 where there is none, or it is malformed. */
int line_next(struct bytes *text, struct line *line);

/* Whether a line has that many words, and the first is the keyword. */
bool line_is(const struct line *line, const char *keyword, size_t words);

/* Copies a word to where size bytes are; false where it does not fit, or is no digest. */
bool line_copy(char *out, size_t size, struct bytes word);
bool line_copy_digest(char out[HASH_HEX_SIZE], struct bytes word);

/* Reads a word of decimal digits; false where it is none. */
bool line_read_number(int64_t *out, struct bytes word);

/* Appends a line of two or, where second is not NULL, three words: 0, or -1 where memory is full.
 */
int line_add(struct buf *text, const char *keyword, const char *first, const char *second);

/* The same with a number as the last word; word may be NULL. */
int line_add_number(struct buf *text, const char *keyword, const char *word, int64_t value);

/* install_manifest.c: what a set is made of, as text. */
struct manifest {
    struct buf text;    /* len 0: none */
    size_t sources_len; /* the text up to the last source: the version */
    size_t own_len;     /* the text without the line on the previous set */
    size_t file_count;
    struct installed facts;
    char previous[SET_NAME_SIZE]; /* "": none */
};

/* Renders the manifest of a set that has no previous one. */
int manifest_render(struct manifest *manifest, const struct install_set *set, struct err *err);
/* Names the set that the rendered one replaces; 0, or -1 where memory is full. */
int manifest_add_previous(struct manifest *manifest, const char *name);
/* Reads the manifest in a set's directory: 0; -1 where there is none, or it is not in our form. */
int manifest_read(struct manifest *manifest, int set);
void manifest_free(struct manifest *manifest);

/* Whether a set was made of exactly these versions. */
bool manifest_is_of(const struct manifest *manifest, const struct install_source *sources,
                    size_t count);

/* Whether a set has a file of this name and content; with empty content, whether it has none. */
bool manifest_agrees(const struct manifest *manifest, const char *name, struct bytes content);

/* install_write.c: the directory of a set. */
enum { SET_MODE = 0755 };
void set_name_new(char name[SET_NAME_SIZE]);
bool set_name_valid(const char *name);

/*
 * Opens the set of that name: 0 with *fd, which is -1 where the set is gone, or a stranger's.
 * ERR_TARGET_INVALID where it is no directory.
 */
int set_open(const struct place *place, const char *name, int *fd, struct err *err);

struct attributes {
    mode_t mode;
    uid_t owner; /* -1: as it comes */
    gid_t group;
};

/* Sets these attributes on fd, where it has others: 0, or -1 with errno. */
int give(int fd, struct attributes attributes);

/* Writes a new file durably; it has its mode before it holds a byte. 0, or -1 with errno. */
int file_write(int at, const char *name, struct bytes content, mode_t mode);

/*
 * Writes a set durably, except its name in the target. After a failure a part of it stays, for
 * sweep().
 */
int set_write(const struct place *place, const char *name, const struct install_set *set,
              const struct manifest *manifest, struct err *err);

/*
 * Copies the plain files with the set's names into a new set, with owners and modes; durable in the
 * same way.
 */
int set_adopt(const struct place *place, const char *name, const struct install_set *set,
              struct err *err);

/* Whether an open set holds these contents, with the owners and modes configured. */
bool set_is_whole(const struct place *place, int fd, const struct install_set *set);

/* install_links.c: "..data" and the links through it. */
struct links {
    bool right; /* each name of the set is a link through "..data" */
    bool some;  /* at least one is */
    bool plain; /* at least one is a plain file */
};

/*
 * The set that "..data" names; "" where there is none, or a stranger's link. Refuses what this
 * agent did not make.
 */
int data_read(const struct place *place, char name[SET_NAME_SIZE], struct err *err);

/* The same without an error: false, and "", where it names no set of this agent. */
bool data_name(const struct place *place, char name[SET_NAME_SIZE]);

/* Whether name is a link to "..data/name". */
bool link_is_ours(const struct place *place, const char *name);

/* Lets "..data" name another set, whose name is durable, atomically and durably. */
int data_swap(const struct place *place, const char *name, struct err *err);

/*
 * Moves a stranger's thing at a name of ours out of the way; it is never read. 0, also where
 * nothing is there; -1 with errno, EEXIST where it is no stranger's.
 */
int displace(const struct place *place, const char *name);

/* Checks what is at the set's names; refuses what a set must not replace. */
int links_check(const struct place *place, const struct install_set *set, bool installed,
                struct links *links, struct err *err);

/*
 * Puts the links through "..data" in place, each by one rename, and syncs them with everything else
 * that was made in the target.
 */
int links_place(const struct place *place, const struct install_set *set, struct err *err);

/* install_read.c: the place of a field in a bundle, made ready to be read into. */
struct buf *field_prepare(const struct place *place, enum bundle_field field,
                          struct bundle *bundle);

/*
 * install_sweep.c: removes each set but the current and a living previous one, links of ours to
 * nothing, and temporary files. A set that cannot be removed is logged.
 */
void sweep(const struct place *place);

/*
 * install_rollback.c: whether a set of that name is as it was installed, or has no manifest that
 * says how it was.
 */
bool set_is_sound(const struct place *place, const char *name);

/*
 * Removes the directory of a set, whoever owns it: only this agent gives such names. false with
 * errno.
 */
bool set_remove(const struct place *place, const char *name);

/* The entries of an open directory, through a descriptor of their own. */
DIR *directory_list(int directory);

#endif
