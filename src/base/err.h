/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

/*
 * The one error type. A function that can fail returns 0 or -1 and, on -1, has filled the caller's
 * struct err: a stable code, on what it failed (secret, endpoint, file) and why. The tables in
 * err_table.c have the meaning of a code for the user, its exit status (sysexits.h), and the remedy
 * of each cause. Libraries set errors; only the edge (the commands) prints them, once, through
 * log_error().
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
    ERR_OUTPUT,
    ERR_CERTIFICATE_ENDS,
    ERR_READER_DENIED,
    ERR_LABEL,
    ERR_NOT_WRITABLE,
    ERR_RUN_UNHEALTHY,
    ERR_CODES, /* the end of codes; none itself */

    /*
     * Causes: finer than a code. Give one to err_set() in place of its code, which it implies. Each
     * has its own remedy. The cause of an error without one is its code.
     */
    CAUSE_BASE64,
    CAUSE_UTF16,
    CAUSE_BINARY,
    CAUSE_ENCODED_TWICE,
    CAUSE_FILE_UNREADABLE,
    CAUSE_ISSUER_IS_NO_CA,
    CAUSE_WRONG_FIELD,
    CAUSE_CERTIFICATE_REQUEST,
    CAUSE_PKCS7,
    CAUSE_KEY_OPENSSH,
    CAUSE_KEY_FORM,
    CAUSE_KEYS_SEVERAL,
    CAUSE_TRUST_SETTINGS,
    CAUSE_CERTIFICATES_MANY,
    CAUSE_LEAF_PURPOSE,
    CAUSE_CA_EXPIRED,
    CAUSE_CERTIFICATE_ALTERED,
    CAUSE_SIGNATURE_UNSUPPORTED,
    CAUSE_CA_KEY,
    CAUSE_NAME_CONSTRAINTS,
    CAUSE_PATH_LENGTH,
    CAUSE_CRITICAL_EXTENSION,
    CAUSE_NOT_A_CA,
    CAUSE_CA_USAGE,
    CAUSE_HEAP_FULL,
    CAUSE_CA_BUNDLE,
    CAUSE_REGION_FORM,
    CAUSE_TRISTATE,
    CAUSE_SESSION_NAME,
    CAUSE_NO_ROUTE_DUAL,
    CAUSE_AWS_DATES,
    CAUSE_NOT_AWS,
    CAUSE_NOT_SUBSCRIBED,
    CAUSE_OTHERS_POLICY,
    CAUSE_NOT_MUTUAL,
    CAUSE_ENCLAVE_CA,
    CAUSE_ENCLAVE_DATES,
    CAUSE_ENCLAVE_NAME,
    CAUSE_ENCLAVE_CHAIN,
    CAUSE_ENCLAVE_CERTIFICATE,
    CAUSE_ENCLAVE_PLAIN,
    CAUSE_ENCLAVE_DNS,
    CAUSE_OWNER_DENIED,
    CAUSE_OWNER_UNMAPPED,
    CAUSE_DIR_DENIED,
    CAUSE_READ_ONLY,
    CAUSE_DISK_FULL,
    ERR_CAUSES /* the end of codes and causes */
};

#define ERR_SUBJECT_MAX 256
#define ERR_REASON_MAX  768

struct err {
    enum err_code code, cause;     /* code < ERR_CODES; cause: the code, or one that implies it */
    char subject[ERR_SUBJECT_MAX]; /* on what: never a secret's value */
    char reason[ERR_REASON_MAX]; /* why: text of ours, or remote text that went through redact() */
    bool young; /* it may pass by itself: a thing of AWS that was made a minute ago. Set by the
                   function that fills the error, else false */
    bool down;  /* STS of the region in use cannot be reached, or fails. Set likewise */
};

/* What to do about an error, a sentence; and the stable name of its cause, "ca_expired". */
const char *err_remedy(const struct err *err);
const char *err_cause(const struct err *err);

/*
 * Fills *err (text that does not fit is cut) and returns -1, so that callers can return it. code: a
 * code, or a cause. subject may be NULL.
 */
int err_set(struct err *err, enum err_code code, const char *subject, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* What a system call's error means: a shortage of the process's own, whatever it was to do. */
enum err_code err_of_errno(int error, enum err_code otherwise);

/*
 * As err_set(), with ": " and the text of errno (as it was on entry) after the reason; for some
 * codes errno decides the cause.
 */
int err_set_errno(struct err *err, enum err_code code, const char *subject, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* What an error means for the installed identity, and for another try. */
enum err_class {
    ERR_LASTING,     /* somebody must correct something */
    ERR_IS_PASSING,  /* AWS, or the way there, or the time: the same may work later */
    ERR_OF_IDENTITY, /* the secret's content: the same version fails again */
    ERR_OF_ENCLAVE,  /* what an enclave said, or did not say */
    ERR_OF_HOST,     /* a shortage or a refusal of this host's: it says nothing of anybody else */
};

/* What the program knows of a code, or of the code that a cause implies; all point to static
 * storage. */
struct err_info {
    const char *name; /* stable, for logs and scripts: "secret_not_found" */
    int exit_status;  /* sysexits.h */
    enum err_class class;
    const char *what;   /* what failed, a short clause */
    const char *remedy; /* what to do about it, a sentence */
};
const struct err_info *err_info(enum err_code code);

#endif
