/* SPDX-License-Identifier: Apache-2.0 */
#ifndef X509_VERIFY_H
#define X509_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct err;
struct cert;

/*
 * Path validation (RFC 5280 section 6) and name matching (RFC 9525): one verifier for enclaves, AWS
 * and the identity to be installed, in two profiles. STRICT is for the public PKI that AWS uses,
 * PRIVATE for what a ca_cert anchors: self-made PKIs without key identifiers.
 */
enum verify_purpose {
    VERIFY_SERVER,
    VERIFY_CLIENT,
    VERIFY_ATTESTATION /* signs what a Nitro hypervisor attests: P-384 and SHA-384 throughout, no
                          extendedKeyUsage, and no CA */
};
enum verify_profile { VERIFY_STRICT, VERIFY_PRIVATE };

enum verify_status {
    VERIFY_OK,
    VERIFY_MALFORMED,
    VERIFY_NO_ISSUER, /* no path to a trust anchor by name */
    VERIFY_BAD_SIGNATURE,
    VERIFY_EXPIRED,
    VERIFY_NOT_YET_VALID,
    VERIFY_NAME_MISMATCH,
    VERIFY_COMMON_NAME_ONLY, /* only the common name has the name, and allow_cn is off */
    VERIFY_USAGE,            /* keyUsage, extendedKeyUsage of a leaf */
    VERIFY_CA_USAGE,         /* of an issuer */
    VERIFY_NOT_CA,           /* an issuer's basicConstraints */
    VERIFY_PATH_LENGTH,      /* its pathLenConstraint */
    VERIFY_CONSTRAINTS,      /* its nameConstraints */
    VERIFY_WEAK,             /* a signature's algorithm is refused */
    VERIFY_WEAK_KEY,         /* a key's kind or size is */
    VERIFY_CRITICAL, /* a critical extension that is unknown or must not be; policyConstraints */
    VERIFY_LIMIT     /* too many certificates, bytes or signature checks */
};

/* A certificate's place on a path. */
enum verify_role { VERIFY_LEAF, VERIFY_INTERMEDIATE, VERIFY_ANCHOR };

#define VERIFY_REASON_MAX     256
#define VERIFY_CHAIN_MAX      10
#define VERIFY_BYTES_MAX      65536
#define VERIFY_SIGNATURES_MAX 64

/* Trust anchors: certificates, kept with their DER. Public data on the ordinary heap. */
struct anchors;
/*
 * Copies count DER certificates. NULL with err (ERR_CERTIFICATE_INVALID, ERR_MEMORY_FULL). An
 * anchor that cannot be used (unknown key type) is kept and fails only where a path needs it.
 */
struct anchors *anchors_new(const struct bytes *der, size_t count, struct err *err);
void anchors_free(struct anchors *anchors);
size_t anchors_count(const struct anchors *anchors);
const struct cert *anchors_at(const struct anchors *anchors, size_t i);

/* A path as verify() took it: leaf first, the anchor last; views into chain and anchors. */
struct verify_path_taken {
    struct bytes der[VERIFY_CHAIN_MAX + 1];
    size_t count;
};

struct verify_request {
    const struct bytes *chain; /* DER, leaf first, the rest in any order */
    size_t chain_count;
    const struct anchors *anchors;
    enum verify_purpose purpose;
    enum verify_profile profile;
    const char *name; /* DNS name or IP address (v4, v6, no brackets); NULL: not checked */
    bool allow_cn; /* fall back to the common name where there is no subjectAltName; also admits a
                      v1 leaf signed directly by an anchor */
    bool allow_v1_leaf; /* for our own leaf */
    size_t path_max;    /* most certificates on a path, leaf and anchor counted, self-issued
                           intermediates not; 0: no bound of the caller's */
    int64_t now;        /* seconds since 1970 */
    struct verify_path_taken *taken; /* filled where a path is found, whatever is wrong with its
                                        leaf; NULL: not asked for */
    int64_t leeway;                  /* seconds that a certificate may begin too late */
    enum verify_role *blamed; /* set to the place of the certificate that a failure is about; NULL:
                                 not asked for */
};

/*
 * VERIFY_OK, or the most telling failure, with a clause for people in reason. Holds nothing
 * afterwards. Bounded in work and memory.
 */
enum verify_status verify(const struct verify_request *request, char reason[VERIFY_REASON_MAX]);

/* Stable word of a status, which several may share: "no_issuer". */
const char *verify_status_name(enum verify_status status);

#endif
