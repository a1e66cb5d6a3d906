/* SPDX-License-Identifier: Apache-2.0 */
#ifndef X509_VERIFY_PARTS_H
#define X509_VERIFY_PARTS_H

#include "x509/cert.h"
#include "x509/verify.h"

/* The parts of verify(). Each fills reason where it does not return VERIFY_OK. */

/* A path under construction: leaf first; complete when its last certificate is an anchor. */
struct verify_path {
    const struct cert *cert[VERIFY_CHAIN_MAX + 1];
    size_t count;
};

/*
 * Finds a path from chain[0] to an anchor whose signatures are good and whose issuers may issue
 * what they did.
 */
enum verify_status verify_find_path(const struct verify_request *request, const struct cert *chain,
                                    size_t chain_count, struct verify_path *path,
                                    char reason[VERIFY_REASON_MAX]);

/* Whether issuer, which signed the last certificate of path, may be its issuer. */
enum verify_status verify_issuer(const struct verify_request *request,
                                 const struct verify_path *path, const struct cert *issuer,
                                 bool is_anchor, char reason[VERIFY_REASON_MAX]);

/* Whether the leaf of a whole path is what request asks for. */
enum verify_status verify_leaf(const struct verify_request *request, const struct verify_path *path,
                               char reason[VERIFY_REASON_MAX]);

/* Whether the certificate is valid now, both ends included; it may begin leeway seconds late. */
enum verify_status verify_dates(const struct cert *cert, int64_t now, int64_t leeway,
                                char reason[VERIFY_REASON_MAX]);

/* Whether keyUsage and extendedKeyUsage allow a leaf to authenticate for this purpose. */
enum verify_status verify_usage(const struct cert *leaf, enum verify_purpose purpose,
                                enum verify_profile profile, char reason[VERIFY_REASON_MAX]);

/* Whether a key is of a kind and size that we verify signatures with. */
enum verify_status verify_key(const struct cert *cert, char reason[VERIFY_REASON_MAX]);

/*
 * Issuer's name constraints (RFC 5280 4.2.1.10) on the path below it. Comparisons are taken off
 * *budget. Forms of names that are not processed are refused where both constraint and certificate
 * have them.
 */
enum verify_status verify_constraints(const struct verify_request *request,
                                      const struct verify_path *path, const struct cert *issuer,
                                      size_t *budget, char reason[VERIFY_REASON_MAX]);

/*
 * What the strict profile minds in a certificate and the other does not, as a clause; NULL:
 * nothing.
 */
const char *verify_departure(const struct cert *cert, enum verify_role role);

/* Fills reason, cut to fit, and returns status. */
enum verify_status verify_refuse(char reason[VERIFY_REASON_MAX], enum verify_status status,
                                 const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The certificate's subject in quotes, for reasons. */
#define VERIFY_TITLE_MAX 96
void verify_title(const struct cert *cert, char out[VERIFY_TITLE_MAX]);

static inline bool verify_self_issued(const struct cert *cert)
{
    return bytes_equal(cert->issuer, cert->subject);
}

#endif
