/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "aws/aws.h"
#include "aws/environment.h"
#include "aws/host_id.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "fake_server.h"
#include "samples.h"

#define TASK "arn:aws:ecs:eu-west-1:123456789012:task/cluster/0123456789abcdef"

static struct config config;
static struct environment environment;
static struct aws aws;
static char out[HOST_ID_MAX];

static int set_up(void **state)
{
    (void)state;
    config = (struct config){.region = "eu-west-1"};
    aws = (struct aws){
        .config = &config, .environment = &environment, .deadline = clock_ms() + 600000};
    return setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
}

/* By what the agent of ECS says of the task; NULL: there is none. */
static void ask(const char *reply)
{
    struct fake_server *server = fake_server_start(&reply, reply ? 1 : 0);

    (void)setenv("ECS_CONTAINER_METADATA_URI_V4", fake_server_url(server), 1);
    host_id(&aws, out);
    (void)fake_server_stop(server);
    (void)unsetenv("ECS_CONTAINER_METADATA_URI_V4");
}

static void a_task_is_known_by_its_arn(void **state)
{
    (void)state;
    ask(fake_reply(200, "", "{\"Cluster\":\"c\",\"TaskARN\":\"" TASK "\"}"));
    assert_string_equal(out, TASK);
    assert_memory_equal(fake_server_request(0), "GET /task HTTP/1.1\r\n", 20);
}

static void all_else_is_known_by_its_name(void **state)
{
    char longest[2 * HOST_ID_MAX];
    const char *const replies[] = {
        NULL,
        fake_reply(500, "", "{\"TaskARN\":\"" TASK "\"}"),
        fake_reply(200, "", "{\"TaskARN\":7}"),
        fake_reply(200, "", "{\"TaskARN\":\"a b\"}"),
        fake_reply(200, "", "{}"),
        fake_reply(200, "", "no JSON"),
        longest,
    };
    struct utsname name;

    (void)state;
    memset(longest, 'a', sizeof longest);
    (void)snprintf(longest, sizeof longest,
                   "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"TaskARN\":\"%0*d\"}",
                   HOST_ID_MAX, 0);
    assert_int_equal(uname(&name), 0);
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        ask(replies[i]);
        assert_string_equal(out, name.nodename);
    }
    host_id(&aws, out); /* where nothing names such an agent */
    assert_string_equal(out, name.nodename);
    (void)setenv("ECS_CONTAINER_METADATA_URI_V4", "https://127.0.0.1:1", 1);
    host_id(&aws, out);
    assert_string_equal(out, name.nodename);
    (void)unsetenv("ECS_CONTAINER_METADATA_URI_V4");
}

static void the_longest_is_taken(void **state)
{
    char reply[2 * HOST_ID_MAX + 100];

    (void)state;
    (void)snprintf(reply, sizeof reply,
                   "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"TaskARN\":\"%0*d\"}",
                   HOST_ID_MAX - 1, 0);
    ask(reply);
    assert_int_equal(strlen(out), HOST_ID_MAX - 1);
    assert_int_equal(strspn(out, "0"), HOST_ID_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_task_is_known_by_its_arn, set_up),
        cmocka_unit_test_setup(all_else_is_known_by_its_name, set_up),
        cmocka_unit_test_setup(the_longest_is_taken, set_up),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
