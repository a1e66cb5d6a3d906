/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdio.h>

#include "x509/cert_parts.h"
#include "x509/der.h"
#include "x509/dn.h"
#include "x509/general_name.h"

enum { EXTENSIONS_MAX = 64 };

/* BOOLEAN DEFAULT FALSE. DER leaves FALSE out; much software does not. */
static bool take_flag(struct bytes *in, bool *flag)
{
    struct bytes value;

    if (!der_take_optional(in, DER_BOOLEAN, &value))
        return false;
    *flag = value.data != NULL && value.len == 1 && value.data[0] == 0xFF;
    return value.data == NULL || *flag || (value.len == 1 && value.data[0] == 0);
}

static bool read_basic_constraints(struct cert *cert, struct bytes in)
{
    struct bytes sequence, number;

    if (!der_take(&in, DER_SEQUENCE, &sequence) || in.len != 0 ||
        !take_flag(&sequence, &cert->is_ca))
        return false;
    cert->has_basic_constraints = true;
    if (sequence.len == 0)
        return true;
    if (!der_unsigned(&sequence, &number) || sequence.len != 0)
        return false;
    cert->path_len = number.len == 0 ? 0 : number.len == 1 ? number.data[0] : INT_MAX;
    return true;
}

static bool read_key_usage(struct cert *cert, struct bytes in)
{
    struct bytes bits;
    unsigned unused, bit;

    /* DER leaves out all zeros at the end of a list of bits (X.690 11.2.2). Public roots do not. */
    if (!cert_take_bits(&in, &bits, &unused) || in.len != 0 || bits.len > 2)
        return false;
    cert->has_key_usage = true;
    for (bit = 0; bit < bits.len * 8; bit++)
        if (bits.data[bit / 8] & (0x80u >> bit % 8))
            cert->key_usage |= 1u << bit;
    return true;
}

static bool read_extended_usage(struct cert *cert, struct bytes in)
{
    static const struct {
        struct bytes oid;
        enum cert_extended_usage usage;
    } known[] = {
        {{(const uint8_t *)"\x2B\x06\x01\x05\x05\x07\x03\x01", 8}, CERT_EKU_SERVER_AUTH},
        {{(const uint8_t *)"\x2B\x06\x01\x05\x05\x07\x03\x02", 8}, CERT_EKU_CLIENT_AUTH},
        {{(const uint8_t *)"\x55\x1D\x25\x00", 4}, CERT_EKU_ANY},
    };
    struct bytes sequence, oid;
    size_t i;

    if (!der_take(&in, DER_SEQUENCE, &sequence) || in.len != 0 || sequence.len == 0)
        return false;
    cert->has_extended_usage = true;
    while (sequence.len > 0) {
        unsigned usage = CERT_EKU_OTHER;

        if (!der_take(&sequence, DER_OID, &oid))
            return false;
        for (i = 0; i < sizeof known / sizeof known[0]; i++)
            if (bytes_equal(oid, known[i].oid))
                usage = known[i].usage;
        cert->extended_usage |= usage;
    }
    return true;
}

static bool is_ascii(struct bytes text)
{
    size_t i;

    for (i = 0; i < text.len; i++)
        if (text.data[i] >= 0x80)
            return false;
    return true;
}

static bool general_name_valid(const struct der *name)
{
    struct bytes in = name->value, directory;

    switch (name->tag) {
    case GENERAL_EMAIL:
    case GENERAL_DNS:
    case GENERAL_URI: return is_ascii(name->value);
    case GENERAL_IP: return name->value.len == 4 || name->value.len == 16;
    case GENERAL_DIRECTORY:
        return der_take(&in, DER_SEQUENCE, &directory) && in.len == 0 && dn_valid(directory);
    case GENERAL_OTHER:
    case GENERAL_X400:
    case GENERAL_EDI_PARTY:
    case GENERAL_REGISTERED_ID: return true;
    default: return false;
    }
}

static bool read_san(struct cert *cert, struct bytes in)
{
    struct bytes names;
    struct der name;

    if (!der_take(&in, DER_SEQUENCE, &names) || in.len != 0 || names.len == 0)
        return false;
    cert->san = names;
    while (names.len > 0)
        if (!der_any(&names, &name) || !general_name_valid(&name))
            return false;
    return true;
}

static bool read_name_constraints(struct cert *cert, struct bytes in)
{
    return der_take(&in, DER_SEQUENCE, &cert->name_constraints) && in.len == 0;
}

static bool read_subject_key_id(struct cert *cert, struct bytes in)
{
    return der_take(&in, DER_OCTET_STRING, &cert->subject_key_id) && in.len == 0 &&
           cert->subject_key_id.len > 0;
}

static bool read_authority_key_id(struct cert *cert, struct bytes in)
{
    struct bytes sequence, issuer, serial;

    if (!der_take(&in, DER_SEQUENCE, &sequence) || in.len != 0 ||
        !der_take_optional(&sequence, DER_CONTEXT | 0, &cert->authority_key_id) ||
        !der_take_optional(&sequence, DER_CONTEXT_CONSTRUCTED | 1, &issuer) ||
        !der_take_optional(&sequence, DER_CONTEXT | 2, &serial) || sequence.len != 0)
        return false;
    cert->has_authority_key_id = true;
    cert->authority_key_serial = serial.data != NULL;
    return (issuer.data == NULL) == (serial.data == NULL);
}

static bool read_authority_access(struct cert *cert, struct bytes in)
{
    struct bytes sequence, description, method;
    struct der location;

    (void)cert;
    if (!der_take(&in, DER_SEQUENCE, &sequence) || in.len != 0 || sequence.len == 0)
        return false;
    while (sequence.len > 0)
        if (!der_take(&sequence, DER_SEQUENCE, &description) ||
            !der_take(&description, DER_OID, &method) || !der_any(&description, &location) ||
            !general_name_valid(&location) || description.len != 0)
            return false;
    return true;
}

/* Of a critical extension every qualifier has to be understood (RFC 5280 4.2.1.4). */
static bool read_qualifiers(struct cert *cert, struct bytes in)
{
    static const struct bytes statement = {(const uint8_t *)"\x2B\x06\x01\x05\x05\x07\x02\x01", 8};
    static const struct bytes notice = {(const uint8_t *)"\x2B\x06\x01\x05\x05\x07\x02\x02", 8};
    struct bytes qualifiers, qualifier, id;
    struct der value;

    if (!der_take_optional(&in, DER_SEQUENCE, &qualifiers) || in.len != 0)
        return false;
    while (qualifiers.len > 0) {
        if (!der_take(&qualifiers, DER_SEQUENCE, &qualifier) ||
            !der_take(&qualifier, DER_OID, &id) || !der_any(&qualifier, &value) ||
            qualifier.len != 0)
            return false;
        if ((cert->critical & CERT_EXT_POLICIES) && !bytes_equal(id, statement) &&
            !bytes_equal(id, notice))
            cert->refused_critical = id;
    }
    return true;
}

/* Any policy is acceptable to us, so that a certificate's own change nothing. */
static bool read_policies(struct cert *cert, struct bytes in)
{
    struct bytes sequence, policy, id;

    if (!der_take(&in, DER_SEQUENCE, &sequence) || in.len != 0 || sequence.len == 0)
        return false;
    while (sequence.len > 0)
        if (!der_take(&sequence, DER_SEQUENCE, &policy) || !der_take(&policy, DER_OID, &id) ||
            !read_qualifiers(cert, policy))
            return false;
    return true;
}

/* What narrows policies changes nothing either, unless policyConstraints ask for one. */
static bool read_policy_rule(struct cert *cert, struct bytes in)
{
    struct der rule;

    (void)cert;
    return der_any(&in, &rule) && in.len == 0;
}

/* Not processed, so that they refuse the certificate. */
static bool read_policy_constraints(struct cert *cert, struct bytes in)
{
    struct bytes sequence;

    cert->has_policy_constraints = true;
    return der_take(&in, DER_SEQUENCE, &sequence) && in.len == 0 && sequence.len > 0;
}

static const struct extension {
    struct bytes oid;
    const char *name;
    bool (*read)(struct cert *cert, struct bytes value);
    unsigned flag; /* enum cert_extension; 0: a critical one refuses the certificate */
} extensions[] = {
    {{(const uint8_t *)"\x55\x1D\x13", 3},
     "basicConstraints",
     read_basic_constraints,
     CERT_EXT_BASIC_CONSTRAINTS},
    {{(const uint8_t *)"\x55\x1D\x0F", 3}, "keyUsage", read_key_usage, CERT_EXT_KEY_USAGE},
    {{(const uint8_t *)"\x55\x1D\x25", 3},
     "extendedKeyUsage",
     read_extended_usage,
     CERT_EXT_EXTENDED_USAGE},
    {{(const uint8_t *)"\x55\x1D\x11", 3}, "subjectAltName", read_san, CERT_EXT_SAN},
    {{(const uint8_t *)"\x55\x1D\x1E", 3},
     "nameConstraints",
     read_name_constraints,
     CERT_EXT_NAME_CONSTRAINTS},
    {{(const uint8_t *)"\x55\x1D\x0E", 3}, "subjectKeyIdentifier", read_subject_key_id, 0},
    {{(const uint8_t *)"\x55\x1D\x23", 3}, "authorityKeyIdentifier", read_authority_key_id, 0},
    {{(const uint8_t *)"\x2B\x06\x01\x05\x05\x07\x01\x01", 8},
     "authorityInfoAccess",
     read_authority_access,
     0},
    {{(const uint8_t *)"\x55\x1D\x20", 3}, "certificatePolicies", read_policies, CERT_EXT_POLICIES},
    {{(const uint8_t *)"\x55\x1D\x21", 3},
     "policyMappings",
     read_policy_rule,
     CERT_EXT_POLICY_RULE},
    {{(const uint8_t *)"\x55\x1D\x36", 3},
     "inhibitAnyPolicy",
     read_policy_rule,
     CERT_EXT_POLICY_RULE},
    {{(const uint8_t *)"\x55\x1D\x24", 3}, "policyConstraints", read_policy_constraints, 0},
};

static const struct extension *find_extension(struct bytes oid)
{
    size_t i;

    for (i = 0; i < sizeof extensions / sizeof extensions[0]; i++)
        if (bytes_equal(oid, extensions[i].oid))
            return &extensions[i];
    return NULL;
}

static int read_extension(struct cert *cert, struct bytes oid, bool critical, struct bytes value,
                          char reason[CERT_REASON_MAX])
{
    const struct extension *known = find_extension(oid);

    if (critical && (known == NULL || known->flag == 0))
        cert->refused_critical = oid;
    if (known == NULL)
        return 0;
    if (critical)
        cert->critical |= known->flag;
    if (known->read(cert, value))
        return 0;
    (void)snprintf(reason, CERT_REASON_MAX, "its extension %s is malformed", known->name);
    return -1;
}

int cert_read_extensions(struct cert *cert, struct bytes in, char reason[CERT_REASON_MAX])
{
    struct bytes extension, value, seen[EXTENSIONS_MAX];
    size_t count = 0, i;
    bool critical;

    for (; in.len > 0; count++) {
        if (count == EXTENSIONS_MAX)
            return cert_refuse(reason, "it has too many extensions");
        if (!der_take(&in, DER_SEQUENCE, &extension) ||
            !der_take(&extension, DER_OID, &seen[count]) || !take_flag(&extension, &critical) ||
            !der_take(&extension, DER_OCTET_STRING, &value) || extension.len != 0)
            return cert_refuse(reason, "an extension is malformed");
        for (i = 0; i < count; i++)
            if (bytes_equal(seen[i], seen[count]))
                return cert_refuse(reason, "it has the same extension twice");
        if (read_extension(cert, seen[count], critical, value, reason) < 0)
            return -1;
    }
    return 0;
}
