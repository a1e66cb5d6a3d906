/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <strings.h>

#include "x509/dn.h"
#include "x509/general_name.h"
#include "x509/name.h"
#include "x509/verify_parts.h"

/*
 * What RFC 5280's certificate profile (section 4) and the CA/Browser Forum's Baseline Requirements
 * (section 7.1) demand of whoever issues certificates. The public PKI keeps to it; self-made ones
 * need not.
 */

enum { SERIAL_MAX = 20, NAME_MAX = 253 };

static const char *form_departure(const struct cert *cert)
{
    if (cert->version != 3)
        return "it is of version 1";
    if (cert->early_generalized_time)
        return "a date before 2050 is a GeneralizedTime";
    if (cert->key.key_type == BR_KEYTYPE_RSA && cert->key_bits % 8 != 0)
        return "the bits of its RSA key are no multiple of 8";
    return NULL;
}

static const char *serial_departure(const struct cert *cert)
{
    if (cert->serial.data[0] >= 0x80 || (cert->serial.len == 1 && cert->serial.data[0] == 0))
        return "its serial number is not positive";
    if (cert->serial.len > SERIAL_MAX)
        return "its serial number has more than 20 octets";
    return NULL;
}

/* 4.2.1.1, 4.2.1.2. A self-signed certificate need not say whose key signed it. */
static const char *identifier_departure(const struct cert *cert, enum verify_role role)
{
    bool self_signed = verify_self_issued(cert), is_root = role == VERIFY_ANCHOR && self_signed;

    if ((role != VERIFY_LEAF || cert->is_ca) && cert->subject_key_id.data == NULL)
        return "it is a CA's and has no subjectKeyIdentifier";
    if (role != VERIFY_ANCHOR && !self_signed && cert->authority_key_id.data == NULL)
        return "it has no authorityKeyIdentifier";
    if (cert->has_authority_key_id && cert->authority_key_id.data == NULL)
        return "authorityKeyIdentifier has no keyIdentifier";
    if (is_root && cert->authority_key_serial)
        return "it is a root's and its authorityKeyIdentifier names a serial number";
    if (is_root && cert->authority_key_id.data != NULL &&
        !bytes_equal(cert->authority_key_id, cert->subject_key_id))
        return "it is a root's and its two key identifiers differ";
    return NULL;
}

/* 4.2.1.3, 4.2.1.9, 4.2.1.10. */
static const char *authority_departure(const struct cert *cert, enum verify_role role)
{
    bool signs = cert->key_usage & CERT_KU_CERT_SIGN;

    if (cert->is_ca && !(cert->critical & CERT_EXT_BASIC_CONSTRAINTS))
        return "basicConstraints of a CA is not critical";
    if (cert->has_key_usage && cert->key_usage == 0)
        return "keyUsage is empty";
    if (signs && !cert->is_ca)
        return "keyUsage has keyCertSign and basicConstraints is no CA's";
    if (cert->is_ca && !signs && (cert->has_key_usage || role != VERIFY_LEAF))
        return "basicConstraints is a CA's and keyUsage has no keyCertSign";
    if (cert->path_len >= 0 && !cert->is_ca)
        return "pathLenConstraint stands without CA";
    if (cert->name_constraints.data != NULL && !cert->is_ca)
        return "nameConstraints stands without CA";
    return NULL;
}

static bool san_dns_valid(struct bytes name)
{
    if (name.len <= 2 || memcmp(name.data, "*.", 2) != 0)
        return dns_name_valid(name, true);
    name = bytes_of(name.data + 2, name.len - 2);
    return dns_name_valid(name, true) && memchr(name.data, '.', name.len) != NULL;
}

/* 4.2.1.6. */
static const char *san_departure(const struct cert *cert)
{
    struct bytes names = cert->san;
    bool critical = cert->critical & CERT_EXT_SAN;
    struct der name;

    if (names.data == NULL)
        return dn_is_empty(cert->subject) ? "it has neither subject nor subjectAltName" : NULL;
    if (dn_is_empty(cert->subject) && !critical)
        return "the subject is empty and subjectAltName is not critical";
    if (!dn_is_empty(cert->subject) && critical)
        return "subjectAltName is critical although there is a subject";
    while (der_any(&names, &name))
        if (name.tag == GENERAL_DNS && !san_dns_valid(name.value))
            return "subjectAltName has a malformed DNS name";
    return NULL;
}

/* An IP address as people would write it, in whatever notation text has it; false: text is none. */
static bool canonical_address(const char *text, char out[INET6_ADDRSTRLEN])
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_aton(text, &v4) != 0)
        return inet_ntop(AF_INET, &v4, out, INET6_ADDRSTRLEN) != NULL;
    return inet_pton(AF_INET6, text, &v6) == 1 &&
           inet_ntop(AF_INET6, &v6, out, INET6_ADDRSTRLEN) != NULL;
}

/*
 * Baseline Requirements 7.1.4.3: the common name is a name of subjectAltName, to the character. One
 * that is quite another passes, since it is not looked at; one spelt otherwise is an error.
 */
static const char *common_name_departure(const struct cert *cert)
{
    char common_name[NAME_MAX + 1], address[INET6_ADDRSTRLEN];
    struct bytes names = cert->san, text;
    struct der name;
    size_t i;

    if (!cert_common_name(cert, common_name, sizeof common_name))
        return NULL;
    text = bytes_of_text(common_name);
    for (i = 0; i < text.len; i++)
        if (text.data[i] >= 0x80)
            return "the common name is not ASCII";
    if (canonical_address(common_name, address) && strcmp(common_name, address) != 0)
        return "the common name is an IP address in another than its usual form";
    while (der_any(&names, &name))
        if (name.tag == GENERAL_DNS && name.value.len == text.len &&
            strncasecmp(common_name, (const char *)name.value.data, text.len) == 0 &&
            !bytes_equal(name.value, text))
            return "the common name and subjectAltName differ in case";
    return NULL;
}

const char *verify_departure(const struct cert *cert, enum verify_role role)
{
    const char *departure = form_departure(cert);

    if (departure == NULL && role != VERIFY_ANCHOR)
        departure = serial_departure(cert);
    if (departure == NULL)
        departure = identifier_departure(cert, role);
    if (departure == NULL)
        departure = authority_departure(cert, role);
    if (departure == NULL)
        departure = san_departure(cert);
    if (departure == NULL && role == VERIFY_LEAF && !cert->is_ca)
        departure = common_name_departure(cert);
    return departure;
}
