/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * The rights that the process gives up before it touches a secret or hostile input: capabilities,
 * files (Landlock), system calls (seccomp). It leaves out what the kernel lacks, and sandbox_look()
 * reports that; nothing here fails.
 */

/* What may be done below a directory, or with a file. */
enum sandbox_right {
    SANDBOX_READ = 1,    /* files are read */
    SANDBOX_LIST = 2,    /* directories too */
    SANDBOX_APPEND = 4,  /* files are made, and written */
    SANDBOX_REPLACE = 8, /* that, and names change hands */
    SANDBOX_TREE = 31    /* all that the target needs: directories and links, too */
};

#define SANDBOX_PATH_MAX 1280
struct sandbox_path {
    char wanted[SANDBOX_PATH_MAX]; /* by the configuration */
    char path[SANDBOX_PATH_MAX];   /* what the rule is bound to: resolved, and there */
    unsigned rights;
};

/* Grows on the ordinary heap. Zero-initialise it. */
struct sandbox_paths {
    struct sandbox_path *items;
    size_t count;
    bool lost; /* one found no memory: no rules are made of the rest */
};
void sandbox_paths_free(struct sandbox_paths *paths);

/*
 * Adds a directory, or where it does not exist the nearest one above it. Adds a file by its
 * directory, and by the directory of its link's target, since a rename may replace it. A file that
 * is a mount point, or is in "/", is added by itself.
 */
void sandbox_allow_directory(struct sandbox_paths *paths, const char *directory, unsigned rights);
void sandbox_allow_file(struct sandbox_paths *paths, const char *file, unsigned rights);

/*
 * A file of an added directory: it will be read, whoever owns it; a link that leads out of the
 * directory is not followed.
 */
void sandbox_allow_below(struct sandbox_paths *paths, const char *directory, const char *file);

/*
 * The same for reading, for a file that may have neighbours which are not ours: a link's directory
 * is not added. alone: nor is that of a plain file, which is then found only until it is replaced.
 */
void sandbox_allow_neighbour(struct sandbox_paths *paths, const char *file, bool alone);

/* The first of the asked paths that the ones in force do not cover; NULL: none. */
const struct sandbox_path *sandbox_beyond(const struct sandbox_paths *in_force,
                                          const struct sandbox_paths *asked);

struct sandbox_options {
    const struct sandbox_paths *paths;
    bool network;  /* sockets are made, threads are narrowed, limits are read */
    bool installs; /* files are made and replaced */
    bool stays;    /* timers are set, and the process looks at itself */
    bool foreign;  /* files of other users are read or written, whatever their modes */
    pid_t runner;  /* may be killed; 0: nobody */
    int notify;    /* a socket that is connected, and stays so; -1: none */
};

/*
 * For the calling thread and those that it starts, for good: no new privileges, capabilities,
 * Landlock, seccomp. The first part looks at files, and may hang where one does; it returns what
 * the second one takes, which does not, and has to find no other thread.
 */
int sandbox_prepare(const struct sandbox_options *options);
void sandbox_begin(const struct sandbox_options *options, int rules);

/* Narrows the rights of the calling thread, and of those that it starts. */
void sandbox_narrow(const struct sandbox_paths *paths);

/* What sandbox_begin() has put into force; texts are static. */
struct sandbox_facts {
    int landlock;                /* the ABI in use; 0: not in force */
    bool seccomp;                /* the filter is */
    const char *landlock_absent; /* why not, else NULL; NULL also where nobody asked */
    const char *seccomp_absent, *capabilities_absent, *no_new_privs_absent;
    const char *capabilities; /* that are kept; "" : none, NULL: as they were */
};
void sandbox_look(struct sandbox_facts *facts);

/* System calls that were refused so far, and the number of the last one, -1 without. */
size_t sandbox_refused(int *call);

/* The parts, each 0 or -1 with errno. */
int sandbox_drop_capabilities(bool foreign, const struct sandbox_paths *paths, const char **kept);
int sandbox_landlock_rules(const struct sandbox_paths *paths, int *abi); /* or a descriptor */
int sandbox_landlock_enter(int rules);
int sandbox_seccomp(const struct sandbox_options *options);

#endif
