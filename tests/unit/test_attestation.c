/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of an enclave, in which order its answer is judged, and which keys are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attest/attest.h"
#include "attest/document.h"
#include "attest/form.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "enclave/attestation.h"
#include "enclave/pins.h"
#include "samples.h"

static struct config config;
static struct endpoint endpoints[2];
static struct attestation_question question;

/* The first step that fails, by its place; and with what each was called. */
enum step { FORM, DOCUMENT, GENUINE, IMAGE, PEER, AGE, NEVER };
static enum step failing;
static const char *field_asked;
static struct attest_trust trust_asked;
static struct attest_peer peer_asked;
static int64_t age_asked;
static unsigned steps; /* a bit for each that was taken */

static int step(enum step step, enum err_code code, struct err *out)
{
    steps |= 1U << step;
    return step == failing ? err_set(out, code, NULL, "step") : 0;
}

int __wrap_attest_form_read(struct buf *out, struct bytes text, const char *field, struct err *e);
int __wrap_attest_form_read(struct buf *out, struct bytes text, const char *field, struct err *e)
{
    field_asked = field;
    return buf_append(out, text.data, text.len) < 0 ? -1 : step(FORM, ERR_ATTEST_MALFORMED, e);
}

int __wrap_attest_document_read(struct attest_document *out, struct bytes text, struct err *e);
int __wrap_attest_document_read(struct attest_document *out, struct bytes text, struct err *e)
{
    (void)out;
    (void)text;
    return step(DOCUMENT, ERR_ATTEST_MALFORMED, e);
}

int __wrap_attest_genuine(const struct attest_document *document, const struct attest_trust *trust,
                          struct attest_root *root, struct err *e);
int __wrap_attest_genuine(const struct attest_document *document, const struct attest_trust *trust,
                          struct attest_root *root, struct err *e)
{
    (void)document;
    trust_asked = *trust;
    root->other = true;
    (void)snprintf(root->fingerprint, sizeof root->fingerprint, "a root");
    return step(GENUINE, ERR_ATTEST_FORGED, e);
}

int __wrap_attest_image(const struct attest_document *document, const char *const *sets,
                        size_t count, struct err *e);
int __wrap_attest_image(const struct attest_document *document, const char *const *sets,
                        size_t count, struct err *e)
{
    (void)document;
    assert_ptr_equal(sets, config.attest_pcrs);
    assert_int_equal(count, config.attest_pcr_count);
    return step(IMAGE, ERR_ATTEST_IMAGE, e);
}

int __wrap_attest_peer(const struct attest_document *document, const struct attest_peer *peer,
                       struct err *e);
int __wrap_attest_peer(const struct attest_document *document, const struct attest_peer *peer,
                       struct err *e)
{
    (void)document;
    peer_asked = *peer;
    return step(PEER, ERR_ATTEST_UNBOUND, e);
}

int __wrap_attest_age(const struct attest_document *document, int64_t now, int64_t most_ms,
                      struct err *e);
int __wrap_attest_age(const struct attest_document *document, int64_t now, int64_t most_ms,
                      struct err *e)
{
    (void)document;
    age_asked = now;
    assert_int_equal(most_ms, config.attest_max_age_ms);
    return step(AGE, ERR_ATTEST_STALE, e);
}

bool __wrap_attest_echoes(const struct attest_document *document, struct bytes nonce);
bool __wrap_attest_echoes(const struct attest_document *document, struct bytes nonce)
{
    (void)document;
    return nonce.data != NULL;
}

static int setup(void **state)
{
    (void)state;
    config = (struct config){.attest_profile = ATTEST_NITRIDING_DAEMON,
                             .attest_leeway_ms = 3000,
                             .attest_pcr_count = 1,
                             .attest_max_age_ms = 77,
                             .attest_interval_ms = 1000,
                             .at = CONFIG_NOW,
                             .endpoints = endpoints,
                             .endpoint_count = 2};
    (void)snprintf(endpoints[0].text, sizeof endpoints[0].text, "one:443");
    (void)snprintf(endpoints[1].text, sizeof endpoints[1].text, "two:443");
    failing = NEVER;
    steps = 0;
    return 0;
}

static void each_convention_has_its_path(void **state)
{
    static const struct {
        enum attest_convention profile;
        const char *path;
        bool nonce;
    } cases[] = {{ATTEST_NAUTILUS, "/get_attestation", false},
                 {ATTEST_NITRIDING_DAEMON, "/enclave/attestation?nonce=", true},
                 {ATTEST_EVERVAULT, "/.well-known/attestation", false},
                 {ATTEST_OPENSECRET, "/attestation/", true},
                 {ATTEST_MARLIN, "/attestation/raw", false}};
    char expected[ATTESTATION_PATH_MAX];
    size_t i, k, len;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        config.attest_profile = cases[i].profile;
        attestation_ask(&config, &question);
        assert_int_equal(question.has_nonce, cases[i].nonce);
        len = (size_t)snprintf(expected, sizeof expected, "%s", cases[i].path);
        for (k = 0; question.has_nonce && k < ATTESTATION_NONCE; k++)
            len +=
                (size_t)snprintf(expected + len, sizeof expected - len, "%02x", question.nonce[k]);
        assert_string_equal(question.path, expected);
    }
}

static void a_nonce_stands_where_the_path_has_it_and_is_new_each_time(void **state)
{
    uint8_t before[ATTESTATION_NONCE];

    (void)state;
    config.attest_profile = ATTEST_GENERIC;
    config.attest_path = "/a/{nonce}/b";
    attestation_ask(&config, &question);
    assert_int_equal(strlen(question.path), strlen("/a//b") + 2 * ATTESTATION_NONCE);
    assert_memory_equal(question.path, "/a/", 3);
    assert_string_equal(question.path + 3 + 2 * ATTESTATION_NONCE, "/b");
    memcpy(before, question.nonce, sizeof before);
    attestation_ask(&config, &question);
    assert_memory_not_equal(before, question.nonce, sizeof before);
}

#define TAKEN(step) (1U << (step))

static void the_first_step_that_fails_is_the_answer(void **state)
{
    static const struct {
        enum step failing;
        enum err_code code;
        unsigned steps;
        bool read, genuine;
    } cases[] = {
        {FORM, ERR_ATTEST_MALFORMED, TAKEN(FORM), false, false},
        {DOCUMENT, ERR_ATTEST_MALFORMED, TAKEN(FORM) | TAKEN(DOCUMENT), false, false},
        {GENUINE, ERR_ATTEST_FORGED, TAKEN(FORM) | TAKEN(DOCUMENT) | TAKEN(GENUINE), true, false},
        {IMAGE, ERR_ATTEST_IMAGE, TAKEN(FORM) | TAKEN(DOCUMENT) | TAKEN(GENUINE) | TAKEN(IMAGE),
         true, true},
        {PEER, ERR_ATTEST_UNBOUND,
         TAKEN(FORM) | TAKEN(DOCUMENT) | TAKEN(GENUINE) | TAKEN(IMAGE) | TAKEN(PEER), true, true},
        {NEVER, ERR_NONE,
         TAKEN(FORM) | TAKEN(DOCUMENT) | TAKEN(GENUINE) | TAKEN(IMAGE) | TAKEN(PEER), true, true},
    };
    struct attestation out = {0};
    size_t i;

    (void)state;
    attestation_ask(&config, &question);
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        failing = cases[i].failing;
        steps = 0;
        assert_int_equal(attestation_judge(&config, &question, NULL, bytes_of("text", 4), &out),
                         failing == NEVER ? 0 : -1);
        assert_int_equal(out.err.code, cases[i].code);
        if (cases[i].read && failing != NEVER)
            assert_string_equal(out.err.reason, "step; by the root a root, not AWS's");
        assert_int_equal(steps, cases[i].steps);
        assert_int_equal(out.read, cases[i].read);
        assert_int_equal(out.genuine, cases[i].genuine);
        assert_int_equal(out.binding, ATTEST_NITRIDING);
        attestation_free(&out);
        assert_false(out.read);
        assert_null(out.text.data);
    }
}

static void an_answer_is_judged_with_what_was_asked_and_the_connection(void **state)
{
    const struct attestation_channel channel = {bytes_of("leaf", 4), bytes_of("exporter", 8)};
    struct attestation out = {0};

    (void)state;
    attestation_ask(&config, &question);
    config.at = 5; /* of a document by itself alone */
    assert_int_equal(attestation_judge(&config, &question, &channel, bytes_of("t", 1), &out), 0);
    assert_memory_equal(peer_asked.nonce.data, question.nonce, ATTESTATION_NONCE);
    assert_int_equal(peer_asked.nonce.len, ATTESTATION_NONCE);
    assert_ptr_equal(peer_asked.leaf.data, channel.leaf.data);
    assert_ptr_equal(peer_asked.exporter.data, channel.exporter.data);
    assert_int_equal(peer_asked.binding, ATTEST_NITRIDING);
    assert_true(trust_asked.fresh);
    assert_true(out.nonce_is_ours);
    assert_int_equal(trust_asked.leeway, 3);
    assert_in_range(trust_asked.now, 1600000000, INT32_MAX);
    attestation_free(&out);
    config.attest_profile = ATTEST_EVERVAULT;
    attestation_ask(&config, &question);
    assert_int_equal(attestation_judge(&config, &question, &channel, bytes_of("t", 1), &out), 0);
    assert_null(peer_asked.nonce.data);
    assert_false(trust_asked.fresh);
    assert_false(out.nonce_is_ours);
    assert_int_equal(peer_asked.binding, ATTEST_SPKI);
    attestation_free(&out);
}

static void a_document_by_itself_has_its_age_alone(void **state)
{
    struct attestation out = {0};

    (void)state;
    config.attest_profile = ATTEST_GENERIC;
    config.attest_field = "here";
    config.attest_binding = ATTEST_LEAF_SHA384;
    config.at = 1234;
    assert_int_equal(attestation_judge(&config, NULL, NULL, bytes_of("t", 1), &out), 0);
    assert_int_equal(steps & (TAKEN(PEER) | TAKEN(AGE)), TAKEN(AGE));
    assert_int_equal(age_asked, 1234);
    assert_int_equal(trust_asked.now, 1234);
    assert_string_equal(field_asked, "here");
    assert_int_equal(out.binding, ATTEST_LEAF_SHA384);
    attestation_free(&out);
    config.at = CONFIG_NOW;
    failing = AGE;
    assert_int_equal(attestation_judge(&config, NULL, NULL, bytes_of("t", 1), &out), -1);
    assert_in_range(age_asked, 1600000000, INT32_MAX);
    attestation_free(&out);
}

static void words(void **state)
{
    (void)state;
    assert_string_equal(attestation_word(&config, ERR_NONE, false), "attested");
    assert_string_equal(attestation_word(&config, ERR_NONE, true), "attested_other_root");
    config.attest_pcr_count = 0;
    assert_string_equal(attestation_word(&config, ERR_NONE, false), "genuine");
    assert_string_equal(attestation_word(&config, ERR_NONE, true), "genuine_other_root");
    assert_string_equal(attestation_word(&config, ERR_ATTEST_STALE, true),
                        err_info(ERR_ATTEST_STALE)->name);
}

static void a_key_is_that_of_the_certificate(void **state)
{
    struct buf server = sample_der("server.pem"), client = sample_der("client.pem");
    uint8_t one[HASH_SIZE] = {0}, other[HASH_SIZE] = {0};

    (void)state;
    assert_true(attestation_key(buf_bytes(&server), one));
    assert_true(attestation_key(buf_bytes(&client), other));
    assert_memory_not_equal(one, other, HASH_SIZE);
    assert_false(attestation_key((struct bytes){0}, one));
    assert_false(attestation_key(bytes_of("no certificate", 14), one));
    buf_free(&server);
    buf_free(&client);
}

static struct attested_key key_of(uint8_t name, int64_t at_ms)
{
    return (struct attested_key){.said.key = {name}, .at_ms = at_ms};
}

static void add(struct attested *attested, uint8_t name, int64_t at_ms)
{
    const struct attested_key key = key_of(name, at_ms);

    attested_add(attested, &key.said, at_ms);
}

static bool is_known(const struct attested *attested, uint8_t name, int64_t since)
{
    const struct attested_key key = key_of(name, 0);

    return attested_find(attested, key.said.key, since) != NULL;
}

/* The oldest of more than four gives way; the same key again takes no second place. */
static void the_last_keys_are_known(void **state)
{
    struct attested attested = {0};
    uint8_t name;

    (void)state;
    for (name = 1; name <= ATTESTED_KEYS; name++)
        add(&attested, name, 100 + name);
    for (name = 1; name <= ATTESTED_KEYS; name++)
        assert_true(is_known(&attested, name, 0));
    add(&attested, 2, 500);
    assert_true(is_known(&attested, 1, 0));
    assert_true(is_known(&attested, 2, 500));
    assert_false(is_known(&attested, 2, 501));
    assert_false(is_known(&attested, 9, 0));
    for (name = 5; name <= 6; name++) {
        add(&attested, name, 600);
        assert_true(is_known(&attested, name, 0));
    }
    assert_false(is_known(&attested, 1, 0));
    assert_true(is_known(&attested, 2, 0)); /* it was attested anew meanwhile */
    assert_false(is_known(&attested, 3, 0));
    assert_true(is_known(&attested, 4, 0));
    add(&attested, 9, 0); /* nothing to be taken out */
    assert_true(is_known(&attested, 4, 0));
    add(&attested, 5, 0);
    assert_false(is_known(&attested, 5, 0));
    add(&attested, 7, 700); /* a free place comes first */
    assert_true(is_known(&attested, 4, 0));
    assert_true(is_known(&attested, 7, 0));
    attested = (struct attested){0};
    assert_false(is_known(&attested, 0, -1)); /* a free place is no key of zeros */
}

static char pins[64];

static void assert_pins(const char *expected)
{
    char text[512] = "";
    FILE *file = fopen(pins, "r");
    size_t len = file ? fread(text, 1, sizeof text - 1, file) : 0;

    if (file)
        (void)fclose(file);
    text[len] = '\0';
    assert_string_equal(text, expected);
}

static void pins_are_a_line_for_each_key(void **state)
{
    struct attested attested[2] = {0};
    struct stat before, after;

    (void)state;
    (void)snprintf(pins, sizeof pins, "/tmp/mtls-agent-pins-%d", (int)getpid());
    pins_write(&config, attested); /* no file is configured */
    config.attest_pins = pins;
    pins_write(&config, NULL);
    pins_write(&config, attested);
    assert_int_equal(access(pins, F_OK), -1); /* there would be nothing in it */
    attested[0].keys[0] = key_of(1, clock_ms());
    attested[0].keys[3] = key_of(2, clock_ms() - 2 * config.attest_interval_ms);
    attested[1].keys[1] = key_of(3, clock_ms());
    attested[1].keys[2] = key_of(4, clock_ms() - 2 * config.attest_interval_ms - 1);
    attested[1].keys[3] = key_of(5, clock_ms()); /* known for what it is not */
    attested[1].keys[3].said.code = ERR_ATTEST_DEBUG;
    (void)snprintf(attested[1].keys[1].said.other_root, HASH_HEX_SIZE, "1234");
    pins_write(&config, attested);
    assert_pins("sha256//AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= one:443\n"
                "sha256//AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= one:443\n"
                "sha256//AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= two:443 root=1234\n");
    assert_int_equal(stat(pins, &before), 0);
    assert_int_equal(before.st_mode & 07777, 0644);
    pins_write(&config, attested);
    assert_int_equal(stat(pins, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino); /* it says the same, and stays */
    attested[0] = (struct attested){0};
    pins_write(&config, attested);
    assert_pins("sha256//AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= two:443 root=1234\n");
    attested[1] = (struct attested){0};
    pins_write(&config, attested); /* nothing in place of something: it stays */
    assert_pins("sha256//AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= two:443 root=1234\n");
    assert_int_equal(unlink(pins), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_convention_has_its_path, setup),
        cmocka_unit_test_setup(a_nonce_stands_where_the_path_has_it_and_is_new_each_time, setup),
        cmocka_unit_test_setup(the_first_step_that_fails_is_the_answer, setup),
        cmocka_unit_test_setup(an_answer_is_judged_with_what_was_asked_and_the_connection, setup),
        cmocka_unit_test_setup(a_document_by_itself_has_its_age_alone, setup),
        cmocka_unit_test_setup(words, setup),
        cmocka_unit_test_setup(a_key_is_that_of_the_certificate, setup),
        cmocka_unit_test_setup(the_last_keys_are_known, setup),
        cmocka_unit_test_setup(pins_are_a_line_for_each_key, setup),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
