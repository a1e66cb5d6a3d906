/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include "base/err.h"
#include "config/config.h"

/* The inside of config/: the one table of options, and the state that flags, environment and file
 * share while they are read. */
struct parse;

enum option_flags {
    OPTION_LIST = 1,        /* may be repeated, and each value may be a comma list */
    OPTION_FILE_ONLY = 2,   /* "command": on the command line it is a word without -- */
    OPTION_NOT_IN_FILE = 4, /* "config" */
    OPTION_FIXED = 8,       /* cannot change while run runs */
    OPTION_OPAQUE = 16,     /* where a secret may have come by mistake: what it cannot be is shown
                               by its length alone */
    OPTION_PEM = 32,        /* in the file its value may be blocks of PEM, of many lines */
    OPTION_PLAIN = 64,      /* commands that only look ignore it where it is wrong */
    OPTION_NOT_IN_ENVIRONMENT = 128,
    OPTION_SPARE = 256, /* so do purge, probe and attest, too */
};

/* The commands, as sets. */
enum verb {
    VERB_FETCH = 1,
    VERB_INSPECT = 2,
    VERB_PROBE = 4,
    VERB_RUN = 8,
    VERB_STATUS = 16,
    VERB_HEALTHCHECK = 32,
    VERB_PURGE = 64,
    VERB_ATTEST = 128,
    VERB_DOCTOR = 256,
    VERB_CHECK_CONFIG = 512,
};

/* The one of that name; 0: there is none, or name is NULL. */
unsigned verb_of(const char *name);
/* Whose options one takes: doctor looks at all that run does, check-config at whatever it is. */
unsigned verb_takes(unsigned verb);
/* "fetch, run" */
#define VERBS_TEXT_MAX 80
const char *verbs_text(char out[VERBS_TEXT_MAX], unsigned verbs);
const char *value_command(const char *text);

struct option {
    /* The same word in all three places; in the environment in upper case behind MTLS_AGENT_. */
    const char *name;
    /* Its value in --help; for a choice, its words; NULL: a boolean, whose flag needs no value. */
    const char *metavar;
    /* Takes a value, whose text lives on: NULL, or a clause that says why not: "is no duration". */
    const char *(*set)(struct parse *parse, const struct option *option, const char *text);
    size_t field;                           /* of struct config, for setters of several rows */
    const char *(*check)(const char *text); /* of set_text(): NULL, or such a clause */
    const char *fallback;                   /* the default, as a user would write it; NULL: none */
    /* Of a duration, and most of a number; of a mode: the bits that it must and may have. */
    const char *least, *most;
    unsigned flags;
    unsigned verbs; /* that have a use for it; 0: all */
    const char *help;
};

extern const struct option options[];
extern const size_t option_count;
#define OPTIONS_MAX 96

/* In order of precedence. */
enum source { SOURCE_NONE, SOURCE_FLAGS, SOURCE_ENVIRONMENT, SOURCE_FILE, SOURCE_DEFAULT };

/* A line of the file in place of an environment variable. */
struct config_variable {
    const char *name; /* NULL behind the last one */
    const char *value;
};
#define VARIABLES_MAX 40

/* A copy of a value. */
struct text {
    struct text *next;
    char text[];
};

/* A configuration and what it points to. */
struct store {
    struct config config; /* first: it is what config_parse() hands out */
    struct config_variable variables[VARIABLES_MAX + 1];
    struct text *texts;
    uint64_t digests[OPTIONS_MAX]; /* of each option's values as they were written */
    enum source
        set_by[OPTIONS_MAX]; /* the source of the value in force: the first one that has a value */
    int argc;                /* what was parsed, for config_reload() */
    char *const *argv;
};

struct parse {
    struct store *store;
    struct err *err;
    enum source source;                /* the source that is read now */
    char place[ERR_SUBJECT_MAX];       /* where in it: the flag, the variable or the file's path */
    unsigned line;                     /* of the file, 0 elsewhere */
    enum source given_by[OPTIONS_MAX]; /* the last source that has one */
    unsigned collects; /* doctor or check-config, which want every mistake; else 0 */
    bool group_named;
    bool sound;    /* the value that is read has its option's form: it may be shown */
    char why[256]; /* room for a setter's clause */
};

/* A row by its name. option_find(): NULL where there is none; option_named(): that, or a row that
 * has no place in this source, is an error. */
const struct option *option_find(const char *name);
const struct option *option_named(struct parse *parse, const char *name);

/* The row without such a flag whose name is nearest to a mistyped one; NULL: none is near. */
const struct option *option_near(const char *name, unsigned without);

/* Takes a value of the current source, unless an earlier source gave one. */
int option_set(struct parse *parse, const struct option *option, const char *value);

enum source option_source(const struct parse *parse, const char *name);

#define OPTION_VARIABLE_MAX 64
/* The name of its environment variable. */
void option_variable(char out[OPTION_VARIABLE_MAX], const struct option *option);

/* Fails with the place and line being read: ERR_USAGE for flags, ERR_CONFIG otherwise. */
int parse_refuse(struct parse *parse, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * After a failure: whether the command can go on without the option concerned (NULL: unknown). Then
 * the mistake is noted for config_log(), and reading goes on.
 */
bool parse_forgives(struct parse *parse, const struct option *option);

/* The same, only for commands that collect mistakes. */
bool parse_collects(struct parse *parse, const struct option *option);

/* ERR_MEMORY_FULL, of the ordinary heap. */
int parse_starved(struct parse *parse);

/* A copy that lives as long as the configuration; NULL with err set. */
const char *parse_keep(struct parse *parse, const char *text, size_t len);

/*
 * What may be shown of a name that nobody knows, or of a value: the text in quotes, or else its
 * length, "(57 bytes)". A value that is not sound is shown where it is short, since then it is a
 * mistyped one.
 */
#define QUOTED_MAX 112
const char *quoted_name(char out[QUOTED_MAX], const char *name);
const char *quoted_value(char out[QUOTED_MAX], const char *value, bool sound);

/* The three sources, each read whole into parse. */
int config_flags_read(struct parse *parse, int argc, char *const argv[]);
int config_env_read(struct parse *parse);
int config_file_read(struct parse *parse);

/* Logs, or reports, the MTLS_AGENT_ variables that name no option. */
void config_env_log(void);
void config_env_review(config_told *told, void *user);

/* The fault of the options of attestation together: *option and a clause; NULL: none. */
const char *config_attest_flaw(const struct parse *parse, const char **option);

/* Logs weak settings among them. */
void config_attest_log(const struct config *config);

/*
 * Which file to read: the named one, else the first candidate that exists, else NULL. *ignored is
 * the first other candidate that exists, or NULL. NULL ends the candidates.
 */
const char *config_file_find(const char *named, const char *const candidates[],
                             const char **ignored);

/* Whether a line of this name in the file is an environment variable. */
bool config_is_variable(const char *name);

/* Refuses a private key in one of these variables, as the environment has them, and takes the white
 * space off around their values. */
int config_variables_check(struct parse *parse);

/* Takes such a line, if the file may hold this variable. */
int config_variable_set(struct parse *parse, const char *name, const char *value);

#endif
