/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bearssl.h>
#include <cmocka.h>

#include "net/tls_impl.h"

/* RFC 5246 section 6.2.1 */
enum { ALERT = 21, HANDSHAKE = 22, APPLICATION_DATA = 23 };

static struct tls_session session;

static int begin(void **state)
{
    (void)state;
    session = (struct tls_session){.watch = &tls_watch_class};
    return 0;
}

static int receive(int type, size_t len)
{
    return session.watch->received(&session.watch, type, len);
}

/* How many such records pass before the one that ends the connection; at most limit. */
static size_t passing(int type, size_t len, size_t limit)
{
    size_t count = 0;

    while (count < limit && receive(type, len) == 0)
        count++;
    return count;
}

static void what_carries_nothing_passes_some_times(void **state)
{
    static const struct {
        int type;
        size_t len;
    } wastes[] = {{HANDSHAKE, 0}, {APPLICATION_DATA, 0}, {ALERT, 0}, {ALERT, 2}};

    for (size_t i = 0; i < sizeof wastes / sizeof *wastes; i++) {
        begin(state);
        assert_int_equal(passing(wastes[i].type, wastes[i].len, 1000), TLS_NOTHING_MAX);
    }
}

/* Turns make no difference: there is one count of all of them. */
static void kinds_are_counted_together(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TLS_NOTHING_MAX / 2; i++) {
        assert_int_equal(receive(HANDSHAKE, 0), 0);
        assert_int_equal(receive(HANDSHAKE, 40), 0);
        assert_int_equal(receive(ALERT, 2), 0);
    }
    assert_int_equal(receive(ALERT, 2), BR_ERR_NO_PROGRESS);
}

static void a_handshake_is_bounded(void **state)
{
    enum { HELLO_REQUEST = 4, HEADER = 5 };

    assert_int_equal(passing(HANDSHAKE, HELLO_REQUEST, SIZE_MAX),
                     TLS_HANDSHAKE_MAX / (HELLO_REQUEST + HEADER));
    begin(state);
    assert_true(passing(HANDSHAKE, 16384, SIZE_MAX) * 16384 > VERIFY_BYTES_MAX);
}

/* What an answer needs has its bound elsewhere. */
static void an_answer_may_be_long(void **state)
{
    (void)state;
    session.watched.connected = true;
    assert_int_equal(passing(APPLICATION_DATA, 16384, 100000), 100000);
    assert_false(session.record.renegotiation);
}

static void another_handshake_is_noted_and_bounded(void **state)
{
    (void)state;
    session.watched.connected = true;
    assert_int_equal(passing(HANDSHAKE, 4, 1000), TLS_NOTHING_MAX);
    assert_true(session.record.renegotiation);
}

static void a_certificate_has_left_with_the_record_behind_its_choice(void **state)
{
    (void)state;
    session.watch->sent(&session.watch, HANDSHAKE); /* ClientHello */
    assert_false(session.record.certificate_left);
    session.record.certificate_sent = true;
    session.watch->sent(&session.watch, ALERT);
    assert_false(session.record.certificate_left);
    session.watch->sent(&session.watch, HANDSHAKE);
    assert_true(session.record.certificate_left);
}

static void it_is_noted_what_came(void **state)
{
    (void)state;
    assert_false(session.record.spoke);
    assert_int_equal(receive(HANDSHAKE, 80), 0);
    assert_true(session.record.spoke);
    assert_int_equal(receive(APPLICATION_DATA, 0), 0);
    assert_false(session.record.answered);
    assert_int_equal(receive(APPLICATION_DATA, 1), 0);
    assert_true(session.record.answered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_carries_nothing_passes_some_times, begin),
        cmocka_unit_test_setup(kinds_are_counted_together, begin),
        cmocka_unit_test_setup(a_handshake_is_bounded, begin),
        cmocka_unit_test_setup(an_answer_may_be_long, begin),
        cmocka_unit_test_setup(another_handshake_is_noted_and_bounded, begin),
        cmocka_unit_test_setup(a_certificate_has_left_with_the_record_behind_its_choice, begin),
        cmocka_unit_test_setup(it_is_noted_what_came, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
