/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/expect.h"

#include <strings.h>

#include "base/err.h"
#include "base/hash.h"
#include "x509/cert.h"
#include "x509/general_name.h"
#include "x509/name.h"

/* Longer than any subject that can be expected, so that a cut one equals none. */
enum { SUBJECT_MAX = 1024, NAMES_MAX = 320 };

static bool is_subject(const struct cert *leaf, const char *expected)
{
    char text[SUBJECT_MAX];

    if (strchr(expected, '='))
        cert_subject_text(leaf->subject, text, sizeof text);
    else if (!cert_common_name(leaf, text, sizeof text))
        return false;
    return strcmp(text, expected) == 0;
}

static bool is_name(const struct der *name, const char *expected)
{
    struct bytes text = bytes_of_text(expected);
    struct host host;
    bool address = host_read(&host, text) && host.address_len > 0;
    bool uri = !address && strchr(expected, ':');

    switch (name->tag) {
    case GENERAL_IP:
        return address && bytes_equal(name->value, bytes_of(host.address, host.address_len));
    case GENERAL_URI: return uri && bytes_equal(name->value, text);
    case GENERAL_DNS:
        return !address && !uri && name->value.len == text.len &&
               strncasecmp((const char *)name->value.data, expected, text.len) == 0;
    default: return false;
    }
}

static bool holds(const struct cert *leaf, const char *expected)
{
    struct bytes names = leaf->san;
    struct der name;

    while (der_any(&names, &name))
        if (is_name(&name, expected))
            return true;
    return false;
}

int expect_leaf(const struct expected *expected, const struct cert *leaf, const char *subject,
                struct err *err)
{
    char found[NAMES_MAX];
    size_t i;

    if (expected->subject && !is_subject(leaf, expected->subject)) {
        cert_subject_text(leaf->subject, found, sizeof found);
        return err_set(err, ERR_IDENTITY_UNEXPECTED, subject,
                       "its subject is \"%s\"; \"%.128s\" is expected", found, expected->subject);
    }
    for (i = 0; i < expected->san_count; i++)
        if (!holds(leaf, expected->sans[i])) {
            general_names_text(leaf->san, found, sizeof found);
            return err_set(err, ERR_IDENTITY_UNEXPECTED, subject,
                           "its subjectAltName holds %s; \"%.128s\" is expected",
                           found[0] ? found : "no name", expected->sans[i]);
        }
    return 0;
}

int expect_anchor(const struct expected *expected, const struct cert *anchor, const char *subject,
                  struct err *err)
{
    char found[NAMES_MAX], hex[HASH_HEX_SIZE];
    uint8_t digest[HASH_SIZE];
    size_t i;

    hash_sha256(digest, anchor->der);
    hash_hex(hex, digest);
    for (i = 0; i < expected->ca_count; i++)
        if (strcmp(expected->cas[i], hex) == 0)
            return 0;
    if (expected->ca_count == 0)
        return 0;
    cert_subject_text(anchor->subject, found, sizeof found);
    return err_set(err, ERR_IDENTITY_UNEXPECTED, subject,
                   "ca_cert holds \"%s\", whose SHA-256 is %s: this CA is not expected", found,
                   hex);
}
