/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/cert.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "x509/cert_parts.h"
#include "x509/der.h"
#include "x509/dn.h"

int cert_refuse(char reason[CERT_REASON_MAX], const char *why)
{
    (void)snprintf(reason, CERT_REASON_MAX, "%s", why);
    return -1;
}

bool cert_take_bits(struct bytes *in, struct bytes *bits, unsigned *unused)
{
    struct bytes value;
    unsigned count;

    if (!der_take(in, DER_BIT_STRING, &value) || value.len == 0)
        return false;
    count = value.data[0];
    *bits = bytes_of(value.data + 1, value.len - 1);
    if (count > 7 || (count > 0 && (unused == NULL || bits->len == 0)) ||
        (count > 0 && (bits->data[bits->len - 1] & ((1u << count) - 1)) != 0))
        return false;
    if (unused != NULL)
        *unused = count;
    return true;
}

static bool read_digits(struct bytes *in, size_t count, int *number)
{
    int64_t value;

    if (in->len < count || decimal_read(bytes_of(in->data, count), &value) != count)
        return false;
    *number = (int)value;
    *in = bytes_of(in->data + count, in->len - count);
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

/* RFC 5280 4.1.2.5: seconds always, no fractions, "Z" only. */
static bool take_time(struct bytes *in, int64_t *seconds, bool *early_generalized)
{
    struct civil t;
    struct der time;

    if (!der_any(in, &time))
        return false;
    if (time.tag == DER_UTC_TIME) {
        if (!read_digits(&time.value, 2, &t.year))
            return false;
        t.year += t.year >= 50 ? 1900 : 2000;
    } else if (time.tag != DER_GENERALIZED_TIME || !read_digits(&time.value, 4, &t.year)) {
        return false;
    } else if (t.year < 2050) {
        *early_generalized = true;
    }
    if (!read_digits(&time.value, 2, &t.month) || !read_digits(&time.value, 2, &t.day) ||
        !read_digits(&time.value, 2, &t.hour) || !read_digits(&time.value, 2, &t.minute) ||
        !read_digits(&time.value, 2, &t.second) || !bytes_equal_text(time.value, "Z"))
        return false;
    if (t.month < 1 || t.month > 12 || t.day < 1 || t.day > days_in_month(t.year, t.month) ||
        t.hour > 23 || t.minute > 59 || t.second > 59)
        return false;
    *seconds = clock_from_civil(&t);
    return true;
}

static bool take_validity(struct bytes *in, struct cert *cert)
{
    struct bytes validity;

    return der_take(in, DER_SEQUENCE, &validity) &&
           take_time(&validity, &cert->not_before, &cert->early_generalized_time) &&
           take_time(&validity, &cert->not_after, &cert->early_generalized_time) &&
           validity.len == 0;
}

static bool take_name(struct bytes *in, struct bytes *name)
{
    struct der element;

    if (!der_any(in, &element) || element.tag != DER_SEQUENCE || !dn_valid(element.value))
        return false;
    *name = element.whole;
    return true;
}

/* Version 2 never came into use; 0 because of DER may not be written out. */
static bool take_version(struct bytes *in, struct cert *cert)
{
    struct bytes outer, number;

    if (!der_take_optional(in, DER_CONTEXT_CONSTRUCTED | 0, &outer))
        return false;
    cert->version = outer.data != NULL ? 3 : 1;
    return outer.data == NULL || (der_unsigned(&outer, &number) && outer.len == 0 &&
                                  number.len == 1 && number.data[0] == 2);
}

/* Shortest form, as DER has it. Which numbers are allowed depends on the profile. */
static bool take_serial(struct bytes *in, struct bytes *serial)
{
    if (!der_take(in, DER_INTEGER, serial) || serial->len == 0)
        return false;
    return serial->len == 1 || !((serial->data[0] == 0 && serial->data[1] < 0x80) ||
                                 (serial->data[0] == 0xFF && serial->data[1] >= 0x80));
}

/* What follows the key: unique identifiers, which nobody uses, and the extensions. */
static int read_optional_parts(struct cert *cert, struct bytes in, char reason[CERT_REASON_MAX])
{
    struct bytes unique_id, outer, extensions;

    if (!der_take_optional(&in, DER_CONTEXT | 1, &unique_id) ||
        !der_take_optional(&in, DER_CONTEXT | 2, &unique_id) ||
        !der_take_optional(&in, DER_CONTEXT_CONSTRUCTED | 3, &outer) || in.len != 0)
        return cert_refuse(reason, "what follows the public key is malformed");
    if (outer.data == NULL)
        return 0;
    if (cert->version != 3)
        return cert_refuse(reason, "a version 1 certificate has extensions");
    if (!der_take(&outer, DER_SEQUENCE, &extensions) || outer.len != 0 || extensions.len == 0)
        return cert_refuse(reason, "the extensions are malformed");
    return cert_read_extensions(cert, extensions, reason);
}

static int read_tbs(struct cert *cert, struct bytes in, struct bytes outer_algorithm,
                    char reason[CERT_REASON_MAX])
{
    struct bytes algorithm;
    struct der spki;

    if (!take_version(&in, cert))
        return cert_refuse(reason, "the version is neither 1 nor 3");
    if (!take_serial(&in, &cert->serial))
        return cert_refuse(reason, "the serial number is malformed");
    if (!der_take(&in, DER_SEQUENCE, &algorithm) || !bytes_equal(algorithm, outer_algorithm))
        return cert_refuse(reason, "the two signature algorithms differ");
    if (!cert_read_signature_algorithm(cert, algorithm))
        return cert_refuse(reason, "the signature algorithm is malformed");
    if (!take_name(&in, &cert->issuer))
        return cert_refuse(reason, "the issuer's name is malformed");
    if (dn_is_empty(cert->issuer))
        return cert_refuse(reason, "the issuer's name is empty");
    if (!take_validity(&in, cert))
        return cert_refuse(reason, "the validity period is malformed");
    if (!take_name(&in, &cert->subject))
        return cert_refuse(reason, "the subject's name is malformed");
    if (!der_any(&in, &spki) || spki.tag != DER_SEQUENCE)
        return cert_refuse(reason, "the public key is malformed");
    cert->spki = spki.whole;
    if (!cert_read_key(cert))
        return cert_refuse(reason, "the public key is malformed");
    return read_optional_parts(cert, in, reason);
}

int cert_parse(struct cert *cert, struct bytes der, char reason[CERT_REASON_MAX])
{
    struct bytes in = der, certificate, algorithm;
    struct der tbs;

    *cert = (struct cert){.der = der, .path_len = -1};
    if (!der_take(&in, DER_SEQUENCE, &certificate))
        return cert_refuse(reason, "it is not a certificate in DER, or it is cut off");
    if (in.len != 0)
        return cert_refuse(reason, CERT_TRAILING);
    if (!der_any(&certificate, &tbs) || tbs.tag != DER_SEQUENCE ||
        !der_take(&certificate, DER_SEQUENCE, &algorithm) ||
        !cert_take_bits(&certificate, &cert->signature, NULL) || certificate.len != 0)
        return cert_refuse(reason, "it is not a certificate in DER");
    cert->tbs = tbs.whole;
    return read_tbs(cert, tbs.value, algorithm, reason);
}
