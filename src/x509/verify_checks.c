/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "x509/name.h"
#include "x509/verify_parts.h"

enum { RSA_MIN = 2048, RSA_MAX = 4096 };

enum verify_status verify_key(const struct cert *cert, char reason[VERIFY_REASON_MAX])
{
    char title[VERIFY_TITLE_MAX];

    verify_title(cert, title);
    if (cert->key.key_type == 0)
        return verify_refuse(reason, VERIFY_WEAK_KEY, "the key of %s is %s, which is not supported",
                             title, cert->key_name);
    if (cert->key.key_type == BR_KEYTYPE_RSA && cert->key_bits < RSA_MIN)
        return verify_refuse(reason, VERIFY_WEAK_KEY,
                             "the key of %s is RSA %u: at least %d is needed", title,
                             cert->key_bits, RSA_MIN);
    if (cert->key.key_type == BR_KEYTYPE_RSA && cert->key_bits > RSA_MAX)
        return verify_refuse(reason, VERIFY_WEAK_KEY,
                             "the key of %s is RSA %u: more than %d is not supported", title,
                             cert->key_bits, RSA_MAX);
    return VERIFY_OK;
}

enum verify_status verify_dates(const struct cert *cert, int64_t now, int64_t leeway,
                                char reason[VERIFY_REASON_MAX])
{
    char title[VERIFY_TITLE_MAX], date[CLOCK_TEXT_MAX], today[CLOCK_TEXT_MAX];

    if (now <= cert->not_after && now >= cert->not_before - leeway)
        return VERIFY_OK;
    verify_title(cert, title);
    clock_format(today, now);
    if (now > cert->not_after) {
        clock_format(date, cert->not_after);
        return verify_refuse(reason, VERIFY_EXPIRED, "%s expired at %s; it is %s", title, date,
                             today);
    }
    clock_format(date, cert->not_before);
    return verify_refuse(reason, VERIFY_NOT_YET_VALID, "%s is valid from %s; it is %s", title, date,
                         today);
}

static enum verify_status check_extensions(const struct cert *cert, char reason[VERIFY_REASON_MAX])
{
    char title[VERIFY_TITLE_MAX], oid[VERIFY_TITLE_MAX];

    if (!cert->refused_critical.data && !cert->has_policy_constraints)
        return VERIFY_OK;
    verify_title(cert, title);
    if (cert->has_policy_constraints)
        return verify_refuse(reason, VERIFY_CRITICAL,
                             "%s has policyConstraints, which are not supported", title);
    cert_oid_text(cert->refused_critical, oid, sizeof oid);
    return verify_refuse(reason, VERIFY_CRITICAL,
                         "%s has a critical extension that is unknown or must not be: %s", title,
                         oid);
}

static enum verify_status check_profile(const struct verify_request *request,
                                        const struct cert *cert, enum verify_role role,
                                        char reason[VERIFY_REASON_MAX])
{
    const char *departure = request->profile == VERIFY_STRICT ? verify_departure(cert, role) : NULL;
    char title[VERIFY_TITLE_MAX];

    if (departure == NULL)
        return VERIFY_OK;
    verify_title(cert, title);
    return verify_refuse(reason, VERIFY_MALFORMED, "%s breaks RFC 5280: %s", title, departure);
}

static bool extended_usage_allows(const struct cert *cert, enum verify_purpose purpose)
{
    const unsigned wanted = purpose == VERIFY_SERVER   ? CERT_EKU_SERVER_AUTH
                            : purpose == VERIFY_CLIENT ? CERT_EKU_CLIENT_AUTH
                                                       : 0;

    return !cert->has_extended_usage || (cert->extended_usage & (wanted | CERT_EKU_ANY)) != 0;
}

static const char *purpose_text(enum verify_purpose purpose)
{
    return purpose == VERIFY_SERVER   ? "serverAuth"
           : purpose == VERIFY_CLIENT ? "clientAuth"
                                      : "place for attestation";
}

/* A version 1 root cannot say that it is a CA; putting it among the anchors by hand does. */
static bool is_authority(const struct verify_request *request, const struct cert *cert,
                         bool is_anchor)
{
    if (cert->version == 1)
        return is_anchor && request->profile == VERIFY_PRIVATE && verify_self_issued(cert);
    return cert->has_basic_constraints && cert->is_ca;
}

static size_t count_intermediates(const struct verify_path *path)
{
    size_t count = 0, i;

    for (i = 1; i < path->count; i++)
        if (!verify_self_issued(path->cert[i]))
            count++;
    return count;
}

/* Whether issuer may have issued the last certificate of path. */
static enum verify_status check_authority(const struct verify_request *request,
                                          const struct verify_path *path, const struct cert *issuer,
                                          bool is_anchor, char reason[VERIFY_REASON_MAX])
{
    size_t below = count_intermediates(path);
    size_t here = is_anchor || verify_self_issued(issuer) ? 0 : 1;
    char title[VERIFY_TITLE_MAX];

    verify_title(issuer, title);
    if (!is_authority(request, issuer, is_anchor))
        return verify_refuse(reason, VERIFY_NOT_CA,
                             "%s has issued a certificate and is no CA (basicConstraints)", title);
    if (issuer->has_key_usage && !(issuer->key_usage & CERT_KU_CERT_SIGN))
        return verify_refuse(reason, VERIFY_CA_USAGE, "the keyUsage of %s has no keyCertSign",
                             title);
    if (!extended_usage_allows(issuer, request->purpose))
        return verify_refuse(reason, VERIFY_CA_USAGE, "the extendedKeyUsage of %s has no %s", title,
                             purpose_text(request->purpose));
    if (issuer->path_len >= 0 && below > (size_t)issuer->path_len)
        return verify_refuse(reason, VERIFY_PATH_LENGTH, "the pathLenConstraint of %s is exceeded",
                             title);
    if (request->path_max > 0 && below + here + 2 > request->path_max)
        return verify_refuse(reason, VERIFY_LIMIT, "the path has more than %zu certificates",
                             request->path_max);
    return VERIFY_OK;
}

enum verify_status verify_issuer(const struct verify_request *request,
                                 const struct verify_path *path, const struct cert *issuer,
                                 bool is_anchor, char reason[VERIFY_REASON_MAX])
{
    enum verify_role role = is_anchor ? VERIFY_ANCHOR : VERIFY_INTERMEDIATE;
    enum verify_status status;

    if ((status = verify_dates(issuer, request->now, request->leeway, reason)) ||
        (status = check_extensions(issuer, reason)) ||
        (status = check_authority(request, path, issuer, is_anchor, reason)))
        return status;
    return check_profile(request, issuer, role, reason);
}

/*
 * Whether keyUsage lets the key sign a handshake. A TLS server's RSA key with keyEncipherment
 * alone, as many recipes have it, is let through where OpenSSL does.
 */
static bool key_usage_allows(const struct cert *leaf, enum verify_purpose purpose,
                             enum verify_profile profile)
{
    unsigned wanted = CERT_KU_DIGITAL_SIGNATURE;

    if (profile == VERIFY_PRIVATE && purpose == VERIFY_SERVER &&
        leaf->key.key_type == BR_KEYTYPE_RSA)
        wanted |= CERT_KU_KEY_ENCIPHERMENT;
    return !leaf->has_key_usage || (leaf->key_usage & wanted) != 0;
}

enum verify_status verify_usage(const struct cert *leaf, enum verify_purpose purpose,
                                enum verify_profile profile, char reason[VERIFY_REASON_MAX])
{
    char title[VERIFY_TITLE_MAX];

    verify_title(leaf, title);
    if (!key_usage_allows(leaf, purpose, profile))
        return verify_refuse(reason, VERIFY_USAGE, "the keyUsage of %s has no digitalSignature",
                             title);
    if (!extended_usage_allows(leaf, purpose))
        return verify_refuse(reason, VERIFY_USAGE, "the extendedKeyUsage of %s has no %s", title,
                             purpose_text(purpose));
    return VERIFY_OK;
}

static bool is_p384(const struct cert *cert)
{
    return cert->key.key_type == BR_KEYTYPE_EC && cert->key.key.ec.curve == BR_EC_secp384r1 &&
           cert->signature_key == BR_KEYTYPE_EC && cert->signature_hash == br_sha384_ID;
}

/* What AWS's own rules for its chain ask for besides: each a CA but the leaf, and all of one
 * strength. */
static enum verify_status check_attestation(const struct verify_path *path,
                                            char reason[VERIFY_REASON_MAX])
{
    const struct cert *leaf = path->cert[0];
    char title[VERIFY_TITLE_MAX];
    size_t i;

    verify_title(leaf, title);
    if (path->count < 2 || leaf->is_ca || !leaf->has_key_usage)
        return verify_refuse(reason, VERIFY_USAGE,
                             "%s is an authority, or lacks keyUsage: it attests nothing", title);
    for (i = 0; i < path->count; i++) {
        verify_title(path->cert[i], title);
        if (!is_p384(path->cert[i]))
            return verify_refuse(reason, VERIFY_WEAK, "%s is not of P-384 and SHA-384", title);
        if (i > 0 && !path->cert[i]->has_key_usage)
            return verify_refuse(reason, VERIFY_USAGE, "%s lacks keyUsage", title);
    }
    return VERIFY_OK;
}

enum verify_status verify_leaf(const struct verify_request *request, const struct verify_path *path,
                               char reason[VERIFY_REASON_MAX])
{
    const struct cert *leaf = path->cert[0];
    const bool by_anchor = path->count <= 2;
    char title[VERIFY_TITLE_MAX];
    enum verify_status status;

    if ((status = verify_dates(leaf, request->now, request->leeway, reason)) ||
        (status = check_extensions(leaf, reason)) || (status = verify_key(leaf, reason)) ||
        (request->name != NULL &&
         (status = name_verify(leaf, request->name, request->allow_cn, reason))))
        return status;
    verify_title(leaf, title);
    if (leaf->version != 3 && !request->allow_v1_leaf && !(request->allow_cn && by_anchor))
        return verify_refuse(reason, VERIFY_USAGE, "%s is of version 1: it cannot say its purpose",
                             title);
    if ((status = verify_usage(leaf, request->purpose, request->profile, reason)))
        return status;
    if (request->purpose == VERIFY_ATTESTATION && (status = check_attestation(path, reason)))
        return status;
    return check_profile(request, leaf, VERIFY_LEAF, reason);
}
