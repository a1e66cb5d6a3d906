/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single values that users write: endpoints, URLs, secrets and regions, names, numbers. What is
 * accepted, printed and read again is equal.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#include "aws/endpoint.h"
#include "aws/percent.h"
#include "aws/url.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config_values.h"
#include "fuzz.h"
#include "x509/name.h"

static const char *bracket(const char *host, bool closing)
{
    return strchr(host, ':') ? (closing ? "]" : "[") : "";
}

static void check_endpoint(const char *text)
{
    struct endpoint endpoint, again;
    char printed[1024];
    const char *why = value_endpoint(text, &endpoint);

    FUZZ_CHECK(!why || *why);
    if (why)
        return;
    FUZZ_CHECK(strcmp(endpoint.text, text) == 0 && endpoint.port > 0);
    if (strcmp(endpoint.name, endpoint.address) != 0)
        (void)snprintf(printed, sizeof printed, "%s@%s%s%s:%u", endpoint.name,
                       bracket(endpoint.address, false), endpoint.address,
                       bracket(endpoint.address, true), endpoint.port);
    else
        (void)snprintf(printed, sizeof printed, "https://%s%s%s:%u%s",
                       bracket(endpoint.name, false), endpoint.name, bracket(endpoint.name, true),
                       endpoint.port, endpoint.path);
    if (strlen(printed) >= sizeof again.text)
        return;
    FUZZ_CHECK(value_endpoint(printed, &again) == NULL);
    FUZZ_CHECK(strcmp(again.name, endpoint.name) == 0 && again.port == endpoint.port);
    FUZZ_CHECK(strcmp(again.address, endpoint.address) == 0);
    FUZZ_CHECK(strcmp(again.path, endpoint.path) == 0);
}

static void check_url(const char *text)
{
    struct url url, again;
    char *printed;

    if (url_parse(&url, text) < 0)
        return;
    FUZZ_CHECK(memchr(url.host, '\0', sizeof url.host) && url.name[0]);
    FUZZ_CHECK(url.path >= text && url.path <= text + strlen(text));
    FUZZ_CHECK(asprintf(&printed, "%s://%s%s", url.tls ? "https" : "http", url.host, url.path) > 0);
    FUZZ_CHECK(url_parse(&again, printed) == 0 && again.tls == url.tls);
    FUZZ_CHECK(strcmp(again.name, url.name) == 0 && strcmp(again.host, url.host) == 0);
    FUZZ_CHECK(strcmp(again.path, url.path) == 0);
    free(printed);
}

static void check_rules(const char *text)
{
    struct aws_endpoint endpoint;
    struct err err;
    unsigned i;

    FUZZ_CHECK(endpoint_partition(text));
    for (i = 0; i < 32; i++) {
        const struct endpoint_params params = {
            .service = i & 1 ? ENDPOINT_STS : ENDPOINT_SECRETSMANAGER,
            .region = i & 2 ? text : "eu-central-1",
            .custom = i & 2 ? NULL : text,
            .fips = i & 4,
            .dual_stack = i & 8,
            .global = i & 16,
        };

        fuzz_err_open(&err);
        if (fuzz_result(endpoint_by_rules(&endpoint, &params, &err), &err) == 0)
            FUZZ_CHECK(memchr(endpoint.text, '\0', sizeof endpoint.text) && endpoint.region[0]);
    }
}

static void check_numbers(const char *text)
{
    struct value_owner owner;
    char printed[32];
    int64_t number, again;
    mode_t mode, mode_again;
    bool flag;

    if (!value_duration(text, &number)) {
        (void)snprintf(printed, sizeof printed, "%" PRId64 "ms", number);
        FUZZ_CHECK(!value_duration(printed, &again) && again == number);
    }
    if (!value_number(text, &number)) {
        (void)snprintf(printed, sizeof printed, "%" PRId64, number);
        FUZZ_CHECK(!value_number(printed, &again) && again == number);
    }
    if (!value_mode(text, &mode)) {
        (void)snprintf(printed, sizeof printed, "%04o", mode);
        FUZZ_CHECK(!value_mode(printed, &mode_again) && mode_again == mode);
    }
    if (clock_parse(text, &number) == 0) {
        clock_format(printed, number);
        FUZZ_CHECK(clock_parse(printed, &again) == 0 && again == number);
    }
    (void)value_bool(text, &flag);
    if (!value_owner(text, &owner))
        FUZZ_CHECK(owner.owner != (uid_t)-1 && owner.group != (gid_t)-1);
}

static void check_words(const char *text)
{
    const char *words[CONFIG_WORDS_MAX + 1];
    char *copy = fuzz_text(bytes_of_text(text));
    size_t count = 0;

    if (!value_words(copy, words)) {
        while (words[count])
            count++;
        FUZZ_CHECK(count > 0 && count <= CONFIG_WORDS_MAX && words[0][0] == '/');
    }
    free(copy);
}

static void check_secret(const char *text)
{
    struct change_signal signal = {0};
    char sub[CONFIG_SUB_MAX];
    const char *id;

    if (!value_secret(text, sub, &id)) {
        FUZZ_CHECK(memchr(sub, '\0', sizeof sub) && !strchr(sub, '/') && sub[0] != '.');
        FUZZ_CHECK(id >= text && *id && id <= text + strlen(text));
    }
    if (!value_signal(text, &signal))
        FUZZ_CHECK(signal.number > 0 && (signal.pid > 0 || signal.pid_file));
}

/* Loopback may be asked in the clear, and so may the agents beside a container. */
static void check_address(const struct host *host)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    const struct sockaddr *address = host->address_len == 4 ? (const void *)&v4 : (const void *)&v6;

    memcpy(host->address_len == 4 ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr, host->address,
           host->address_len);
    FUZZ_CHECK(!url_address_is_loopback(address) || url_address_is_agent(address));
    FUZZ_CHECK(url_address_is_loopback(address) ==
               (host->address_len == 4 ? host->address[0] == 127
                                       : IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) != 0));
}

static void check_host(const char *text)
{
    struct host host, again;
    char printed[INET6_ADDRSTRLEN];

    (void)dns_name_valid(bytes_of_text(text), true);
    if (!host_read(&host, bytes_of_text(text)) || host.dns.data)
        return;
    FUZZ_CHECK(host.address_len == 4 || host.address_len == 16);
    FUZZ_CHECK(inet_ntop(host.address_len == 4 ? AF_INET : AF_INET6, host.address, printed,
                         sizeof printed));
    FUZZ_CHECK(host_read(&again, bytes_of_text(printed)) && again.address_len == host.address_len);
    FUZZ_CHECK(memcmp(again.address, host.address, host.address_len) == 0);
    check_address(&host);
}

static void check_texts(const char *text)
{
    static const char *(*const checks[])(const char *) = {
        value_path,         value_root,          value_region,
        value_profile,      value_role_arn,      value_role_session_name,
        value_expected,     value_request_path,  value_role_external_id,
        value_endpoint_url, value_version_stage, value_version_id,
        value_proxy,        value_no_proxy,      value_ca_bundle,
    };
    size_t i;

    for (i = 0; i < sizeof checks / sizeof *checks; i++) {
        const char *why = checks[i](text);

        FUZZ_CHECK(!why || *why);
    }
}

/* What is shown of any bytes is printable, and what is sent of them is percent-encoded. */
static void check_bytes(struct bytes input)
{
    struct buf out = {.tag = ARENA_WORK};
    char shown[100];
    size_t i;

    redact(shown, sizeof shown, input);
    FUZZ_CHECK(memchr(shown, '\0', sizeof shown));
    for (i = 0; shown[i]; i++)
        FUZZ_CHECK(shown[i] >= ' ' && shown[i] <= '~');
    (void)percent_encode(&out, input, '/');
    for (i = 0; i < out.len; i++)
        FUZZ_CHECK(out.data[i] > ' ' && out.data[i] <= '~');
    buf_free(&out);
}

void fuzz(struct bytes input)
{
    char *text = fuzz_text(input);

    check_endpoint(text);
    check_url(text);
    check_rules(text);
    check_numbers(text);
    check_words(text);
    check_secret(text);
    check_host(text);
    check_texts(text);
    check_bytes(input);
    free(text);
}
