/* SPDX-License-Identifier: Apache-2.0 */
#ifndef X509_CERT_H
#define X509_CERT_H

#include <bearssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * One X.509 certificate, read (RFC 5280 section 4; strict DER): views into der, which the caller
 * keeps alive.
 */
enum cert_extended_usage {
    CERT_EKU_SERVER_AUTH = 1,
    CERT_EKU_CLIENT_AUTH = 2,
    CERT_EKU_ANY = 4,
    CERT_EKU_OTHER = 8
};

/* keyUsage bits by their RFC 5280 numbers: 1 << bit. */
enum cert_key_usage {
    CERT_KU_DIGITAL_SIGNATURE = 1 << 0,
    CERT_KU_KEY_ENCIPHERMENT = 1 << 2,
    CERT_KU_KEY_AGREEMENT = 1 << 4,
    CERT_KU_CERT_SIGN = 1 << 5
};

/* The extensions that may be critical, as bits of struct cert's critical. */
enum cert_extension {
    CERT_EXT_BASIC_CONSTRAINTS = 1 << 0,
    CERT_EXT_KEY_USAGE = 1 << 1,
    CERT_EXT_EXTENDED_USAGE = 1 << 2,
    CERT_EXT_SAN = 1 << 3,
    CERT_EXT_NAME_CONSTRAINTS = 1 << 4,
    CERT_EXT_POLICIES = 1 << 5,
    CERT_EXT_POLICY_RULE = 1 << 6
};

struct cert {
    struct bytes der;
    struct bytes tbs;    /* the signed part, header included */
    struct bytes issuer; /* Name, header included; never empty */
    struct bytes subject;
    struct bytes serial; /* content of the INTEGER */
    struct bytes spki;
    struct bytes signature;
    int version;                   /* 1 or 3 */
    int64_t not_before, not_after; /* seconds since 1970 */
    bool early_generalized_time;   /* a date before 2050 is no UTCTime */
    int signature_key;  /* BR_KEYTYPE_RSA or BR_KEYTYPE_EC; 0: an algorithm that we do not know */
    int signature_hash; /* br_sha256_ID, br_sha384_ID, br_sha512_ID; br_sha1_ID is read, to be
                           refused by name */
    bool signature_pss; /* by RSASSA-PSS, as TLS has it */
    const char *signature_name; /* "RSA with SHA-256" */
    br_x509_pkey key;           /* key_type 0: unsupported. Points into der */
    const char *key_name;       /* "RSA", "EC P-256", "Ed25519", … */
    unsigned key_bits;          /* of an RSA key */
    bool has_basic_constraints, is_ca;
    int path_len; /* -1: none */
    bool has_key_usage;
    unsigned key_usage;
    bool has_extended_usage;
    unsigned extended_usage;
    struct bytes san; /* content of SubjectAltName's SEQUENCE, well-formed; data NULL: absent */
    struct bytes name_constraints; /* content of its SEQUENCE, not looked at */
    struct bytes subject_key_id, authority_key_id;
    bool has_authority_key_id; /* the extension; its keyIdentifier may be absent */
    bool authority_key_serial; /* it names an issuer and serial number */
    bool has_policy_constraints;
    unsigned critical;             /* of the extensions that may be */
    struct bytes refused_critical; /* OID of an unknown one that is, or of one that must not be;
                                      data NULL: none */
};

/*
 * 0; or -1, and reason (size CERT_REASON_MAX) says what is wrong: malformed, duplicate extension,
 * trailing bytes…
 */
#define CERT_REASON_MAX 128
#define CERT_TRAILING   "more bytes follow the certificate, such as OpenSSL's trust settings"
int cert_parse(struct cert *cert, struct bytes der, char reason[CERT_REASON_MAX]);

/*
 * The last commonName of the subject, as text; false where there is none or it holds control bytes.
 */
bool cert_common_name(const struct cert *cert, char *out, size_t size);

/*
 * Subject as RFC 4514 text ("CN=ECS-Client"), for logs: control and non-ASCII bytes escaped, cut to
 * size.
 */
void cert_subject_text(struct bytes name, char *out, size_t size);

/* An OID's content as text: "1.2.840.113549", or the short name of an attribute of names. */
void cert_oid_text(struct bytes oid, char *out, size_t size);

/*
 * What Go's crypto/x509 has against a certificate that is good here, a clause: programs in Go,
 * which read these files, would not take it. NULL: nothing.
 */
const char *cert_go_flaw(const struct cert *cert);

/* Whether issuer's key made cert's signature (RFC 5280 6.1.3 (a)(1)). */
bool cert_signed_by(const struct cert *cert, const struct cert *issuer);

/*
 * Whether signer's key, of P-384, made an ES384 signature (RFC 9053 section 2.1): two numbers of 48
 * bytes, each from 1 to the order less 1.
 */
bool cert_signed_es384(const struct cert *signer, struct bytes message_digest,
                       struct bytes signature);

#endif
