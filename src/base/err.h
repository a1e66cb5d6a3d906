/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

/*
 * The one error type. A function that can fail returns 0 or -1 and, on -1, has filled the caller's
 * struct err: a stable code, on what it failed (secret, endpoint, file) and why. What a code means
 * to the user, its exit status (sysexits.h) and its remedy stand in one table in err.c. Libraries
 * set errors; only the edge (the commands) prints them, once, through log_error().
 */
enum err_code {
    ERR_NONE = 0,
    ERR_USAGE,
    ERR_CONFIG,
    ERR_REGION_MISSING,
    ERR_CREDENTIALS_MISSING,
    ERR_CREDENTIALS_FAILED,
    ERR_CREDENTIALS_EXPIRED,
    ERR_CREDENTIALS_UNKNOWN,
    ERR_METADATA_OFF,
    ERR_METADATA_HOP_LIMIT,
    ERR_ROLE_MISSING,
    ERR_CONTAINER_NOT_READY,
    ERR_TOKEN_FILE_MISSING,
    ERR_AWS_UNREACHABLE,
    ERR_DNS_FAILED,
    ERR_NO_ROUTE,
    ERR_PRIVATE_DNS,
    ERR_PROXY_UNREACHABLE,
    ERR_PROXY_REFUSED,
    ERR_AWS_UNTRUSTED,
    ERR_AWS_BUSY,
    ERR_AWS_ANSWER,
    ERR_AWS_DENIED,
    ERR_AWS_DENIED_EXPLICITLY,
    ERR_KMS_DENIED,
    ERR_KMS_FAILED,
    ERR_AWS_REJECTED,
    ERR_SIGNATURE_WRONG,
    ERR_CLOCK_SKEW,
    ERR_SECRET_NOT_FOUND,
    ERR_SECRET_DELETED,
    ERR_VERSION_MISSING,
    ERR_VERSION_UNKNOWN,
    ERR_VERSION_PENDING,
    ERR_DOCUMENT_INVALID,
    ERR_DOCUMENT_TOO_LARGE,
    ERR_FIELD_MISSING,
    ERR_FIELD_REPEATED,
    ERR_PEM_INVALID,
    ERR_KEY_ENCRYPTED,
    ERR_KEY_UNSUPPORTED,
    ERR_KEY_INVALID,
    ERR_KEY_MISMATCH,
    ERR_CERTIFICATE_INVALID,
    ERR_CERTIFICATE_EXPIRED,
    ERR_CERTIFICATE_NOT_YET_VALID,
    ERR_CHAIN_INVALID,
    ERR_CHAIN_NOT_IN_CA,
    ERR_IDENTITY_UNEXPECTED,
    ERR_ENCLAVE_REFUSED,
    ERR_ENCLAVE_UNTRUSTED,
    ERR_ENCLAVE_UNREACHABLE,
    ERR_ATTEST_MISSING,
    ERR_ATTEST_MALFORMED,
    ERR_ATTEST_UNTRUSTED,
    ERR_ATTEST_FORGED,
    ERR_ATTEST_EXPIRED,
    ERR_ATTEST_CLOCK,
    ERR_ATTEST_INSTANCE,
    ERR_ATTEST_DEBUG,
    ERR_ATTEST_IMAGE,
    ERR_ATTEST_STALE,
    ERR_ATTEST_REPLAYED,
    ERR_ATTEST_UNBOUND,
    ERR_ATTEST_OTHER_KEY,
    ERR_TARGET_INVALID,
    ERR_INSTALL_FAILED,
    ERR_NO_IDENTITY,
    ERR_NO_PREVIOUS,
    ERR_ALREADY_RUNNING,
    ERR_HOOK_FAILED,
    ERR_NO_STATUS,
    ERR_MEMORY_LOCK,
    ERR_MEMORY_FULL,
    ERR_DESCRIPTORS_FULL,
    ERR_THREADS_FULL,
    ERR_SYSTEM,
    ERR_DEADLINE,
    ERR_ENCLAVE_PLAINTEXT,
    ERR_CERTIFICATE_ENDS,
    ERR_READER_DENIED,
    ERR_LABEL,
    ERR_NOT_WRITABLE,
    ERR_RUN_UNHEALTHY,
    ERR_CODES /* how many there are; not a code */
};

#define ERR_SUBJECT_MAX 256
#define ERR_REASON_MAX  768

struct err {
    enum err_code code;
    char subject[ERR_SUBJECT_MAX]; /* on what: never a secret's value */
    char reason[ERR_REASON_MAX]; /* why: text of ours, or remote text that went through redact() */
    const char *remedy; /* of this very cause, static; NULL: the code's. Set after err_set() */
    bool young; /* it may pass by itself: something of AWS's that was made a minute ago. False,
                   unless who filled it sets it */
};

/* What to do about an error, a sentence. */
const char *err_remedy(const struct err *err);

/*
 * Fills *err (text that does not fit is cut) and returns -1, so that callers can return it. subject
 * may be NULL.
 */
int err_set(struct err *err, enum err_code code, const char *subject, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* What a system call's error means: a shortage of the process's own, whatever it was to do. */
enum err_code err_of_errno(int error, enum err_code otherwise);

/* As err_set(), with ": " and the text of errno (as it was on entry) behind the reason. */
int err_set_errno(struct err *err, enum err_code code, const char *subject, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* What an error says of the identity that stands, and of another try. */
enum err_class {
    ERR_LASTING,     /* somebody must mend something */
    ERR_IS_PASSING,  /* AWS, or the way there, or the time: the same may work later */
    ERR_OF_IDENTITY, /* the secret's content: the same version fails again */
    ERR_OF_ENCLAVE,  /* what an enclave said, or did not say */
    ERR_OF_HOST,     /* a shortage or a refusal of this host's: it says nothing of anybody else */
};

/* What the program knows of a code; all point to static storage. */
struct err_info {
    const char *name; /* stable, for logs and scripts: "secret_not_found" */
    int exit_status;  /* sysexits.h */
    enum err_class class;
    const char *what;   /* what failed, a short clause */
    const char *remedy; /* what to do about it, a sentence */
};
const struct err_info *err_info(enum err_code code);

#endif
