/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bearssl.h>
#include <cmocka.h>
#include <string.h>

#include "net/tls.h"

enum { FATAL_ALERTS_END = 128 };

/* BearSSL numbers its errors without 11 and 61; 30, 64 and 65 are of third_party/patches. */
static bool is_bearssls(int error)
{
    return (error >= 0 && error <= BR_ERR_X509_NOT_TRUSTED && error != 11 && error != 61) ||
           error == BR_ERR_MISSING_EXTENSION || error == BR_ERR_DOWNGRADE;
}

static void each_error_has_a_sentence_of_its_own(void **state)
{
    const char *general = tls_error_text(-1);

    (void)state;
    for (int error = -1; error < BR_ERR_RECV_FATAL_ALERT; error++) {
        bool has = strcmp(tls_error_text(error), general) != 0;

        if (has != is_bearssls(error))
            fail_msg("error %d: \"%s\"", error, tls_error_text(error));
    }
}

static void each_alert_has_a_name_and_a_cause(void **state)
{
    const struct tls_record record = {0};
    size_t named = 0;

    (void)state;
    for (int alert = 0; alert < FATAL_ALERTS_END; alert++) {
        if (strcmp(tls_alert_name(alert), "alert") == 0)
            continue;
        named++;
        assert_true(strlen(tls_alert_cause(alert, &record)) > 10);
        assert_null(strstr(tls_alert_cause(alert, &record), "no standard"));
    }
    assert_int_equal(named, 34);
    assert_string_equal(tls_alert_name(48), "unknown_ca");
    assert_non_null(strstr(tls_alert_cause(99, &record), "no standard"));
}

static void handshake_failure_is_told_by_what_came_before(void **state)
{
    struct tls_record record = {0};

    (void)state;
    assert_non_null(strstr(tls_alert_cause(40, &record), "no common cipher suite"));
    assert_non_null(strstr(tls_alert_cause(40, &record), "it must allow ECDHE"));
    record.certificate_requested = true;
    assert_non_null(strstr(tls_alert_cause(40, &record), "SHA-2"));
    record.certificate_sent = true;
    assert_non_null(strstr(tls_alert_cause(40, &record), "it refused the client certificate"));
}

/* A server that knows one curve takes no key of another one, and says illegal_parameter. */
static void a_key_of_another_curve_is_told_as_that(void **state)
{
    struct tls_record record = {.certificate_requested = true, .certificate_sent = true};

    (void)state;
    record.own_curve = BR_EC_secp256r1;
    record.curve = BR_EC_curve25519;
    assert_null(strstr(tls_alert_cause(47, &record), "P-"));
    record.curve = BR_EC_secp384r1;
    assert_non_null(strstr(tls_alert_cause(47, &record), "takes keys of P-384"));
    record.own_curve = BR_EC_secp384r1;
    assert_null(strstr(tls_alert_cause(47, &record), "takes keys of"));
    record.curve = BR_EC_secp256r1;
    assert_non_null(strstr(tls_alert_cause(47, &record), "takes keys of P-256"));
}

/* What a server says of a certificate before it has one is not about ours. */
static void an_alert_before_our_certificate_does_not_blame_it(void **state)
{
    struct tls_record record = {0};

    (void)state;
    assert_null(strstr(tls_alert_cause(48, &record), "does not trust"));
    record.certificate_left = true;
    assert_non_null(strstr(tls_alert_cause(48, &record), "does not trust"));
}

static void each_suite_that_may_be_chosen_has_a_name(void **state)
{
    static const uint16_t suites[] = {0xC009, 0xC00A, 0xC013, 0xC014, 0xC023, 0xC024, 0xC027,
                                      0xC028, 0xC02B, 0xC02C, 0xC02F, 0xC030, 0xCCA8, 0xCCA9};

    (void)state;
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        assert_memory_equal(tls_cipher_name(suites[i]), "ECDHE-", 6);
    assert_string_equal(tls_cipher_name(0x009C), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_has_a_sentence_of_its_own),
        cmocka_unit_test(each_alert_has_a_name_and_a_cause),
        cmocka_unit_test(handshake_failure_is_told_by_what_came_before),
        cmocka_unit_test(a_key_of_another_curve_is_told_as_that),
        cmocka_unit_test(an_alert_before_our_certificate_does_not_blame_it),
        cmocka_unit_test(each_suite_that_may_be_chosen_has_a_name),
    };

    return cmocka_run_group_tests_name("tls_errors", tests, NULL, NULL);
}
