/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IDENTITY_REPORT_H
#define IDENTITY_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "identity/bundle.h"
#include "x509/cert.h"
#include "x509/verify.h"

struct expected;

/*
 * All that there is to say about a bundle, good or not, for people. Whether it is good,
 * identity_new() and identity_expect() decide alone, where all of an identity is there; but they
 * stop at the first thing that is wrong, and this does not. Holds no private value.
 */
struct report_cert {
    struct cert cert;
    enum bundle_field field;
    bool is_leaf; /* of the key, or where there is none, the first that is no CA */
    bool in_chain;
    int issuer; /* the index of its issuer in the report, on the path that verify() took; its own
                   for a root; -1: not here */
    int64_t kept_until; /* set by the caller: an anchor of --ca-overlap; else 0 */
    char fingerprint[65];
};

/* The leaf's way to an anchor: it was not looked for, since there is no anchor; it ends elsewhere,
 * which may be accepted; verify() took it; something is wrong with it. */
enum report_path { REPORT_NO_ANCHORS, REPORT_ELSEWHERE, REPORT_VERIFIED, REPORT_REFUSED };

struct report_key {
    char kind[16]; /* "EC P-256"; "": none, or it cannot be read */
    bool fits;     /* it is the leaf's */
    int leaf;      /* index among the certificates; -1: none */
    enum report_path path;
};

enum report_level { REPORT_PROBLEM, REPORT_WARNING };
struct report_finding {
    enum report_level level;
    const char *field; /* "client_cert" */
    char text[384];
};

enum { REPORT_CLIENT, REPORT_SERVER, REPORT_SIDES };
#define REPORT_CERTS_MAX    160
#define REPORT_FINDINGS_MAX 64
struct report {
    struct report_cert certs[REPORT_CERTS_MAX];
    size_t cert_count;
    struct report_key keys[REPORT_SIDES];
    struct report_finding findings[REPORT_FINDINGS_MAX];
    size_t finding_count;
    size_t problems;       /* 0: good. More than are listed, where there is no room for all */
    bool judged;           /* all of an identity is there, or should be */
    enum err_code verdict; /* what the agent would end with; ERR_NONE where it would not, or where
                              this is but a part of an identity */
    enum err_code cause;   /* and for which cause */
    struct buf der;
};

struct report_request {
    const struct bundle *bundle;
    const struct expected *expected;
    bool complete;      /* all of an identity must be there; else any part of one is looked at */
    bool require_chain; /* client-chain=require */
    int64_t now;
};

/* NULL with ERR_MEMORY_FULL. subject: where the bundle is from. */
struct report *report_new(const struct report_request *request, const char *subject,
                          struct err *err);
void report_free(struct report *report);

/* Adds a finding. One of the same words counts once, as the worse of the two; a problem takes the
 * place of a warning where there is no room. */
void report_add(struct report *report, enum report_level level, enum bundle_field field,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * Compares two bundles. report_leaf(): the leaf that one shows the other: the one for the other
 * part; NULL: none. report_accepts(): whether the trusting side would accept that leaf, by its
 * anchors and for the purpose: VERIFY_OK, or the fault with a clause in reason; VERIFY_NO_ISSUER
 * with "" where it has no anchor. ERR_MEMORY_FULL is VERIFY_LIMIT.
 */
const struct report_cert *report_leaf(const struct report *report, const struct report *other);
enum verify_purpose report_purpose(const struct report *report, const struct report_cert *leaf);
enum verify_status report_accepts(const struct report *trusting, const struct report *shown,
                                  const struct report_cert *leaf, int64_t now,
                                  char reason[VERIFY_REASON_MAX]);

/* Inside report: what report_check.c finds once certificates and keys are read; ERR_MEMORY_FULL. */
int report_check(struct report *report, const struct report_request *request, struct err *err);

#endif
