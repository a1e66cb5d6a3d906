/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "x509/dn.h"

/* A Name of lengths below 128, put together from the inside: attributes, RDNs, the whole. */
struct name {
    uint8_t data[256];
    size_t len;
};

static struct name wrap(uint8_t tag, const struct name *content)
{
    struct name out = {.data = {tag, (uint8_t)content->len}, .len = 2 + content->len};

    assert_true(content->len < 128);
    memcpy(out.data + 2, content->data, content->len);
    return out;
}

static void join(struct name *name, const struct name *more)
{
    memcpy(name->data + name->len, more->data, more->len);
    name->len += more->len;
}

/* Attribute 2.5.4.ARC with a value of that type. */
static struct name attribute(uint8_t arc, uint8_t tag, const char *value, size_t len)
{
    struct name out = {.data = {0x06, 0x03, 0x55, 0x04, arc, tag, (uint8_t)len}, .len = 7 + len};

    memcpy(out.data + 7, value, len);
    return wrap(0x30, &out);
}

#define TEXT(tag, text) attribute(3, tag, text, sizeof(text) - 1)

/* Of one attribute, or of an RDN of two. */
static struct name one(struct name a)
{
    struct name rdn = wrap(0x31, &a);

    return wrap(0x30, &rdn);
}

static struct name two(struct name a, struct name b)
{
    join(&a, &b);
    return one(a);
}

static struct bytes view(const struct name *name)
{
    return bytes_of(name->data, name->len);
}

static enum dn_relation within(struct name name, struct name base)
{
    const enum dn_relation found = dn_within(view(&name), view(&base));

    assert_int_equal(found == DN_SAME, dn_equal(view(&name), view(&base)));
    assert_int_equal(found, dn_within(view(&base), view(&name)));
    return found;
}

enum {
    UTF8 = 0x0C,
    NUMERIC = 0x12,
    PRINTABLE = 0x13,
    T61 = 0x14,
    IA5 = 0x16,
    VISIBLE = 0x1A,
    UNIVERSAL = 0x1C,
    BMP = 0x1E
};

static void types_do_not_count(void **state)
{
    const struct name utf8 = one(TEXT(UTF8, "Ab 1"));

    (void)state;
    assert_int_equal(within(utf8, one(TEXT(PRINTABLE, "aB 1"))), DN_SAME);
    assert_int_equal(within(utf8, one(TEXT(T61, "AB 1"))), DN_SAME);
    assert_int_equal(within(utf8, one(TEXT(IA5, " ab  1 "))), DN_SAME);
    assert_int_equal(within(utf8, one(TEXT(VISIBLE, "ab\t1"))), DN_SAME);
    assert_int_equal(within(utf8, one(TEXT(BMP, "\0a\0B\0 \0001"))), DN_SAME);
    assert_int_equal(within(utf8, one(TEXT(UNIVERSAL, "\0\0\0a\0\0\0B\0\0\0 \0\0\0001"))), DN_SAME);
    assert_int_equal(within(one(TEXT(NUMERIC, "12")), one(TEXT(UTF8, "12"))), DN_SAME);
    assert_int_equal(within(utf8, one(TEXT(BMP, "\0a\0C\0 \0001"))), DN_OTHER);
    assert_int_equal(within(utf8, one(TEXT(UTF8, "Ab"))), DN_OTHER);
    assert_int_equal(within(utf8, one(TEXT(UTF8, "Ab1"))), DN_OTHER);
    assert_int_equal(within(utf8, one(attribute(10, UTF8, "Ab 1", 4))), DN_OTHER);
    assert_int_equal(within(one(TEXT(0x04, "x")), one(TEXT(UTF8, "x"))),
                     DN_UNKNOWN); /* no string */
    assert_int_equal(within(one(TEXT(0x04, "x")), one(TEXT(0x04, "x"))), DN_SAME);
}

static void beyond_ascii_it_may_be_the_same(void **state)
{
    (void)state;
    assert_int_equal(
        within(one(TEXT(UTF8, "M\xC3\xBCller")), one(TEXT(BMP, "\0M\0\xFC\0l\0l\0e\0r"))), DN_SAME);
    assert_int_equal(within(one(TEXT(UTF8, "M\xC3\xBCller")), one(TEXT(UTF8, "m\xC3\x9Cller"))),
                     DN_UNKNOWN);
    assert_int_equal(within(one(TEXT(UTF8, "M\xC3\xBCller")), one(TEXT(UTF8, "Mu\xCC\x88ller"))),
                     DN_UNKNOWN);
    assert_int_equal(within(one(TEXT(UTF8, "\xEF\xBC\xA1")), one(TEXT(UTF8, "A"))),
                     DN_UNKNOWN); /* wide */
    assert_int_equal(within(one(TEXT(UTF8, "\xFF")), one(TEXT(T61, "\xFF"))),
                     DN_UNKNOWN); /* malformed */
    assert_int_equal(within(one(TEXT(UTF8, "a\xC3")), one(TEXT(UTF8, "a"))), DN_UNKNOWN);
    assert_int_equal(within(one(TEXT(BMP, "a")), one(TEXT(UTF8, "b"))),
                     DN_UNKNOWN); /* half a character */
}

static void order_in_an_rdn_does_not_count(void **state)
{
    const struct name ab = two(TEXT(UTF8, "a"), attribute(10, UTF8, "b", 1));

    (void)state;
    assert_int_equal(within(ab, two(attribute(10, PRINTABLE, "B", 1), TEXT(UTF8, "A"))), DN_SAME);
    assert_int_equal(within(ab, two(attribute(10, UTF8, "c", 1), TEXT(UTF8, "a"))), DN_OTHER);
    assert_int_equal(within(ab, one(TEXT(UTF8, "a"))), DN_OTHER);
    assert_int_equal(
        within(two(TEXT(UTF8, "a"), TEXT(UTF8, "a")), two(TEXT(UTF8, "a"), TEXT(UTF8, "b"))),
        DN_OTHER);
}

static bool well(unsigned type, const char *text, size_t len)
{
    const struct der value = {.tag = type, .value = bytes_of((const uint8_t *)text, len)};

    return dn_is_well_formed(&value);
}

#define WELL(type, text) well(type, text, sizeof(text) - 1)

static void letters_are_their_types(void **state)
{
    (void)state;
    assert_true(WELL(UTF8, "M\xC3\xBCller \xE2\x82\xAC \xF0\x9F\x98\x80"));
    assert_false(WELL(UTF8, "\xC3"));
    assert_false(WELL(UTF8, "\xE2\x82"));
    assert_false(WELL(UTF8, "\xE2\x28\xA1"));
    assert_false(WELL(UTF8, "\xC0\x80")); /* longer than need be */
    assert_false(WELL(UTF8, "\xE0\x80\x80"));
    assert_false(WELL(UTF8, "\xED\xA0\x80"));     /* half a pair */
    assert_false(WELL(UTF8, "\xF4\x90\x80\x80")); /* beyond Unicode */
    assert_true(WELL(PRINTABLE, "Az 09'()+,-./:=?*&"));
    assert_false(WELL(PRINTABLE, "a@b"));
    assert_false(WELL(PRINTABLE, "a_b"));
    assert_false(WELL(PRINTABLE, "a\0b"));
    assert_true(WELL(IA5, "a@b"));
    assert_false(WELL(IA5, "\xE9"));
    assert_true(WELL(NUMERIC, "1 2"));
    assert_false(WELL(NUMERIC, "1a"));
    assert_true(WELL(T61, "\xE9"));
    assert_true(WELL(BMP, "\0a"));
    assert_false(WELL(BMP, "\0a\0"));
    assert_false(WELL(UNIVERSAL, "\0\0\0a"));
}

static bool valid(struct name name)
{
    return dn_valid(bytes_of(name.data + 2, name.len - 2));
}

static void sets_are_small_and_in_any_order(void **state)
{
    struct name many = {.len = 0};
    int i;

    (void)state;
    assert_true(valid(two(TEXT(UTF8, "a"), TEXT(UTF8, "b"))));
    assert_true(valid(two(TEXT(UTF8, "b"), TEXT(UTF8, "a"))));
    for (i = 0; i < 5; i++) {
        const struct name next = attribute((uint8_t)i, UTF8, "", 0);

        join(&many, &next);
        assert_int_equal(valid(one(many)), i < 4);
    }
}

/* What one cannot read is not known to be another name: no exclusion is dodged by it. */
static void strange_strings_are_not_known(void **state)
{
    enum { GENERAL = 0x1B };
    const struct name good = one(TEXT(UTF8, "Good")), strange = one(TEXT(GENERAL, "Good"));
    const struct name cut = one(attribute(3, 0x1E, "\0G\0o\0o\0d", 7));

    (void)state;
    assert_int_equal(within(strange, good), DN_UNKNOWN);
    assert_int_equal(within(cut, good), DN_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_do_not_count),
        cmocka_unit_test(beyond_ascii_it_may_be_the_same),
        cmocka_unit_test(order_in_an_rdn_does_not_count),
        cmocka_unit_test(letters_are_their_types),
        cmocka_unit_test(sets_are_small_and_in_any_order),
        cmocka_unit_test(strange_strings_are_not_known),
    };

    return cmocka_run_group_tests_name("dn", tests, NULL, NULL);
}
