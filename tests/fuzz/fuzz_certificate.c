/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DER, whose elements lie side by side and have one spelling; and one certificate: all views lie
 * within it, and BearSSL, where it reads it too, reads the same.
 */
#include "x509/cert.h"

#include "commands/inspect_print.h"
#include "fuzz.h"
#include "x509/general_name.h"
#include "x509/name.h"

enum { DEPTH_MAX = 20, HEADER_MAX = 6 };

/* The header that an element must have: how long it is. */
static size_t write_header(uint8_t header[HEADER_MAX], const struct der *element)
{
    size_t len = element->value.len, bytes = 0, i;

    header[0] = (uint8_t)element->tag;
    while (len >> 8 * bytes)
        bytes++;
    if (len < 0x80) {
        header[1] = (uint8_t)len;
        return 2;
    }
    header[1] = (uint8_t)(0x80 | bytes);
    for (i = 0; i < bytes; i++)
        header[2 + i] = (uint8_t)(len >> 8 * (bytes - 1 - i));
    return 2 + bytes;
}

static void check_element(struct bytes before, struct bytes after, const struct der *element)
{
    uint8_t header[HEADER_MAX];
    const size_t len = write_header(header, element);

    FUZZ_CHECK(element->whole.data == before.data && element->whole.len <= before.len);
    FUZZ_CHECK(element->whole.len == len + element->value.len);
    FUZZ_CHECK(element->value.data == before.data + len);
    FUZZ_CHECK(memcmp(header, before.data, len) == 0);
    FUZZ_CHECK(after.data == before.data + element->whole.len);
    FUZZ_CHECK(after.len == before.len - element->whole.len);
}

/* Walks through all elements, and into those that are made of others. */
static void check_der(struct bytes in, unsigned depth)
{
    struct bytes before = in, number;
    struct der element;

    for (; in.len > 0 && der_any(&in, &element); before = in) {
        check_element(before, in, &element);
        if (element.tag == DER_INTEGER && der_unsigned(&before, &number))
            FUZZ_CHECK(number.len == 0 || number.data[0] != 0);
        if (element.tag & 0x20 && depth < DEPTH_MAX)
            check_der(element.value, depth + 1);
    }
    FUZZ_CHECK(in.data == before.data && in.len == before.len);
}

static void check_within(struct bytes view, struct bytes der)
{
    FUZZ_CHECK(view.len == 0 ||
               (view.data >= der.data && view.data + view.len <= der.data + der.len));
}

static void check_views(const struct cert *cert, struct bytes der)
{
    FUZZ_CHECK(cert->der.data == der.data && cert->der.len == der.len);
    check_within(cert->tbs, der);
    check_within(cert->issuer, der);
    check_within(cert->subject, der);
    check_within(cert->serial, der);
    check_within(cert->spki, der);
    check_within(cert->signature, der);
    check_within(cert->san, der);
    check_within(cert->name_constraints, der);
    check_within(cert->subject_key_id, der);
    check_within(cert->authority_key_id, der);
    FUZZ_CHECK(cert->version == 1 || cert->version == 3);
    FUZZ_CHECK(cert->issuer.len > 0 && cert->path_len >= -1);
}

static void check_text(const char *text, size_t size)
{
    FUZZ_CHECK(memchr(text, '\0', size));
    for (; *text; text++)
        FUZZ_CHECK(*text >= ' ' && *text <= '~');
}

static void check_texts(const struct cert *cert)
{
    char text[100], short_text[7], key[INSPECT_KEY_MAX], serial[INSPECT_SERIAL_MAX];

    cert_subject_text(cert->subject, text, sizeof text);
    check_text(text, sizeof text);
    cert_subject_text(cert->issuer, short_text, sizeof short_text);
    check_text(short_text, sizeof short_text);
    (void)cert_common_name(cert, text, sizeof text);
    inspect_key_text(cert, key);
    inspect_serial_text(cert, serial);
    check_text(serial, sizeof serial);
    if (!cert->san.data)
        return;
    general_names_text(cert->san, text, sizeof text);
    check_text(text, sizeof text);
    general_names_text(cert->san, short_text, sizeof short_text);
    check_text(short_text, sizeof short_text);
}

/* A host of each kind, and the names that the certificate itself has. */
static void check_names(const struct cert *cert)
{
    static const char *const hosts[] = {"enclave.example", "a.wild.example", "10.1.2.3",
                                        "2001:db8::1",     "localhost",      "not a name"};
    struct bytes names = cert->san;
    struct der name;
    char reason[VERIFY_REASON_MAX];
    size_t i;

    for (i = 0; i < sizeof hosts / sizeof *hosts; i++)
        (void)name_verify(cert, hosts[i], i % 2, reason);
    while (names.len > 0 && der_any(&names, &name)) {
        char *text = fuzz_text(name.value);
        struct host host;

        if (name.tag == GENERAL_DNS && host_read(&host, bytes_of_text(text)) && host.dns.data &&
            name_verify(cert, text, false, reason) == VERIFY_OK)
            FUZZ_CHECK(dns_name_valid(host.dns, false));
        free(text);
    }
}

static void take_name(void *count, const void *data, size_t len)
{
    (void)data;
    *(size_t *)count += len;
}

static struct bytes without_zeros(const uint8_t *data, size_t len)
{
    for (; len > 0 && *data == 0; len--)
        data++;
    return bytes_of(data, len);
}

static void compare_keys(const br_x509_pkey *ours, const br_x509_pkey *theirs)
{
    FUZZ_CHECK(ours->key_type == theirs->key_type);
    if (ours->key_type == BR_KEYTYPE_EC) {
        FUZZ_CHECK(ours->key.ec.curve == theirs->key.ec.curve);
        FUZZ_CHECK(bytes_equal(bytes_of(ours->key.ec.q, ours->key.ec.qlen),
                               bytes_of(theirs->key.ec.q, theirs->key.ec.qlen)));
    } else {
        FUZZ_CHECK(bytes_equal(without_zeros(ours->key.rsa.n, ours->key.rsa.nlen),
                               without_zeros(theirs->key.rsa.n, theirs->key.rsa.nlen)));
        FUZZ_CHECK(bytes_equal(without_zeros(ours->key.rsa.e, ours->key.rsa.elen),
                               without_zeros(theirs->key.rsa.e, theirs->key.rsa.elen)));
    }
}

/* Ours is the stricter one. What both take they must not take for two things. */
static void compare(const struct cert *cert, struct bytes der)
{
    static br_x509_decoder_context decoder;
    const br_x509_pkey *key;
    size_t name_len = 0;

    br_x509_decoder_init(&decoder, take_name, &name_len);
    br_x509_decoder_push(&decoder, der.data, der.len);
    key = br_x509_decoder_get_pkey(&decoder);
    if (!cert || !key)
        return;
    FUZZ_CHECK(name_len == cert->subject.len);
    if (cert->key.key_type)
        compare_keys(&cert->key, key);
    FUZZ_CHECK(!br_x509_decoder_isCA(&decoder) || cert->is_ca);
}

void fuzz(struct bytes input)
{
    char reason[CERT_REASON_MAX] = "";
    struct cert cert;

    check_der(input, 0);
    if (cert_parse(&cert, input, reason) < 0) {
        FUZZ_CHECK(reason[0] && memchr(reason, '\0', sizeof reason));
        compare(NULL, input);
        return;
    }
    check_views(&cert, input);
    check_texts(&cert);
    check_names(&cert);
    (void)cert_signed_by(&cert, &cert);
    compare(&cert, input);
}
