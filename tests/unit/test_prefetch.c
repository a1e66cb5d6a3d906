/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/endpoint.h"
#include "aws/secretsmanager.h"
#include "aws_fixture.h"
#include "fake_server.h"
#include "little_memory.h"
#include "samples.h"

static void get_one(struct secretsmanager *manager, const char *name)
{
    struct secret secret;

    assert_int_equal(secretsmanager_get(manager, name, &secret, &err), 0);
    assert_string_equal((char *)secret.document.data, "text");
    secret_free(&secret);
}

/* A conversation with that server, in which a first value was got: AWS has taken the credentials.
 */
static struct secretsmanager *meet(struct fake_server *server, const char *first)
{
    struct secretsmanager *manager;

    config.endpoint_url = fake_server_url(server);
    manager = secretsmanager_new(&aws, &err);
    assert_non_null(manager);
    get_one(manager, first);
    return manager;
}

/* What was prefetched is not asked for a second time, and what nobody comes to goes. */
static void test_get_side_by_side(void **state)
{
    static const struct secret_question questions[] = {
        {"b", false}, {"c", false}, {"d", false}, {"e", false}, {"f", false}};
    struct fake_server *server = fake_server_repeat(fake_reply(200, "", OK_ANSWER));
    struct secretsmanager *manager;

    (void)state;
    config.endpoint_url = fake_server_url(server);
    manager = secretsmanager_new(&aws, &err);
    assert_non_null(manager);
    assert_false(secretsmanager_may_prefetch(manager, &questions[0])); /* not taken yet */
    get_one(manager, "a");
    assert_true(secretsmanager_may_prefetch(manager, &questions[0]));
    secretsmanager_prefetch(manager, questions, 5);
    assert_false(secretsmanager_may_prefetch(manager, &questions[0]));
    for (size_t i = 0; i < 3; i++)
        get_one(manager, questions[i].secret_id);
    assert_true(secretsmanager_may_prefetch(manager, &questions[0]));
    secretsmanager_prefetch(manager, questions, 4); /* the last of them waits already */
    get_one(manager, "e");
    secretsmanager_free(manager);
    assert_int_equal(fake_server_stop(server), 1 + 5 + 3);
}

static void test_describe_is_prefetched(void **state)
{
    static const struct secret_question questions[] = {{"b", true}, {"c", true}, {"d", false}};
    struct fake_server *server =
        fake_server_repeat(fake_reply(200, "",
                                      "{\"ARN\":\"" ARN "\",\"Name\":\"mtls/host\","
                                      "\"SecretString\":\"text\",\"VersionId\":\"id-1\","
                                      "\"VersionIdsToStages\":{\"id-1\":[\"AWSCURRENT\"]}}"));
    struct secretsmanager *manager;
    struct secret_version version;
    char id[SECRET_VERSION_MAX];

    (void)state;
    manager = meet(server, "a");
    secretsmanager_prefetched_id(manager, "b", id);
    assert_string_equal(id, "");
    secretsmanager_prefetch(manager, questions, 3);
    secretsmanager_prefetched_id(manager, "b", id);
    assert_string_equal(id, "id-1");
    secretsmanager_prefetched_id(manager, "d", id); /* whose value waits, not its description */
    assert_string_equal(id, "");
    assert_int_equal(secretsmanager_describe(manager, "b", &version, &err), 0);
    assert_string_equal(version.id, "id-1");
    secretsmanager_prefetched_id(manager, "b", id);
    assert_string_equal(id, "");
    secretsmanager_free(manager);
    assert_int_equal(fake_server_stop(server), 1 + 3);
}

/* A reply with a secret of so many letters, each of them written so. */
static const char *large_reply(const char *letter, size_t count)
{
    enum { MOST = 256 * 1024 };
    static char *body, *reply; /* too large for static storage, which aarch64 reaches 1 MiB of */
    size_t len;

    body = body ? body : malloc(MOST);
    reply = reply ? reply : malloc(MOST + 256);
    assert_true(body && reply);
    len = (size_t)snprintf(body, MOST,
                           "{\"ARN\":\"" ARN "\",\"Name\":\"mtls/host\","
                           "\"VersionId\":\"id-1\",\"SecretString\":\"");

    for (; count > 0; count--)
        len += (size_t)snprintf(body + len, MOST - len, "%s", letter);
    (void)snprintf(body + len, MOST - len, "\"}");
    (void)snprintf(reply, MOST + 256,
                   "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                   strlen(body), body);
    return reply;
}

/* As the agent does: before each question, all that are left. */
static void get_all(struct secretsmanager *manager, const struct secret_question *questions,
                    size_t count)
{
    struct secret secret;

    for (; count > 0; questions++, count--) {
        if (secretsmanager_may_prefetch(manager, questions))
            secretsmanager_prefetch(manager, questions, count);
        if (secretsmanager_get(manager, questions->secret_id, &secret, &err) < 0)
            fail_msg("got %s: %s", err.subject, err.reason);
        secret_free(&secret);
    }
}

static const struct secret_question eight[] = {{"b", false}, {"c", false}, {"d", false},
                                               {"e", false}, {"f", false}, {"g", false},
                                               {"h", false}, {"i", false}};

/* Eight questions with so much memory, of answers with so many letters: how many requests. */
static size_t requests_within(size_t memory, size_t letters)
{
    struct fake_server *small = fake_server_repeat(fake_reply(200, "", OK_ANSWER));
    struct fake_server *server = fake_server_repeat(large_reply("x", letters));
    struct secretsmanager *manager;

    (void)signal(SIGPIPE, SIG_IGN); /* the servers' */
    config.endpoint_url = fake_server_url(small);
    manager = secretsmanager_new(&aws, &err);
    assert_non_null(manager);
    get_all(manager, &(struct secret_question){"a", false}, 1);
    get_all(manager, eight, 8);
    (void)fake_server_stop(small);
    config.endpoint_url = fake_server_url(server);
    leave_free(memory);
    get_all(manager, eight, 8);
    give_back();
    secretsmanager_free(manager);
    return fake_server_stop(server);
}

/* Those for whose answers there is no memory are asked for a second time, at most. */
static void test_get_ahead_with_little_memory(void **state)
{
    static const struct {
        size_t kib, letters;
    } rows[] = {{300, 40000}, {300, 60000}, {500, 60000}, {650, 40000}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_in_range(requests_within(rows[i].kib * 1024, rows[i].letters), 8, 2 * 8);
}

/* One that is too large to wait is asked for a second time, alone, and no other suffers. */
static void test_get_ahead_of_a_large_one(void **state)
{
    struct fake_server *server = fake_server_repeat(large_reply("\\u0078", 30000)), *other;
    struct secretsmanager *manager;

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN); /* the server's */
    config.endpoint_url = fake_server_url(server);
    manager = secretsmanager_new(&aws, &err);
    assert_non_null(manager);
    get_all(manager, &(struct secret_question){"a", false}, 1);
    secretsmanager_prefetch(manager, eight, 3);
    get_all(manager, eight, 3);
    assert_int_equal(fake_server_stop(server), 1 + 2 * 3);
    other = fake_server_repeat(fake_reply(200, "", OK_ANSWER));
    config.endpoint_url = fake_server_url(other);
    secretsmanager_prefetch(manager, eight, 8);
    secretsmanager_free(manager);
    assert_int_equal(fake_server_stop(other), 8);
}

/* A set's values that wait are of one moment, or go. */
static void test_values_are_not_mixed(void **state)
{
    static const char *const sets[][2] = {{"b", "c"}, {"d", "z"}, {"z", "e"}, {"f", "g"}};
    struct fake_server *server = fake_server_repeat(fake_reply(200, "", OK_ANSWER));
    struct secretsmanager *manager;

    (void)state;
    manager = meet(server, "a");
    secretsmanager_prefetch(manager, eight, 5);     /* b to f */
    secretsmanager_prefetch(manager, eight + 4, 3); /* g and h */
    for (size_t i = 0; i < 4; i++)
        secretsmanager_drop_mixed(manager, sets[i], 2);
    for (size_t i = 0; i < 7; i++)
        assert_true(secretsmanager_may_prefetch(manager, &eight[i]) == (i >= 2 && i <= 5));
    secretsmanager_free(manager);
    assert_int_equal(fake_server_stop(server), 1 + 5 + 2);
}

/* Nor is one that AWS has refused taken for one that waits: it is asked again, and would be newer.
 */
static void test_what_is_refused_does_not_wait(void **state)
{
    const char *good = fake_reply(200, "", OK_ANSWER);
    const char *refusal = fake_reply(400, "", "{\"__type\":\"ThrottlingException\"}");
    const char *const replies[] = {good, good, refusal, refusal};
    struct fake_server *server;
    struct secretsmanager *manager;

    (void)state;
    server = fake_server_start(replies, 4);
    manager = meet(server, "a");
    secretsmanager_prefetch(manager, eight, 3); /* b, c and d, one of which is answered */
    secretsmanager_drop_mixed(manager, (const char *const[]){"b", "c", "d"}, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(secretsmanager_may_prefetch(manager, &eight[i]));
    secretsmanager_free(manager);
    assert_int_equal(fake_server_stop(server), 4);
}

#define OTHER "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"

/* What is only asked for ahead asks no instance metadata for its region, and hinders no other. */
static void test_ahead_without_a_region(void **state)
{
    static const struct secret_question questions[] = {
        {ARN, false}, {"name", false}, {OTHER "b-a1B2c3", false}};
    struct fake_server *server = fake_server_repeat(fake_reply(200, "", OK_ANSWER));
    struct fake_server *metadata = fake_server_repeat(fake_reply(200, "", "eu-central-1"));
    struct secretsmanager *manager;

    (void)state;
    config.endpoint_url = fake_server_url(server);
    config.region = NULL;
    (void)setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", fake_server_url(metadata), 1);
    manager = secretsmanager_new(&aws, &err);
    assert_non_null(manager);
    get_one(manager, OTHER "a-a1B2c3");
    secretsmanager_prefetch(manager, questions, 3);
    assert_false(secretsmanager_may_prefetch(manager, &questions[0]));
    assert_true(secretsmanager_may_prefetch(manager, &questions[1]));
    assert_false(secretsmanager_may_prefetch(manager, &questions[2]));
    assert_int_equal(fake_server_stop(metadata), 0);
    secretsmanager_free(manager);
    (void)unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    assert_int_equal(fake_server_stop(server), 1 + 2);
}

/* A region that did not answer is left out until its turn has come, and it answers. */
static void test_ahead_of_a_silent_region(void **state)
{
    static const struct secret_question silent[] = {{OTHER "b-a1B2c3", false},
                                                    {OTHER "c-a1B2c3", false}},
                                        mixed[] = {
                                            {"b", false}, {OTHER "b-a1B2c3", false}, {"c", false}};
    struct fake_server *server = fake_server_repeat(fake_reply(200, "", OK_ANSWER));
    struct secretsmanager *manager;

    (void)state;
    manager = meet(server, "a");
    config.endpoint_url = "http://127.0.0.1:1"; /* nobody is there */
    secretsmanager_prefetch(manager, silent, 2);
    config.endpoint_url = fake_server_url(server);
    get_one(manager, "d");
    secretsmanager_prefetch(manager, mixed, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(secretsmanager_may_prefetch(manager, &mixed[i]) == (i == 1));
    get_one(manager, OTHER "b-a1B2c3");
    secretsmanager_prefetch(manager, (struct secret_question[]){eight[3], silent[1]}, 2);
    assert_false(secretsmanager_may_prefetch(manager, &silent[1]));
    secretsmanager_free(manager);
    assert_int_equal(fake_server_stop(server), 1 + 1 + 2 + 1 + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_get_side_by_side, aws_fixture),
        cmocka_unit_test_setup(test_describe_is_prefetched, aws_fixture),
        cmocka_unit_test_setup(test_get_ahead_with_little_memory, aws_fixture),
        cmocka_unit_test_setup(test_get_ahead_of_a_large_one, aws_fixture),
        cmocka_unit_test_setup(test_values_are_not_mixed, aws_fixture),
        cmocka_unit_test_setup(test_what_is_refused_does_not_wait, aws_fixture),
        cmocka_unit_test_setup(test_ahead_without_a_region, aws_fixture),
        cmocka_unit_test_setup(test_ahead_of_a_silent_region, aws_fixture),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
