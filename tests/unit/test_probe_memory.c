/* SPDX-License-Identifier: Apache-2.0 */
/* What is news of an endpoint, and when its next handshake is a full one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "enclave/probe.h"
#include "enclave/probe_memory.h"
#include "net/http.h"
#include "samples.h"

enum { ENDPOINTS = 2 };

static struct probe_known known[ENDPOINTS];
static struct probe_memory memory;
static struct probe probe;
static struct bytes chain;
static struct http_response response;
static const char *attested;

static int begin(void **state)
{
    (void)state;
    memset(known, 0, sizeof known);
    memory = (struct probe_memory){known, ENDPOINTS, NULL};
    probe = (struct probe){.verdict = PROBE_ACCEPTED,
                           .status = 200,
                           .version = "1.3",
                           .cipher = "TLS_AES_128_GCM_SHA256",
                           .group = "X25519",
                           .handshake = "full"};
    response = (struct http_response){.alert = -1};
    attested = NULL;
    return 0;
}

static bool is_news(void)
{
    return probe_memory_take(&memory, 0, &response, &probe, attested);
}

static void shows(const struct buf *certificate)
{
    chain = bytes_of(certificate->data, certificate->len);
    response.chain = &chain;
    response.chain_count = 1;
}

static void the_first_is_news_and_no_repetition(void **state)
{
    (void)state;
    assert_true(is_news());
    assert_false(is_news());
    assert_false(known[0].renew);
    assert_true(probe_memory_take(&memory, 1, &response, &probe, NULL));
}

static void each_change_is_news(void **state)
{
    (void)state;
    (void)is_news();
    probe.status = 503;
    assert_true(is_news());
    probe.version = "1.2";
    assert_true(is_news());
    probe.cipher = "ECDHE-RSA-AES128-GCM-SHA256";
    assert_true(is_news());
    probe.group = NULL;
    assert_true(is_news());
    attested = "attested";
    assert_true(is_news());
    (void)snprintf(probe.reason, sizeof probe.reason, "what is attested, at length");
    assert_false(is_news());
    assert_false(known[0].renew);
}

/* What differs in digits alone, too. */
static void another_cipher_or_group_is_news(void **state)
{
    (void)state;
    probe.group = "P-256";
    assert_true(is_news());
    probe.group = "P-384";
    assert_true(is_news());
    probe.cipher = "TLS_AES_256_GCM_SHA384";
    assert_true(is_news());
    assert_false(is_news());
}

static void another_root_is_news(void **state)
{
    (void)state;
    attested = "attested_other_root";
    assert_true(is_news());
    (void)snprintf(probe.attested.other_root, sizeof probe.attested.other_root, "%s", "AB");
    assert_true(is_news());
    assert_false(is_news());
}

/* A resumed handshake shows it as well. */
static void another_status_is_news(void **state)
{
    (void)state;
    assert_true(is_news());
    probe.resumed = true;
    probe.handshake = "resumed";
    assert_false(is_news());
    probe.status = 503;
    assert_true(is_news());
    assert_false(is_news());
    probe.status = 200;
    assert_true(is_news());
}

static void refuse_a_session(void)
{
    probe_memory_refused(&memory, 0); /* by a resumed handshake, which the full one takes back */
    (void)is_news();
}

/* Who refuses sessions three times in a row and accepts certificates is asked in full, until it
 * refuses those too. */
static void who_takes_no_session_is_asked_in_full(void **state)
{
    (void)state;
    refuse_a_session();
    refuse_a_session();
    probe.resumed = true;
    (void)is_news();
    probe.resumed = false;
    refuse_a_session();
    refuse_a_session();
    assert_false(probe_memory_full_only(&memory, 0));
    refuse_a_session();
    assert_true(probe_memory_full_only(&memory, 0));
    assert_false(probe_memory_full_only(&memory, 1));
    probe.verdict = PROBE_REFUSED;
    (void)is_news();
    assert_false(probe_memory_full_only(&memory, 0));
}

static void numbers_in_a_reason_are_none(void **state)
{
    (void)state;
    probe.verdict = PROBE_UNREACHABLE;
    (void)snprintf(probe.reason, sizeof probe.reason, "after 12 ms");
    (void)is_news();
    (void)snprintf(probe.reason, sizeof probe.reason, "after 3456 ms");
    assert_false(is_news());
    (void)snprintf(probe.reason, sizeof probe.reason, "before 12 ms");
    assert_true(is_news());
}

static void after_a_failure_the_next_is_full(void **state)
{
    (void)state;
    (void)is_news();
    probe.verdict = PROBE_UNREACHABLE;
    assert_true(is_news());
    assert_true(known[0].renew);
    assert_false(is_news());
    probe.verdict = PROBE_ACCEPTED;
    assert_true(is_news());
    assert_false(known[0].renew);
}

static void after_another_key_the_next_is_full(void **state)
{
    struct buf server = sample_der("server.pem"), client = sample_der("client.pem");

    (void)state;
    shows(&server);
    assert_true(is_news());
    assert_false(known[0].renew);
    shows(&client);
    assert_true(is_news());
    assert_true(known[0].renew);
    assert_false(is_news());
    assert_false(known[0].renew);
    response.chain_count = 0; /* as where none came so far */
    assert_false(is_news());
    shows(&client);
    assert_false(is_news());
    shows(&server);
    assert_true(is_news());
    buf_free(&server);
    buf_free(&client);
}

/* It shows no certificate, and need not tell the group: what the full one before said stands. */
static void a_resumed_one_is_none(void **state)
{
    (void)state;
    (void)is_news();
    probe.resumed = true;
    probe.group = NULL;
    assert_false(is_news());
    probe.verdict = PROBE_UNREACHABLE;
    assert_true(is_news());
    assert_true(known[0].renew);
}

static size_t session_bytes(void)
{
    struct arena_stats stats;

    arena_stats(&stats);
    return stats.tagged[ARENA_SESSION];
}

static void sessions_are_kept_where_some_resume(void **state)
{
    struct tls_cache *sessions;

    (void)state;
    probe_memory_resume(&memory, 1, 1);
    assert_null(memory.sessions);
    probe_memory_resume(&memory, 10, 1);
    assert_non_null(memory.sessions);
    sessions = memory.sessions;
    probe_memory_resume(&memory, 10, 1);
    assert_ptr_equal(memory.sessions, sessions);
    probe_memory_sweep(&memory);
    assert_ptr_equal(memory.sessions, sessions);
    (void)is_news();
    probe_memory_forget(&memory);
    assert_null(memory.sessions);
    assert_int_equal(session_bytes(), 0);
    assert_true(is_news());
    probe_memory_resume(&memory, 2, 1);
    probe_memory_resume(&memory, 1, 1);
    assert_int_equal(session_bytes(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
    const struct CMUnitTest tests[] = {
        TEST(the_first_is_news_and_no_repetition),
        TEST(each_change_is_news),
        TEST(another_cipher_or_group_is_news),
        TEST(another_root_is_news),
        TEST(another_status_is_news),
        TEST(who_takes_no_session_is_asked_in_full),
        TEST(numbers_in_a_reason_are_none),
        TEST(after_a_failure_the_next_is_full),
        TEST(after_another_key_the_next_is_full),
        TEST(a_resumed_one_is_none),
        TEST(sessions_are_kept_where_some_resume),
    };

    return cmocka_run_group_tests_name("probe_memory", tests, samples_setup, NULL);
}
