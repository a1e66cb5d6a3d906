/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "x509/cert.h"
#include "x509/dn.h"

static const struct {
    const char *name;
    struct bytes type;
} type_names[] = {
    {"CN", {(const uint8_t *)"\x55\x04\x03", 3}},
    {"O", {(const uint8_t *)"\x55\x04\x0A", 3}},
    {"OU", {(const uint8_t *)"\x55\x04\x0B", 3}},
    {"C", {(const uint8_t *)"\x55\x04\x06", 3}},
    {"L", {(const uint8_t *)"\x55\x04\x07", 3}},
    {"ST", {(const uint8_t *)"\x55\x04\x08", 3}},
    {"STREET", {(const uint8_t *)"\x55\x04\x09", 3}},
    {"serialNumber", {(const uint8_t *)"\x55\x04\x05", 3}},
    {"DC", {(const uint8_t *)"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x19", 10}},
    {"UID", {(const uint8_t *)"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x01", 10}},
    {"emailAddress", {(const uint8_t *)"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x01", 9}},
};

/* Text that grows by whole pieces until one does not fit, so that no escape is cut. */
struct text {
    char *out;
    size_t size, len;
    bool full;
};

static void put_text(struct text *text, const char *piece)
{
    size_t len = strlen(piece);

    if (text->full || len >= text->size - text->len) {
        text->full = true;
        return;
    }
    memcpy(text->out + text->len, piece, len + 1);
    text->len += len;
}

static void put_type(struct text *text, struct bytes type)
{
    char number[24];
    uint64_t arc = 0;
    bool first = true;
    size_t i;

    for (i = 0; i < sizeof type_names / sizeof type_names[0]; i++)
        if (bytes_equal(type, type_names[i].type)) {
            put_text(text, type_names[i].name);
            return;
        }
    for (i = 0; i < type.len && !text->full; i++) {
        arc = arc << 7 | (type.data[i] & 0x7Fu);
        if (type.data[i] >= 0x80)
            continue;
        if (first)
            (void)snprintf(number, sizeof number, "%d.%llu", arc < 80 ? (int)arc / 40 : 2,
                           (unsigned long long)(arc < 80 ? arc % 40 : arc - 80));
        else
            (void)snprintf(number, sizeof number, ".%llu", (unsigned long long)arc);
        put_text(text, number);
        first = false;
        arc = 0;
    }
}

void cert_oid_text(struct bytes oid, char *out, size_t size)
{
    struct text text = {.out = out, .size = size};

    out[0] = '\0';
    put_type(&text, oid);
}

/* RFC 4514 2.4. */
static void put_value(struct text *text, const struct der *value)
{
    bool is_text = dn_is_text(value);
    struct bytes shown = is_text ? value->value : value->whole;
    char piece[4];
    size_t i;

    if (!is_text)
        put_text(text, "#");
    for (i = 0; i < shown.len && !text->full; i++) {
        uint8_t c = shown.data[i];

        if (!is_text)
            (void)snprintf(piece, sizeof piece, "%02X", c);
        else if (c < 0x20 || c > 0x7E)
            (void)snprintf(piece, sizeof piece, "\\%02X", c);
        else if (strchr(",+\"\\<>;=", c) != NULL || (c == '#' && i == 0) ||
                 (c == ' ' && (i == 0 || i == shown.len - 1)))
            (void)snprintf(piece, sizeof piece, "\\%c", c);
        else
            (void)snprintf(piece, sizeof piece, "%c", c);
        put_text(text, piece);
    }
}

static void put_rdn(struct text *text, struct bytes rdn)
{
    struct dn_walk walk = {.rest = rdn};
    struct dn_attribute attribute;
    const char *separator = text->len > 0 ? "," : "";

    while (!text->full && dn_next(&walk, &attribute)) {
        put_text(text, separator);
        put_type(text, attribute.type);
        put_text(text, "=");
        put_value(text, &attribute.value);
        separator = "+";
    }
}

/* RFC 4514 writes the last RDN first. */
void cert_subject_text(struct bytes name, char *out, size_t size)
{
    struct text text = {.out = out, .size = size};
    struct bytes all = dn_walk(name).rdns, rest = all, rdn = {0};
    size_t count = 0, i;

    if (size == 0)
        return;
    out[0] = '\0';
    while (der_take(&rest, DER_SET, &rdn))
        count++;
    for (; count > 0 && !text.full; count--) {
        for (i = 0, rest = all; i < count; i++)
            (void)der_take(&rest, DER_SET, &rdn);
        put_rdn(&text, rdn);
    }
}

const char *cert_go_flaw(const struct cert *cert)
{
    const struct bytes names[] = {cert->issuer, cert->subject};
    struct dn_attribute attribute;
    struct dn_walk walk;
    size_t i;

    if (cert->serial.data[0] >= 0x80)
        return "its serial number is negative";
    for (i = 0; i < sizeof names / sizeof *names; i++)
        for (walk = dn_walk(names[i]); dn_next(&walk, &attribute);)
            if (!dn_is_well_formed(&attribute.value))
                return attribute.value.tag == 0x0C   ? "a name in it is broken UTF-8"
                       : attribute.value.tag == 0x13 ? "a name in it has a letter that no "
                                                       "PrintableString has, such as @ or _"
                                                     : "a name in it has a string type that is not "
                                                       "read, or letters that its type has not";
    return NULL;
}

bool cert_common_name(const struct cert *cert, char *out, size_t size)
{
    struct dn_walk walk = dn_walk(cert->subject);
    struct dn_attribute attribute;
    struct bytes name = {0};
    size_t i;

    while (dn_next(&walk, &attribute))
        if (bytes_equal(attribute.type, dn_common_name))
            name = dn_is_text(&attribute.value) ? attribute.value.value : bytes_of(NULL, 0);
    if (name.len == 0 || name.len >= size)
        return false;
    for (i = 0; i < name.len; i++)
        if (name.data[i] < 0x20 || name.data[i] == 0x7F)
            return false;
    memcpy(out, name.data, name.len);
    out[name.len] = '\0';
    return true;
}
