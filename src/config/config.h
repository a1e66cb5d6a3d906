/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/log.h"

struct err;

/*
 * All that a user can set, from flags, environment and file, in this order of precedence, out of
 * the one table in options.c. It holds no secret, is parsed on the ordinary heap before the arena
 * exists, is valid as a whole or does not exist, and never changes afterwards.
 */
#define CONFIG_SETS_MAX       256
#define CONFIG_SECRETS_MAX    16
#define CONFIG_ENDPOINTS_MAX  1024
#define CONFIG_SUB_MAX        64
#define CONFIG_EXPECT_CAS_MAX 16
#define CONFIG_TEXTS_MAX      16 /* of an option whose values add up */
#define CONFIG_WORDS_MAX      32
#define CONFIG_SIGNALS_MAX    8
#define CONFIG_WAVES_MAX      8
#define CONFIG_ROOTS_MAX      8
#define CONFIG_ROOT_SIZE      32 /* a SHA-256 */
#define CONFIG_MISTAKES_MAX   64

/* Secrets that make one installed set. Sets are in the order of their first secret. */
struct config_set {
    char sub[CONFIG_SUB_MAX];                /* "": the target directory itself */
    const char *secrets[CONFIG_SECRETS_MAX]; /* ARNs or names */
    size_t secret_count;
};

/* An enclave: where to connect and whom to expect there. */
struct endpoint {
    char text[320];    /* as the user wrote it, for logs and errors */
    char label[520];   /* NAME:PORT, or NAME@ADDRESS:PORT, however it was written: for metrics */
    char name[256];    /* verified, and sent as SNI if a DNS name; IPv6 without its brackets */
    char address[256]; /* what to connect to; the same as name unless written name@address:port, or
                          with a final dot, which this has and the name has not */
    uint16_t port;
    char path[256]; /* "": config->health_path */
};

/* So many of a hundred hosts, those of the waves before it included, wait so long. */
struct wave {
    unsigned long percent;
    int64_t delay_ms;
};

/* Whom to signal when a set has changed. */
struct change_signal {
    int number;
    const char *name; /* "HUP", static */
    pid_t pid;        /* 0: the one in pid_file */
    const char *pid_file;
};

/* Which answers of enclaves take run back by itself. */
enum rollback_policy { ROLLBACK_NEVER, ROLLBACK_REFUSED, ROLLBACK_AUTHENTICATED };

enum tls_choice { TLS_CHOICE_BOTH, TLS_CHOICE_13, TLS_CHOICE_12 };
enum rehearse_policy { REHEARSE_REFUSE, REHEARSE_REQUIRE, REHEARSE_OFF };

/* Whether an enclave has to prove that it is one, and in whose way it does (attest/profile.h). */
enum attest_policy { ATTEST_OFF, ATTEST_REPORT, ATTEST_REQUIRE };
enum attest_convention {
    ATTEST_NAUTILUS,
    ATTEST_NITRIDING_DAEMON,
    ATTEST_EVERVAULT,
    ATTEST_OPENSECRET,
    ATTEST_MARLIN,
    ATTEST_GENERIC
};

#define CONFIG_NOW INT64_MIN

/* Something wrong with the configuration that did not end the parsing of it. */
struct config_mistake {
    const char *place, *reason; /* the flag, the variable or the file; "line 3: ..." */
};

struct config {
    const char *command;      /* the verb, of the command line, else of the file; NULL: none */
    const char *operand;      /* the word behind it, or NULL */
    const char *other;        /* inspect: the word behind that */
    const char *file;         /* the configuration file read, NULL: none */
    const char *file_ignored; /* a second one that was found and not read, or NULL */
    const char *view;         /* check-config: the verb that all is looked at for */
    struct config_mistake mistakes[CONFIG_MISTAKES_MAX]; /* that the command does without */
    size_t mistake_count;
    struct config_set sets[CONFIG_SETS_MAX];
    size_t set_count;
    struct endpoint *endpoints;
    size_t endpoint_count;
    const char *dir, *root;     /* "/etc/ecs/mtls", "" */
    bool writable_dir_accepted; /* writable-dir */
    const char *lock_dir;       /* NULL: where install.h says */
    const char *region;         /* NULL: of the ARN, then the SDK's order */
    const char *profile;        /* of the SDKs' shared files; NULL: as they choose it */
    const char *role_arn, *role_session_name, *role_external_id; /* a role to assume, or NULL */
    const char *version_stage, *version_id;                      /* one of them, or both */
    const char *endpoint_url; /* Secrets Manager's; NULL: AWS's own */
    bool allow_plaintext_endpoint;
    const char *proxy, *no_proxy; /* for AWS; NULL: as the variables say */
    const char *ca_bundle;        /* for AWS: a file's path, or PEM; NULL: as the SDKs choose it */
    bool reader_set;              /* as-user */
    uid_t reader;
    gid_t reader_group;
    /* Asked in place of a secret's own, in this order. */
    const char *fallback_regions[CONFIG_TEXTS_MAX];
    size_t fallback_region_count;
    bool owner_set;
    uid_t owner;
    gid_t group;
    mode_t key_mode; /* by default 0640 where a group other than the agent's own was named */
    mode_t cert_mode, dir_mode;
    const char *health_path;
    bool allow_cn;
    bool allow_not_mutual;
    enum tls_choice tls_versions;
    bool compatible_suites; /* tls-suites */
    enum rehearse_policy rehearse;
    bool keep_if_unreachable;  /* if-unreachable */
    bool require_client_chain; /* client-chain */
    enum attest_policy attest;
    const char *attest_pcrs[CONFIG_TEXTS_MAX]; /* "0:HEX+3:HEX" */
    size_t attest_pcr_count;
    enum attest_convention attest_profile;
    const char *attest_path, *attest_field; /* generic: "/path?nonce={nonce}"; NULL: a known one */
    unsigned attest_binding;                /* generic: a word of attest/profile.h */
    int64_t attest_max_age_ms, attest_leeway_ms;
    int64_t attest_interval_ms; /* run */
    const char *attest_root;    /* a file; NULL: none but AWS's */
    uint8_t attest_roots[CONFIG_ROOTS_MAX][CONFIG_ROOT_SIZE];
    size_t attest_root_count;
    const char *attest_pins;    /* NULL: none */
    int64_t at;                 /* attest: seconds since 1970, or CONFIG_NOW */
    bool attested;              /* healthcheck */
    const char *expect_subject; /* NULL: any */
    const char *expect_sans[CONFIG_TEXTS_MAX];
    size_t expect_san_count;
    const char *expect_cas[CONFIG_EXPECT_CAS_MAX]; /* SHA-256 in lower-case hexadecimal */
    size_t expect_ca_count;
    const char *forbidden[CONFIG_TEXTS_MAX]; /* ids of versions */
    size_t forbidden_count;
    int64_t ca_overlap_ms;
    bool dry_run;
    bool rollback;                       /* fetch goes back to the previous set */
    int64_t deadline_ms;                 /* of fetch, and of each cycle of run */
    int64_t interval_ms;                 /* run: the most between two cycles */
    int64_t probe_interval_ms;           /* run: between two rounds of probes; 0: none */
    int64_t probe_full_every;            /* run: which probe of an endpoint is a full handshake */
    struct wave waves[CONFIG_WAVES_MAX]; /* run; the last one's are a hundred */
    size_t wave_count;
    enum rollback_policy rollback_on_failure;
    const char *on_change_exec[CONFIG_WORDS_MAX + 1]; /* a program and its arguments, then NULL */
    struct change_signal on_change_signals[CONFIG_SIGNALS_MAX];
    size_t on_change_signal_count;
    int64_t on_change_timeout_ms;
    const char *status_file;  /* NULL: where status.h says */
    const char *metrics_file; /* NULL: none */
    bool metrics_emf;         /* metrics-format */
    int64_t max_fetch_age_ms; /* healthcheck; 0: not asked */
    int64_t min_endpoints;    /* healthcheck; 0: not asked */
    int64_t keep_previous_ms;
    bool combined;
    int64_t expires_within_ms; /* 0: not asked */
    const char *request;       /* a path whose answer probe prints; NULL: none */
    int64_t count;             /* how often probe asks each endpoint */
    bool show_chain;
    bool json;
    bool memory_lock_preferred;
    bool sandbox_off;
    struct log_options log;
    const struct config_variable *variables; /* the file's lines of variables */
};

/*
 * Parses argv (argv[0] skipped), the environment and the configuration file. On failure -1 with
 * ERR_USAGE for flags, ERR_CONFIG for environment and file. The subject is the flag, the variable
 * or the file, the reason shows line and word. *out is then not touched. config_free(NULL) is
 * allowed.
 */
int config_parse(int argc, char *const argv[], struct config **out, struct err *err);
void config_free(struct config *config);

/*
 * Contradictions in a configuration without a mistake, and variables and files that it ignores:
 * told gets the option, the variable or the file, and a clause.
 */
typedef void config_told(void *user, const char *subject, const char *reason);
void config_review(const struct config *config, config_told *told, void *user);

/* "secret and dir from /etc/mtls-agent.conf; endpoint from variables": where values came from. */
#define CONFIG_SOURCES_MAX 320
void config_sources(const struct config *config, char out[CONFIG_SOURCES_MAX]);

/*
 * The command (or NULL) and the deadline of flags and environment, as far as they are right, before
 * a file is read. NULL without memory. Free with config_free().
 */
struct config *config_first(int argc, char *const argv[]);

/*
 * Reads the same sources again, with the file's present text. ERR_CONFIG also where an option
 * differs that cannot change while the process runs.
 */
int config_reload(const struct config *current, struct config **out, struct err *err);

/* What a set is called in log and metrics: its subdirectory, else the directory. */
const char *config_set_name(const struct config *config, size_t set);

/*
 * A variable of the SDKs or of proxies by its own name: the environment's value, else the file's
 * line of that name; NULL where unset, empty or blank. Not for the secret ones
 * (AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_SECURITY_TOKEN,
 * AWS_CONTAINER_AUTHORIZATION_TOKEN), which no file may hold.
 */
const char *config_variable(const struct config *config, const char *name);

/* The options' part of --help on fd, one row an option: those of a command; NULL: all. 0; -1 with
 * errno. */
int config_help(int fd, const char *command);

/* Logs, once the log is open, the file read, one ignored, a mistake that the command does without,
 * and unknown MTLS_AGENT_ variables. */
void config_log(const struct config *config);

#endif
