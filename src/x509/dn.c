/* SPDX-License-Identifier: Apache-2.0 */
#include "x509/dn.h"

enum {
    UTF8_STRING = 0x0C,
    NUMERIC_STRING = 0x12,
    PRINTABLE_STRING = 0x13,
    T61_STRING = 0x14,
    IA5_STRING = 0x16,
    VISIBLE_STRING = 0x1A,
    UNIVERSAL_STRING = 0x1C,
    BMP_STRING = 0x1E
};
enum { RDN_MAX = 4, END = -1, ODD = 0x110000 };

const struct bytes dn_common_name = {(const uint8_t *)"\x55\x04\x03", 3};
const struct bytes dn_email_address = {(const uint8_t *)"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x01", 9};

static bool take_attribute(struct bytes *in, struct dn_attribute *attribute)
{
    struct bytes pair;

    return der_take(in, DER_SEQUENCE, &pair) && der_take(&pair, DER_OID, &attribute->type) &&
           attribute->type.len > 0 && der_any(&pair, &attribute->value) && pair.len == 0;
}

static bool rdn_valid(struct bytes rdn)
{
    struct dn_attribute attribute;
    size_t count = 0;

    while (rdn.len > 0)
        if (count++ == RDN_MAX || !take_attribute(&rdn, &attribute))
            return false;
    return count > 0;
}

bool dn_valid(struct bytes content)
{
    struct bytes rdn;

    while (content.len > 0)
        if (!der_take(&content, DER_SET, &rdn) || !rdn_valid(rdn))
            return false;
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

static bool is_string(const struct der *value)
{
    return dn_is_text(value) || value->tag == NUMERIC_STRING || value->tag == VISIBLE_STRING ||
           value->tag == UNIVERSAL_STRING || value->tag == BMP_STRING;
}

/* A value as it is read: its characters, whatever the type. */
struct reading {
    struct bytes rest;
    unsigned tag;
    bool in_word; /* the character before was no space */
};

static struct reading start(const struct der *value)
{
    return (struct reading){.rest = value->value, .tag = value->tag};
}

/* How many bytes of UTF-8 begin with this one; 0: none. */
static size_t utf8_length(uint8_t first)
{
    return first < 0x80   ? 1
           : first < 0xC2 ? 0
           : first < 0xE0 ? 2
           : first < 0xF0 ? 3
           : first < 0xF5 ? 4
                          : 0;
}

/* What is malformed is a character like no other. */
static int next_character(struct reading *reading)
{
    static const int least[] = {0, 0, 0x80, 0x800, 0x10000};
    const struct bytes in = reading->rest;
    const size_t unit = reading->tag == BMP_STRING ? 2 : reading->tag == UNIVERSAL_STRING ? 4 : 1;
    size_t len = unit, i;
    uint32_t all = 0;
    int c;

    if (in.len == 0)
        return END;
    if (reading->tag == UTF8_STRING && utf8_length(*in.data) > 0)
        len = utf8_length(*in.data);
    if (len > in.len)
        len = reading->tag == UTF8_STRING ? 1 : in.len;
    for (i = 1; reading->tag == UTF8_STRING && i < len; i++)
        if ((in.data[i] & 0xC0) != 0x80)
            len = 1;
    reading->rest = bytes_of(in.data + len, in.len - len);
    if (reading->tag != UTF8_STRING || len == 1) {
        for (i = 0; i < len; i++)
            all = all << 8 | in.data[i];
        if (reading->tag == UTF8_STRING ? all >= 0x80 : len < unit || all >= ODD)
            return ODD + (int)(all & 0xFFFFFF);
        return (int)all;
    }
    for (c = in.data[0] & (0x7F >> len), i = 1; i < len; i++)
        c = c << 6 | (in.data[i] & 0x3F);
    return c < least[len] ? ODD + c : c;
}

bool dn_is_well_formed(const struct der *value)
{
    struct reading reading = start(value);
    int c;

    while ((c = next_character(&reading)) != END) {
        const bool digit = c >= '0' && c <= '9';
        const bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

        switch (value->tag) {
        case UTF8_STRING:
            if (c >= ODD || (c >= 0xD800 && c <= 0xDFFF))
                return false;
            break;
        case PRINTABLE_STRING: /* "*" and "&" are none, and let through by many */
            if (c == 0 || c > 0x7F || !(digit || letter || strchr(" '()+,-./:=?*&", c)))
                return false;
            break;
        case NUMERIC_STRING:
            if (!digit && c != ' ')
                return false;
            break;
        case IA5_STRING:
            if (c > 0x7F)
                return false;
            break;
        case T61_STRING:
        case BMP_STRING: break;
        default: return false;
        }
    }
    return value->tag != BMP_STRING || value->value.len % 2 == 0;
}

/* As RFC 4518 prepares ASCII: without case and control characters; runs of spaces are one, those at
 * the ends none. */
static int next_folded(struct reading *reading)
{
    struct bytes before;
    bool blank = false;
    int c;

    do {
        before = reading->rest;
        c = next_character(reading);
        blank |= c == ' ' || (c >= '\t' && c <= '\r');
    } while (c >= 0 && (c <= ' ' || c == 0x7F));
    if (c != END && blank && reading->in_word) {
        reading->rest = before;
        reading->in_word = false;
        return ' ';
    }
    reading->in_word = true;
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool is_ascii(const struct der *value)
{
    struct reading reading = start(value);
    int c;

    do
        c = next_character(&reading);
    while (c >= 0 && c < 0x80);
    return c == END;
}

/* Beyond ASCII there are many spellings of one text (case, composition, width), which are not
 * known here. */
static enum dn_relation compare_text(const struct der *a, const struct der *b)
{
    struct reading left = start(a), right = start(b);
    int c;

    do {
        c = next_folded(&left);
        if (c != next_folded(&right))
            return is_ascii(a) && is_ascii(b) ? DN_OTHER : DN_UNKNOWN;
    } while (c != END);
    return DN_SAME;
}

static enum dn_relation compare_attribute(const struct dn_attribute *a,
                                          const struct dn_attribute *b)
{
    if (!bytes_equal(a->type, b->type))
        return DN_OTHER;
    if (is_string(&a->value) && is_string(&b->value))
        return compare_text(&a->value, &b->value);
    if (bytes_equal(a->value.whole, b->value.whole))
        return DN_SAME;
    return a->value.tag == b->value.tag ? DN_OTHER : DN_UNKNOWN;
}

/* Whether each attribute of the one RDN is in the other. */
static enum dn_relation find_all(struct bytes rdn, struct bytes other)
{
    enum dn_relation all = DN_SAME, best, found;
    struct dn_attribute a, b;
    struct bytes rest;

    while (take_attribute(&rdn, &a)) {
        best = DN_OTHER;
        for (rest = other; best != DN_SAME && take_attribute(&rest, &b);) {
            found = compare_attribute(&a, &b);
            best = found < best ? found : best;
        }
        all = best > all ? best : all;
    }
    return all;
}

/* Their order in a SET says nothing. */
static enum dn_relation compare_rdn(struct bytes a, struct bytes b)
{
    enum dn_relation there, back;

    if (bytes_equal(a, b))
        return DN_SAME;
    there = find_all(a, b);
    back = find_all(b, a);
    return there > back ? there : back;
}

/* How base's RDNs compare with the first ones of what is left of name, which is advanced past
 * them. */
static enum dn_relation compare_start(struct bytes *name, struct bytes base)
{
    struct bytes rest = dn_walk(base).rdns, a, b;
    enum dn_relation all = DN_SAME, found;

    while (der_take(&rest, DER_SET, &a)) {
        found = der_take(name, DER_SET, &b) ? compare_rdn(a, b) : DN_OTHER;
        if (found == DN_OTHER)
            return DN_OTHER;
        if (found == DN_UNKNOWN)
            all = DN_UNKNOWN;
    }
    return all;
}

enum dn_relation dn_within(struct bytes name, struct bytes base)
{
    struct bytes rdns = dn_walk(name).rdns;

    return compare_start(&rdns, base);
}

bool dn_equal(struct bytes a, struct bytes b)
{
    struct bytes rdns = dn_walk(a).rdns;

    return compare_start(&rdns, b) == DN_SAME && rdns.len == 0;
}
