/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/dn.h"

enum { UTF8_STRING = 0x0C, PRINTABLE_STRING = 0x13, T61_STRING = 0x14, IA5_STRING = 0x16 };

const struct bytes dn_common_name = {(const uint8_t *)"\x55\x04\x03", 3};
const struct bytes dn_email_address = {(const uint8_t *)"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x01", 9};

static bool take_attribute(struct bytes *in, struct dn_attribute *attribute)
{
    struct bytes pair;

    return der_take(in, DER_SEQUENCE, &pair) && der_take(&pair, DER_OID, &attribute->type) &&
           attribute->type.len > 0 && der_any(&pair, &attribute->value) && pair.len == 0;
}

bool dn_valid(struct bytes content)
{
    struct dn_attribute attribute;
    struct bytes rdn;

    while (content.len > 0) {
        if (!der_take(&content, DER_SET, &rdn) || rdn.len == 0)
            return false;
        while (rdn.len > 0)
            if (!take_attribute(&rdn, &attribute))
                return false;
    }
    return true;
}

struct dn_walk dn_walk(struct bytes name)
{
    struct dn_walk walk = {0};

    (void)der_take(&name, DER_SEQUENCE, &walk.rdns);
    return walk;
}

bool dn_next(struct dn_walk *walk, struct dn_attribute *attribute)
{
    attribute->starts_rdn = walk->rest.len == 0;
    return (walk->rest.len > 0 || der_take(&walk->rdns, DER_SET, &walk->rest)) &&
           take_attribute(&walk->rest, attribute);
}

bool dn_is_empty(struct bytes name)
{
    return dn_walk(name).rdns.len == 0;
}

bool dn_is_text(const struct der *value)
{
    return value->tag == UTF8_STRING || value->tag == PRINTABLE_STRING ||
           value->tag == IA5_STRING || value->tag == T61_STRING;
}

/*
 * The next character as it counts: runs of spaces are one, those at the ends are none; -1 at the
 * end. in_word: the character before was no space.
 */
static int next_folded(struct bytes *text, bool *in_word)
{
    bool space = false;
    uint8_t c;

    while (text->len > 0 && *text->data == ' ') {
        *text = bytes_of(text->data + 1, text->len - 1);
        space = true;
    }
    if (text->len == 0)
        return -1;
    if (space && *in_word) {
        *in_word = false;
        return ' ';
    }
    *in_word = true;
    c = *text->data;
    *text = bytes_of(text->data + 1, text->len - 1);
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool text_equal(struct bytes a, struct bytes b)
{
    bool a_in_word = false, b_in_word = false;
    int c;

    do {
        c = next_folded(&a, &a_in_word);
        if (c != next_folded(&b, &b_in_word))
            return false;
    } while (c >= 0);
    return true;
}

static bool attribute_equal(const struct dn_attribute *a, const struct dn_attribute *b)
{
    if (a->starts_rdn != b->starts_rdn || !bytes_equal(a->type, b->type))
        return false;
    if (dn_is_text(&a->value) && dn_is_text(&b->value))
        return text_equal(a->value.value, b->value.value);
    return bytes_equal(a->value.whole, b->value.whole);
}

/* Whether base's RDNs are the first ones of what is left of name, which is advanced past them. */
static bool starts_with(struct dn_walk *name, struct bytes base)
{
    struct dn_walk walk = dn_walk(base);
    struct dn_attribute a, b;

    while (dn_next(&walk, &a))
        if (!dn_next(name, &b) || !attribute_equal(&a, &b))
            return false;
    return name->rest.len == 0;
}

bool dn_within(struct bytes name, struct bytes base)
{
    struct dn_walk walk = dn_walk(name);

    return starts_with(&walk, base);
}

bool dn_equal(struct bytes a, struct bytes b)
{
    struct dn_walk walk = dn_walk(a);

    return starts_with(&walk, b) && walk.rdns.len == 0;
}
