/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command line and environment, a line each: NAME=VALUE is a variable of those that the agent
 * knows, all else is an argument. Then what is made of them: proxy, endpoints, metadata.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "answers.h"
#include "aws/aws.h"
#include "aws/client.h"
#include "aws/credentials/sources.h"
#include "aws/endpoint.h"
#include "aws/environment.h"
#include "aws/imds.h"
#include "aws/proxy.h"
#include "aws/region.h"
#include "aws/url.h"
#include "base/buf.h"
#include "config/config.h"
#include "fuzz.h"
#include "run/sd_notify.h"
#include "run/status.h"

enum { LINES_MAX = 64 };

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t address_len);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags);

/* The service manager's socket is nobody's: an input names any. */
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t address_len)
{
    (void)fd;
    FUZZ_CHECK(address && address_len <= sizeof(struct sockaddr_un));
    return 0;
}

/* A line of its protocol, which goes nowhere. */
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags)
{
    (void)fd, (void)flags;
    FUZZ_CHECK(len > 0 && memchr(data, '=', len));
    return (ssize_t)len;
}

struct lines {
    char *owned[LINES_MAX];
    size_t count;
    char *arguments[LINES_MAX + 2], *variables[LINES_MAX + 1];
    size_t argument_count, variable_count;
};

static bool is_variable(const char *line)
{
    static const char *const known[] = {
        "MTLS_AGENT_",        "AWS_",           "HTTPS_PROXY=",      "https_proxy=",
        "NO_PROXY=",          "no_proxy=",      "ENCLAVE_ENDPOINT=", "HOME=",
        "RUNTIME_DIRECTORY=", "NOTIFY_SOCKET=", "WATCHDOG_"};
    size_t i;

    for (i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(line, known[i], strlen(known[i])) == 0 && strchr(line, '='))
            return true;
    return false;
}

static void cut(struct lines *lines, struct bytes input)
{
    *lines = (struct lines){.arguments = {"mtls-agent"}, .argument_count = 1};
    while (input.len > 0 && lines->count < LINES_MAX) {
        const uint8_t *end = memchr(input.data, '\n', input.len);
        size_t len = end ? (size_t)(end - input.data) : input.len;
        char *line = fuzz_text(bytes_of(input.data, len));

        lines->owned[lines->count++] = line;
        if (is_variable(line))
            lines->variables[lines->variable_count++] = line;
        else
            lines->arguments[lines->argument_count++] = line;
        input = bytes_of(input.data + len + (end != NULL), input.len - len - (end != NULL));
    }
}

static void check_endpoint(const struct aws *aws, enum endpoint_service service)
{
    struct aws_endpoint endpoint;
    struct url again;
    struct err err;

    fuzz_err_open(&err);
    if (fuzz_result(endpoint_resolve(&endpoint, aws, service, "eu-central-1", &err), &err) < 0)
        return;
    FUZZ_CHECK(memchr(endpoint.text, '\0', sizeof endpoint.text));
    FUZZ_CHECK(url_parse(&again, endpoint.text) == 0);
    FUZZ_CHECK(strcmp(again.host, endpoint.url.host) == 0 && again.tls == endpoint.url.tls);
}

/* Of a proxy nothing but host and port is left in its URL, and no password stays behind. */
static void check_proxy(const struct aws *aws)
{
    const struct url https = {.tls = true}, http = {.tls = false};
    struct proxy proxy = {0};
    struct err err;

    fuzz_err_open(&err);
    if (fuzz_result(proxy_read(&proxy, aws, &err), &err) < 0)
        return;
    FUZZ_CHECK(!proxy.http.url ||
               (strncmp(proxy.url, "http://", 7) == 0 && !strchr(proxy.url, '@')));
    FUZZ_CHECK((proxy_for(&proxy, &https) != NULL) == (proxy.http.url != NULL));
    FUZZ_CHECK(proxy_for(&proxy, &http) == NULL);
}

static void check_sources(const struct aws *aws)
{
    struct buf text = {.tag = ARENA_WORK};
    char base[IMDS_URL_MAX], region[REGION_MAX], path[STATUS_PATH_MAX];
    unsigned attempts;
    struct url url;
    struct err err;

    fuzz_err_open(&err);
    (void)fuzz_result(imds_endpoint(aws, base, &err), &err);
    fuzz_err_open(&err);
    (void)fuzz_result(client_attempts(aws, &attempts, &err), &err);
    fuzz_err_open(&err);
    if (fuzz_result(region_of_session(aws, region, &err), &err) == 0)
        FUZZ_CHECK(region[0] &&
                   strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(region));
    fuzz_err_open(&err);
    if (source_container_url(aws->config, &text, &url, &err) != SOURCE_FOUND)
        fuzz_err_check(&err);
    buf_free(&text);
    status_path(aws->config, path);
}

static void check_environment(struct environment *environment)
{
    char *const fields[] = {environment->access_key_id, environment->secret_access_key,
                            environment->session_token, environment->container_token,
                            environment->proxy,         environment->proxy_password};
    size_t i;

    FUZZ_CHECK(!getenv("AWS_SECRET_ACCESS_KEY") && !getenv("AWS_SESSION_TOKEN"));
    for (i = 0; i < sizeof fields / sizeof *fields; i++)
        arena_free(fields[i]);
}

static void check_notify(void)
{
    struct sd_notify notify;

    sd_notify_open(&notify);
    FUZZ_CHECK(!getenv("NOTIFY_SOCKET") && sd_notify_watchdog_ms(&notify) >= 0);
    sd_notify_send(&notify, "READY=%d", 1);
    sd_notify_status(&notify, "%s", "\x01\xFFtext");
    sd_notify_reloading(&notify);
    sd_notify_close(&notify);
}

static void check_config(const struct config *config)
{
    struct environment environment;
    const struct aws aws = {
        .config = config, .environment = &environment, .deadline = 1000000 + 10000};
    struct err err;

    config_log(config);
    fuzz_err_open(&err);
    if (fuzz_result(environment_take(&environment, &err), &err) == 0) {
        check_proxy(&aws);
        check_endpoint(&aws, ENDPOINT_SECRETSMANAGER);
        check_endpoint(&aws, ENDPOINT_STS);
        check_sources(&aws);
    }
    check_environment(&environment);
}

void fuzz(struct bytes input)
{
    struct config *config = NULL;
    char **before = environ;
    struct lines lines;
    struct err err;
    size_t i;

    answers_begin(bytes_of("", 0));
    cut(&lines, input);
    environ = lines.variables;
    fuzz_err_any(&err); /* an owner that cannot be looked up is a wrong value, whatever for */
    if (fuzz_result(config_parse((int)lines.argument_count, lines.arguments, &config, &err),
                    &err) == 0)
        check_config(config);
    config_free(config);
    check_notify();
    environ = before;
    for (i = 0; i < lines.count; i++)
        free(lines.owned[i]);
}
