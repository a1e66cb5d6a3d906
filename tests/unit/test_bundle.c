/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "identity/bundle.h"
#include "samples.h"

static struct bundle bundle;
static struct err err;

static int tear_down(void **state)
{
    (void)state;
    bundle_free(&bundle);
    memset(&err, 0, sizeof err);
    return 0;
}

static int add(const char *document, const char *secret)
{
    return bundle_add(&bundle, bytes_of_text(document), secret, &err);
}

/* As add(), and frees the document. */
static int add_buf(struct buf document, const char *secret)
{
    int result = bundle_add(&bundle, buf_bytes(&document), secret, &err);

    buf_free(&document);
    return result;
}

static void assert_refused(int result, enum err_code code, const char *reason)
{
    int i;

    assert_int_equal(result, -1);
    if (err.code != code || !strstr(err.reason, reason))
        fail_msg("%d: %s", err.code, err.reason);
    assert_string_equal(err.subject, "my-secret");
    for (i = 0; i < BUNDLE_FIELDS; i++)
        assert_int_equal(bundle.field[i].len, 0);
}

static void assert_field(enum bundle_field field, const char *text)
{
    if (!bytes_equal_text(buf_bytes(&bundle.field[field]), text))
        fail_msg("%s is %s", bundle_field_name(field),
                 bundle.field[field].len ? (char *)bundle.field[field].data : "absent");
}

/* Whether a field holds what the files hold, one behind the other; NULL: nothing. */
static void assert_files(enum bundle_field field, const char *first, const char *second)
{
    const char *files[] = {first, second};
    struct buf text = {.tag = ARENA_DOCUMENT};
    int i;

    for (i = 0; i < 2 && files[i]; i++) {
        struct buf part = sample_text(files[i]);

        assert_int_equal(buf_append(&text, part.data, part.len), 0);
        buf_free(&part);
    }
    assert_field(field, text.len ? (char *)text.data : "");
    buf_free(&text);
}

static void fields_have_names_and_files(void **state)
{
    static const char *const expected[BUNDLE_FIELDS][2] = {
        {"client_cert", "client.crt"}, {"client_key", "client.key"}, {"ca_cert", "ca.crt"},
        {"server_cert", "server.crt"}, {"server_key", "server.key"},
    };
    char names[128], small[8];
    int i;

    (void)state;
    for (i = 0; i < BUNDLE_FIELDS; i++) {
        assert_string_equal(bundle_field_name((enum bundle_field)i), expected[i][0]);
        assert_string_equal(bundle_field_file((enum bundle_field)i), expected[i][1]);
        bundle_field_names((enum bundle_field)i, names, sizeof names);
        assert_ptr_equal(strstr(names, expected[i][0]), names);
    }
    bundle_field_names(BUNDLE_SERVER_KEY, names, sizeof names);
    assert_string_equal(names, "server_key, server_private_key");
    bundle_field_names(BUNDLE_SERVER_KEY, small, sizeof small);
    assert_string_equal(small, "server_");
}

static void every_name_is_known(void **state)
{
    static const struct {
        enum bundle_field field;
        const char *name;
    } cases[] = {
        {BUNDLE_CLIENT_CERT, "client_cert"},
        {BUNDLE_CLIENT_CERT, "cert"},
        {BUNDLE_CLIENT_CERT, "certificate"},
        {BUNDLE_CLIENT_CERT, "x509Svid"},
        {BUNDLE_CLIENT_CERT, "tls.crt"},
        {BUNDLE_CLIENT_KEY, "client_key"},
        {BUNDLE_CLIENT_KEY, "key"},
        {BUNDLE_CLIENT_KEY, "private_key"},
        {BUNDLE_CLIENT_KEY, "x509SvidKey"},
        {BUNDLE_CLIENT_KEY, "tls.key"},
        {BUNDLE_CA_CERT, "ca_cert"},
        {BUNDLE_CA_CERT, "ca"},
        {BUNDLE_CA_CERT, "ca_certificate"},
        {BUNDLE_CA_CERT, "bundle"},
        {BUNDLE_CA_CERT, "ca.crt"},
        {BUNDLE_SERVER_CERT, "server_cert"},
        {BUNDLE_SERVER_CERT, "server_certificate"},
        {BUNDLE_SERVER_KEY, "server_key"},
        {BUNDLE_SERVER_KEY, "server_private_key"},
    };
    char document[128];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(document, sizeof document, "{\"%s\":\"value\",\"other\":[1]}",
                       cases[i].name);
        assert_int_equal(add(document, "s"), 0);
        assert_field(cases[i].field, "value");
        assert_string_equal(bundle.source[cases[i].field], "s");
        bundle_free(&bundle);
    }
}

static void names_may_be_escaped(void **state)
{
    (void)state;
    assert_int_equal(add("{\"client\\u005fkey\":\"value\"}", "s"), 0);
    assert_field(BUNDLE_CLIENT_KEY, "value");
}

static void a_field_stands_once(void **state)
{
    (void)state;
    assert_refused(add("{\"key\":\"a\",\"key\":\"a\"}", "my-secret"), ERR_FIELD_REPEATED,
                   "key stands in it twice");
    assert_refused(add("{\"key\":\"a\",\"k\\u0065y\":\"a\"}", "my-secret"), ERR_FIELD_REPEATED,
                   "key stands in it twice");
    assert_refused(add("{\"cert\":\"a\",\"x\":0,\"tls.crt\":\"b\"}", "my-secret"),
                   ERR_FIELD_REPEATED, "cert and tls.crt are names of one field");
    assert_refused(add("{\"key\":\"a\",\"KEY\":\"b\"}", "my-secret"), ERR_FIELD_REPEATED,
                   "key stands in it twice");
    assert_int_equal(add("{\"cert\":\"\",\"tls.crt\":\"b\",\"client_cert\":null}", "s"), 0);
    bundle_free(&bundle);
    assert_int_equal(add("{\"cert\":\"a\",\"x\":1,\"x\":2}", "s"), 0);
}

static void values_are_strings_of_unicode_without_nul(void **state)
{
    static const char *const values[] = {"1", "true", "[\"a\"]", "{\"a\":\"b\"}"};
    char document[64];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof values / sizeof values[0]; i++) {
        (void)snprintf(document, sizeof document, "{\"ca\":\"x\",\"client_key\":%s}", values[i]);
        assert_refused(add(document, "my-secret"), ERR_DOCUMENT_INVALID, "client_key is no string");
    }
    assert_refused(add("{\"client_key\":\"a\\u0000b\"}", "my-secret"), ERR_DOCUMENT_INVALID,
                   "client_key holds a NUL");
    assert_refused(add("{\"client_key\":\"\\ud800\"}", "my-secret"), ERR_DOCUMENT_INVALID,
                   "client_key is not Unicode");
    assert_refused(add("{\"ca\":\"x\",\"client_key\\u0000\":\"a\"}", "my-secret"),
                   ERR_DOCUMENT_INVALID, "holds a NUL");
}

static void what_is_no_document_is_refused(void **state)
{
    static uint8_t large[64 * 1024 + 1];

    (void)state;
    assert_refused(add("", "my-secret"), ERR_DOCUMENT_INVALID, "empty");
    assert_refused(add(" \n", "my-secret"), ERR_DOCUMENT_INVALID, "empty");
    assert_refused(add("hello", "my-secret"), ERR_DOCUMENT_INVALID,
                   "neither a JSON object nor PEM");
    assert_refused(add("[\"client_key\"]", "my-secret"), ERR_DOCUMENT_INVALID, "neither");
    assert_refused(add("{\"client_key\":\"a\"", "my-secret"), ERR_DOCUMENT_INVALID, "not JSON");
    assert_refused(add("{\"client_key\":\"a\"} x", "my-secret"), ERR_DOCUMENT_INVALID, "not JSON");
    assert_refused(add("{}", "my-secret"), ERR_FIELD_MISSING, "no known field");
    assert_refused(add("{\"user\":\"a\",\"client_key\":\"\"}", "my-secret"), ERR_FIELD_MISSING,
                   "no known field");
    assert_refused(bundle_add(&bundle, bytes_of("x\0y", 3), "my-secret", &err),
                   ERR_DOCUMENT_INVALID, "NUL");
    memset(large, ' ', sizeof large);
    memcpy(large, "{\"ca\":\"x\"}", 10);
    assert_refused(bundle_add(&bundle, bytes_of(large, sizeof large), "my-secret", &err),
                   ERR_DOCUMENT_TOO_LARGE, "65537");
    assert_int_equal(bundle_add(&bundle, bytes_of(large, sizeof large - 1), "s", &err), 0);
}

static void errors_hold_nothing_of_the_document(void **state)
{
    static const char *const documents[] = {
        "{\"client_key\":\"SECRET\",\"key\":\"SECRET\"}",
        "{\"SECRET\":1,\"client_key\":\"SECRET\\u0000\"}",
        "{\"client_key\":\"SECRET\" SECRET}",
        "SECRET",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        assert_int_equal(add(documents[i], "s"), -1);
        assert_null(strstr(err.reason, "SECRET"));
    }
}

static void line_ends_escaped_twice_are_read(void **state)
{
    (void)state;
    assert_int_equal(add("{\"ca\":\"a\\\\nb\\\\r\\\\nc\\nd\\\\\"}", "s"), 0);
    assert_field(BUNDLE_CA_CERT, "a\nb\r\nc\nd\\");
}

static void a_byte_order_mark_is_skipped(void **state)
{
    (void)state;
    assert_int_equal(add("\xEF\xBB\xBF\r\n {\"ca\":\"a\"}", "s"), 0);
    assert_field(BUNDLE_CA_CERT, "a");
}

static void secrets_merge(void **state)
{
    (void)state;
    assert_int_equal(add("{\"client_key\":\"k\"}", "one"), 0);
    assert_int_equal(add("{\"client_cert\":\"c\",\"ca\":\"a\",\"key\":\"\"}", "two"), 0);
    assert_field(BUNDLE_CLIENT_KEY, "k");
    assert_field(BUNDLE_CLIENT_CERT, "c");
    assert_field(BUNDLE_CA_CERT, "a");
    assert_string_equal(bundle.source[BUNDLE_CLIENT_KEY], "one");
    assert_string_equal(bundle.source[BUNDLE_CLIENT_CERT], "two");
}

static void two_secrets_may_not_give_one_field(void **state)
{
    (void)state;
    assert_int_equal(add("{\"key\":\"k\"}", "one"), 0);
    assert_int_equal(add("{\"cert\":\"c\",\"client_key\":\"k\"}", "two"), -1);
    assert_int_equal(err.code, ERR_FIELD_REPEATED);
    assert_string_equal(err.subject, "two");
    assert_non_null(strstr(err.reason, "client_key comes from one too"));
    assert_field(BUNDLE_CLIENT_KEY, "k");
    assert_field(BUNDLE_CLIENT_CERT, "");
}

/* The files one behind the other. */
static struct buf concatenate(const char *const files[])
{
    struct buf all = {.tag = ARENA_DOCUMENT};

    for (; *files; files++) {
        struct buf text = sample_text(*files);

        assert_int_equal(buf_append(&all, text.data, text.len), 0);
        buf_free(&text);
    }
    return all;
}

static void a_bare_bundle_is_sorted(void **state)
{
    static const char *const orders[][6] = {
        {"leaf.pem", "inner.pem", "leaf.key", "ca.pem"},
        {"ca.pem", "leaf.key", "leaf.pem", "inner.pem"},
        {"leaf.pem", "ca.pem", "inner.pem", "leaf.key"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        assert_int_equal(add_buf(concatenate(orders[i]), "s"), 0);
        assert_files(BUNDLE_CLIENT_CERT, "leaf.pem", "inner.pem");
        assert_files(BUNDLE_CLIENT_KEY, "leaf.key", NULL);
        assert_files(BUNDLE_CA_CERT, "ca.pem", NULL);
        bundle_free(&bundle);
    }
}

/* openssl req -x509 makes leaves that call themselves a CA. */
static void a_self_signed_leaf_is_not_its_ca(void **state)
{
    static const char *const files[] = {"ca.pem", "self.pem", "self.key", NULL};

    (void)state;
    assert_int_equal(add_buf(concatenate(files), "s"), 0);
    assert_files(BUNDLE_CLIENT_CERT, "self.pem", NULL);
    assert_files(BUNDLE_CA_CERT, "ca.pem", NULL);
}

/* Even where the CA stands first, and has the leaf's key. */
static void a_ca_of_the_leafs_key_is_no_leaf(void **state)
{
    static const char *const files[] = {"twin-self.pem", "twin.pem", "twin.key", NULL};

    (void)state;
    assert_int_equal(add_buf(concatenate(files), "s"), 0);
    assert_files(BUNDLE_CLIENT_CERT, "twin.pem", NULL);
    assert_files(BUNDLE_CA_CERT, "twin-self.pem", NULL);
}

/* Its authorities need not be roots; beside a leaf they are its chain. */
static void a_file_of_authorities_goes_beside_an_identity(void **state)
{
    static const char *const authorities[] = {"inner.pem", "ca.pem", NULL};
    static const char *const chain[] = {"leaf.pem", "inner.pem", "leaf.key", NULL};

    (void)state;
    assert_int_equal(add_buf(concatenate(chain), "identity"), 0);
    assert_int_equal(add_buf(concatenate(authorities), "ca"), 0);
    assert_files(BUNDLE_CLIENT_CERT, "leaf.pem", "inner.pem");
    assert_files(BUNDLE_CA_CERT, "inner.pem", "ca.pem");
    assert_string_equal(bundle.source[BUNDLE_CA_CERT], "ca");
}

/* Its certificates would be installed, whatever its fields are. */
static void json_behind_something_is_no_bundle(void **state)
{
    static const char *const starts[] = {
        "[",  "x",  "/* mine */\n", "# mine\n", "\xE2\x80\x8B", "\xEF\xBB\xBF\xEF\xBB\xBF",
        "\"", "{} "};
    struct buf document = sample_document("other_ca", "ca.pem", "client_key", "leaf.key", NULL);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        struct buf text = {.tag = ARENA_DOCUMENT};

        assert_int_equal(buf_append_text(&text, starts[i]), 0);
        assert_int_equal(buf_append(&text, document.data, document.len), 0);
        assert_refused(add_buf(text, "my-secret"), ERR_DOCUMENT_INVALID, "");
    }
    buf_free(&document);
    assert_true(bundle_is_object(bytes_of_text("\xEF\xBB\xBF {")));
    assert_false(bundle_is_object(bytes_of_text("\xEF {")));
    assert_false(bundle_is_object(bytes_of_text("")));
}

/* An array's strings, an object with other quotation marks, and one behind a block. */
static void only_what_begins_a_line_is_pem(void **state)
{
    static const struct {
        const char *before, *after;
    } cases[] = {{"[\"", "\"]"},
                 {"[\"\\n", "\"]"},
                 {"{'ca_cert': '\n", "'}"},
                 {"\"", "\""},
                 {"", ",\"ca_cert\" : \"\"}"},
                 {"ca=", ""}};
    struct buf pem = sample_text("ca.pem");
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf text = {.tag = ARENA_DOCUMENT};

        assert_int_equal(buf_append_text(&text, cases[i].before), 0);
        assert_int_equal(buf_append(&text, pem.data, pem.len), 0);
        assert_int_equal(buf_append_text(&text, cases[i].after), 0);
        assert_refused(add_buf(text, "my-secret"), ERR_DOCUMENT_INVALID, "");
    }
    buf_free(&pem);
}

/* As openssl pkcs12 writes it, with a container's name of Windows. */
static void text_may_stand_before_pem(void **state)
{
    static const char attributes[] = "Bag Attributes\n    friendlyName: {3A6F0B}\n  ";
    struct buf pem = sample_text("ca.pem"), text = {.tag = ARENA_DOCUMENT};

    (void)state;
    assert_int_equal(buf_append_text(&text, attributes), 0);
    assert_int_equal(buf_append(&text, pem.data, pem.len), 0);
    assert_int_equal(add_buf(text, "s"), 0);
    assert_files(BUNDLE_CA_CERT, "ca.pem", NULL);
    buf_free(&pem);
}

static void bare_files_merge_too(void **state)
{
    (void)state;
    assert_int_equal(add_buf(sample_text("client.key"), "key"), 0);
    assert_int_equal(add_buf(sample_text("ca.pem"), "ca"), 0);
    assert_int_equal(add_buf(sample_text("client.pem"), "cert"), 0);
    assert_files(BUNDLE_CLIENT_CERT, "client.pem", NULL);
    assert_files(BUNDLE_CLIENT_KEY, "client.key", NULL);
    assert_files(BUNDLE_CA_CERT, "ca.pem", NULL);
}

static void a_bare_bundle_must_be_whole(void **state)
{
    static const char *const two_keys[] = {"p256.key", "leaf.key", NULL};
    struct buf text = sample_text("leaf.pem");
    char *place = strstr((char *)text.data, "MII");

    (void)state;
    place[100] = '!';
    assert_refused(add((char *)text.data, "my-secret"), ERR_PEM_INVALID, "CERTIFICATE is damaged");
    place[100] = 'A';
    memcpy(place, "AAAA", 4);
    assert_refused(add((char *)text.data, "my-secret"), ERR_CERTIFICATE_INVALID, "");
    buf_free(&text);
    assert_refused(add_buf(concatenate(two_keys), "my-secret"), ERR_KEY_INVALID, "more than one");
    assert_refused(add_buf(sample_text("refused-ed25519.key"), "my-secret"), ERR_KEY_UNSUPPORTED,
                   "Ed25519");
    assert_refused(add_buf(sample_text("refused-public.pem"), "my-secret"), ERR_DOCUMENT_INVALID,
                   "neither");
}

static void whole_documents_are_read(void **state)
{
    (void)state;
    assert_int_equal(add_buf(sample_document("x509Svid", "leaf.pem", "x509SvidKey", "leaf.key",
                                             "bundle", "ca.pem", NULL),
                             "s"),
                     0);
    assert_files(BUNDLE_CLIENT_CERT, "leaf.pem", NULL);
    assert_files(BUNDLE_CLIENT_KEY, "leaf.key", NULL);
    assert_files(BUNDLE_CA_CERT, "ca.pem", NULL);
}

static void every_cut_of_a_document_is_refused(void **state)
{
    struct buf document = sample_document("cert", "leaf.pem", "key", "leaf.key", NULL);
    size_t len;

    (void)state;
    for (len = 0; len < document.len; len++)
        if (bundle_add(&bundle, bytes_of(document.data, len), "s", &err) == 0)
            fail_msg("%zu of %zu bytes", len, document.len);
    buf_free(&document);
}

static void nothing_is_left_in_the_arena(void **state)
{
    static const char *const documents[] = {"{\"key\":\"a\"}", "{\"key\":1}", "[", "{\"a\":1}"};
    struct arena_stats before, after;
    size_t i;

    (void)state;
    arena_stats(&before);
    for (i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        (void)add(documents[i], "s");
        bundle_free(&bundle);
    }
    (void)add_buf(sample_text("leaf.pem"), "s");
    (void)add_buf(sample_text("leaf.pem"), "s");
    bundle_free(&bundle);
    arena_stats(&after);
    assert_int_equal(before.in_use, after.in_use);
}

#define test(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(fields_have_names_and_files),
        test(every_name_is_known),
        test(names_may_be_escaped),
        test(a_field_stands_once),
        test(values_are_strings_of_unicode_without_nul),
        test(what_is_no_document_is_refused),
        test(errors_hold_nothing_of_the_document),
        test(line_ends_escaped_twice_are_read),
        test(a_byte_order_mark_is_skipped),
        test(secrets_merge),
        test(two_secrets_may_not_give_one_field),
        test(a_bare_bundle_is_sorted),
        test(a_self_signed_leaf_is_not_its_ca),
        test(a_ca_of_the_leafs_key_is_no_leaf),
        test(a_file_of_authorities_goes_beside_an_identity),
        test(json_behind_something_is_no_bundle),
        test(only_what_begins_a_line_is_pem),
        test(text_may_stand_before_pem),
        test(bare_files_merge_too),
        test(a_bare_bundle_must_be_whole),
        test(whole_documents_are_read),
        test(every_cut_of_a_document_is_refused),
        test(nothing_is_left_in_the_arena),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
